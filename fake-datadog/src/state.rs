//! Everything that a running fake knows, behind one lock.

mod catalog;
mod intake;
mod keys;
mod limits;
mod page;
mod scenario;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::ScenarioClock,
    control::{Fault, FaultList, Handshake, Health, InvalidFault},
    expr::{
        data::{Data, Source},
        evaluate::Window,
        scope::Scope,
    },
    fault::{Effects, Faults, Target},
    keys::Keys,
    limit::Limits,
    metrics::Metrics,
    recorder::Recorder,
    scenario::{InvalidScenario, Scenario},
    script::Scripts,
    state::keys::Account,
    store::{Store, Submission},
};

/// A handle to the state; all clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    account: Account,
    /// Cancelled when the server stops, so that injected delays do not hold it up.
    stopping: CancellationToken,
    /// What clients asked; it has a lock of its own.
    recorder: Recorder,
    metrics: Metrics,
    /// Never locked while the state is.
    limits: Mutex<Limits>,
    // A std mutex: it is held for short, computing sections only and never across an `.await`.
    state: Mutex<State>,
    /// What was submitted. Apart from the rest, so that queries read it side by side. Never
    /// locked while the state is.
    store: RwLock<Store>,
}

/// What changes, and what a reset takes back.
#[derive(Debug)]
struct State {
    scenario: Scenario,
    clock: ScenarioClock,
    scripts: Scripts,
    faults: Faults,
}

impl Shared {
    /// The state of a fake that starts at `now` with `scenario`, whose keys give way to `keys`.
    pub(crate) fn new(
        now: Timestamp,
        keys: Option<Keys>,
        scenario: Scenario,
    ) -> Result<Self, InvalidScenario> {
        let limits = Mutex::new(Limits::new(scenario.rate_limits.clone()));
        let account = Account::new(keys);
        account.adopt(&scenario.keys);
        let state = Mutex::new(State::new(now, scenario)?);
        let store = RwLock::default();
        let stopping = CancellationToken::new();
        Ok(Self(Arc::new(Inner {
            account,
            stopping,
            metrics: Metrics::default(),
            limits,
            recorder: Recorder::default(),
            state,
            store,
        })))
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.0.recorder
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.0.stopping
    }

    /// Takes points of one series. The metric's name is normalised.
    pub(crate) fn submit(&self, now: Timestamp, submission: &Submission<'_>) {
        self.store_mut().insert(now.as_second(), submission);
    }

    /// What is known at `now`, with all points moved `stale_by` seconds into the past.
    pub(crate) fn data(&self, now: Timestamp, stale_by: i64) -> impl Data {
        Known { shared: self, now: now.as_second(), stale_by }
    }

    pub(crate) fn fault(&self, now: Timestamp, fault: Fault) -> Result<(), InvalidFault> {
        self.lock().faults.set(now, fault)
    }

    pub(crate) fn faults(&self, now: Timestamp) -> FaultList {
        self.lock().faults.list(now)
    }

    pub(crate) fn clear_faults(&self, now: Timestamp, name: Option<&str>) -> usize {
        self.lock().faults.clear(now, name)
    }

    pub(crate) fn hit(&self, now: Timestamp, target: Target<'_>) -> Effects {
        self.lock().faults.hit(now, target)
    }

    pub(crate) fn handshake(&self, now: Timestamp) -> Option<Handshake> {
        self.lock().faults.handshake(now)
    }

    /// Forgets everything and lets the scenario begin anew at `now`.
    pub(crate) fn reset(&self, now: Timestamp) -> Result<(), InvalidScenario> {
        let scenario = self.lock().scenario.clone();
        let limits = scenario.rate_limits.clone();
        let fresh = State::new(now, scenario)?;
        *self.lock() = fresh;
        self.begin_rate_limits(limits);
        *self.store_mut() = Store::default();
        self.0.recorder.clear();
        Ok(())
    }

    pub(crate) fn health(&self, now: Timestamp) -> Health {
        let (series, points, dropped_points) = {
            let store = self.store();
            (store.series(), store.points(), store.dropped())
        };
        let state = self.lock();
        Health {
            status: "ok".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            series,
            points,
            dropped_points,
            scripts: state.scripts.len(),
            faults: state.faults.len(now),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock leaves the state half changed, so a panic does no harm to it.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> RwLockReadGuard<'_, Store> {
        self.0.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.0.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Submitted and scripted series.
struct Known<'a> {
    shared: &'a Shared,
    /// Unix seconds.
    now: i64,
    /// Seconds.
    stale_by: i64,
}

impl Data for Known<'_> {
    fn sources(&self, metric: &str, scope: &Scope, window: Window) -> Vec<Source> {
        let from = window.from.saturating_add(self.stale_by);
        let to = window.to.saturating_add(self.stale_by);
        let mut sources = self.shared.store().sources(metric, scope, from, to);
        {
            let state = self.shared.lock();
            let State { clock, scripts, .. } = &*state;
            sources.extend(scripts.sources(clock, self.now, metric, scope, from, to));
        }
        for (time, _) in sources.iter_mut().flat_map(|source| &mut source.points) {
            *time -= self.stale_by;
        }
        sources
    }
}

impl State {
    fn new(now: Timestamp, scenario: Scenario) -> Result<Self, InvalidScenario> {
        keys::validate(&scenario)?;
        let clock = ScenarioClock::new(now, scenario.time_scale);
        let mut state = Self {
            scripts: Scripts::new(scenario.seed),
            faults: Faults::new(scenario.seed, clock.clone()),
            clock,
            scenario,
        };
        for (index, script) in state.scenario.series.iter().enumerate() {
            let set = state.scripts.set(&state.clock, now, script.clone());
            set.map_err(|source| InvalidScenario::Script { index, source })?;
        }
        for (index, fault) in state.scenario.faults.iter().enumerate() {
            let set = state.faults.set(now, fault.clone());
            set.map_err(|source| InvalidScenario::Fault { index, source })?;
        }
        // In force beside this state: they have a lock of their own.
        for (index, limit) in state.scenario.rate_limits.iter().enumerate() {
            let valid = limit.validate();
            valid.map_err(|source| InvalidScenario::RateLimit { index, source })?;
        }
        Ok(state)
    }
}
