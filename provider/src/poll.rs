//! The loop: who wants what → which queries are due → ask Datadog → store what it said.
//!
//! [`Poll`] is the only writer of the store, and `engine` decides everything. Calls run beside the
//! loop, so that a slow Datadog delays neither new demand nor the answers to other calls. Of several
//! replicas only the leader asks; the others take in what it tells.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

use crate::{
    datadog::{Client, Exchange, batch::Limits, coalesce::Unit},
    demand::Demand,
    lead::{Leadership, Permit, Role},
    metrics::Metrics,
    poll::{
        engine::{Call, Engine, Next},
        gate::Gate,
        plan::Settings,
    },
    query::{Defaults, Query},
    store::{Snapshot, known::News},
    telemetry,
};

mod backoff;
mod engine;
mod gate;
mod plan;
mod refused;
mod state;

/// How metrics are refreshed.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Every wanted metric is asked for once in this time, where the budget allows it.
    pub refresh_period: Duration,
    /// What holds for a metric whose objects say nothing else.
    pub defaults: Defaults,
    /// What one request may carry.
    pub batch: Limits,
    /// Requests in flight at once, at least one.
    pub max_parallel: usize,
    /// Whether queries that differ in one tag's value are asked as one.
    pub coalesce: bool,
}

/// One replica's place among several.
#[derive(Debug)]
pub struct Seat {
    /// What we are.
    pub leadership: watch::Receiver<Leadership>,
    /// Whether a call may start.
    pub permit: Permit,
    /// What others know. What is in the channel when the loop starts is known before anything is
    /// asked.
    pub news: mpsc::Receiver<News>,
    /// Tracks the calls to Datadog that are under way.
    pub calls: TaskTracker,
}

impl Seat {
    /// That of the only replica.
    pub fn alone() -> Self {
        Self {
            leadership: watch::channel(Leadership::alone()).1,
            permit: Permit::endless(),
            news: mpsc::channel(1).1,
            calls: TaskTracker::new(),
        }
    }
}

/// The poll loop.
#[derive(Debug)]
pub struct Poll {
    client: Client,
    metrics: Arc<Metrics>,
    engine: Engine,
    store: watch::Sender<Arc<Snapshot>>,
    seat: Seat,
    running: JoinSet<Option<(Timestamp, Exchange)>>,
    calls: HashMap<Id, Call>,
}

impl Poll {
    /// A loop that asks `client` and publishes to `store`, the only one unless [`Poll::seated`].
    pub fn new(
        client: Client,
        config: Config,
        metrics: Arc<Metrics>,
        store: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        let settings = Settings {
            refresh: config.refresh_period,
            limits: config.batch,
            coalesce: config.coalesce,
        };
        let endpoints = client.endpoints().len();
        let gate = Gate::new(config.refresh_period, config.max_parallel, endpoints);
        let engine = Engine::new(settings, config.defaults, gate);
        let (running, calls) = (JoinSet::new(), HashMap::new());
        Self { client, metrics, engine, store, seat: Seat::alone(), running, calls }
    }

    /// The same as one of several.
    #[must_use]
    pub fn seated(self, seat: Seat) -> Self {
        Self { seat, ..self }
    }

    /// Runs until `stop`, or until nobody can send demand any more.
    pub async fn run(
        mut self,
        mut demand: watch::Receiver<Option<Arc<Demand>>>,
        stop: CancellationToken,
    ) {
        self.take_role();
        loop {
            let wake = self.start_calls();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = demand.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = demand.borrow_and_update().clone();
                    if let Some(wanted) = wanted {
                        self.take_news();
                        self.engine.set_demand(&wanted, Timestamp::now(), Instant::now());
                        self.publish();
                    }
                }
                Some(ended) = self.running.join_next_with_id() => {
                    self.ended(ended);
                    self.publish();
                }
                Ok(()) = self.seat.leadership.changed() => {
                    self.take_role();
                    self.publish();
                }
                Some(news) = self.seat.news.recv() => {
                    self.engine.learn(news, Timestamp::now(), Instant::now());
                    self.take_news();
                    self.publish();
                }
                () = self.seat.permit.changed() => {}
                () = until(wake) => {}
            }
        }
    }

    /// Becomes what we are by now. A leader begins with all that is known by then; a follower has
    /// forgotten what it was told before it led.
    fn take_role(&mut self) {
        let role = self.seat.leadership.borrow_and_update().role.clone();
        if role == Role::Leader {
            self.take_news();
        }
        self.engine.set_role(&role, Timestamp::now(), Instant::now());
        self.take_news();
    }

    fn take_news(&mut self) {
        while let Ok(news) = self.seat.news.try_recv() {
            self.engine.learn(news, Timestamp::now(), Instant::now());
        }
    }

    /// Starts what may be started now; gives the time at which there is more.
    fn start_calls(&mut self) -> Option<Instant> {
        loop {
            let now = Instant::now();
            if !self.seat.permit.holds(now) {
                return None; // a change of it wakes us
            }
            match self.engine.next(Timestamp::now(), now) {
                Next::Call(call) => self.start(call),
                Next::Wait(at) => return at,
            }
        }
    }

    fn start(&mut self, call: Call) {
        let client = self.client.clone();
        let queries: Vec<Query> = call.units.iter().map(|unit| unit.ask().query.clone()).collect();
        let window = call.window;
        let span = tracing::trace_span!(
            target: telemetry::SPANS,
            "datadog query",
            otel.kind = "client",
            queries = queries.len(),
        );
        let permit = self.seat.permit.clone();
        let ask = async move {
            // Again: the process may have been paused since the loop looked.
            let may = || permit.holds(Instant::now());
            if !may() {
                return None;
            }
            let now = Timestamp::now();
            Some((now, client.ask_while(&queries, now, window, &may).await))
        };
        let ask = self.seat.calls.track_future(ask);
        let task = self.running.spawn(ask.instrument(span));
        self.calls.insert(task.id(), call);
    }

    fn ended(&mut self, ended: Result<(Id, Option<(Timestamp, Exchange)>), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(call) = self.calls.remove(&id) else { return };
        match ended {
            Ok((_, Some((asked_at, exchange)))) => {
                let asks = call.units.iter().flat_map(Unit::members);
                self.metrics.datadog_request(&exchange, asks, asked_at);
                self.engine.answered(call, exchange, asked_at, Instant::now(), fastrand::f64());
            }
            Ok((_, None)) => self.engine.lost(&call),
            Err(error) => {
                // A bug in the call's own code; its queries must be asked again.
                tracing::error!(%error, "call to Datadog ended without an answer");
                self.engine.lost(&call);
            }
        }
    }

    fn publish(&self) {
        self.store.send_replace(Arc::new(self.engine.snapshot(Instant::now())));
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
