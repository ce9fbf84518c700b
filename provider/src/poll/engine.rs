//! Decides which call goes out next and what becomes of its answer; pure in `now`.
//!
//! In order of precedence: what must be asked at once (new metrics, halves of a refused request,
//! what a coalesced answer lacked), refused queries whose time has come, and the batch of the
//! [`Plan`] that has waited the longest. All pass the same gate: calls in flight, the budget, and
//! the probe during an outage.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    datadog::{
        Error, Exchange, Series,
        batch::split,
        coalesce::{Group, Unit},
    },
    demand::Demand,
    poll::{
        gate::{Gate, Passage},
        plan::{Allowed, Plan, Settings},
        refused::Refused,
        state::State,
    },
    query::{Ask, Defaults},
    store::{Asking, Snapshot},
};

mod roles;

/// One request to make.
#[derive(Debug)]
pub(super) struct Call {
    /// How far back it looks.
    pub(super) window: Duration,
    /// Its queries.
    pub(super) units: Vec<Unit>,
    /// The place of its batch in the plan of this number.
    batch: Option<(u64, usize)>,
}

/// What to do now.
#[derive(Debug)]
pub(super) enum Next {
    /// Make this call.
    Call(Call),
    /// Nothing before this moment; `None`: nothing before something else happens.
    Wait(Option<Instant>),
}

/// Requests that may be halved in one refresh period, at least: enough to find some bad queries in
/// one period, too few to multiply the calls when Datadog refuses everything.
const HALVINGS: usize = 64;

/// Refresh periods for which the queries of a refused group are asked one by one.
const APART: u32 = 60;

/// All that decides.
#[derive(Debug)]
pub(super) struct Engine {
    settings: Settings,
    gate: Gate,
    state: State,
    plan: Plan,
    /// Counts plans, so that a late answer does not touch the batch of another one.
    plans: u64,
    planned_at: Option<Instant>,
    plan_is_old: bool,
    asked: HashMap<Ask, Instant>,
    refused: Refused,
    apart: HashMap<Ask, Instant>,
    urgent: VecDeque<Call>,
    halvings: usize,
    pace: Pace,
    /// Whether we ask; a follower only learns.
    leads: bool,
    /// How the leader's asking goes, and when it said so.
    told: Option<(Asking, Instant)>,
}

/// Whether the budget is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Enough,
    /// With longer periods.
    Stretched,
    /// Not even then.
    Short,
}

impl Engine {
    pub(super) fn new(settings: Settings, defaults: Defaults, gate: Gate) -> Self {
        Self {
            settings,
            gate,
            state: State::new(defaults),
            plan: Plan::default(),
            plans: 0,
            planned_at: None,
            plan_is_old: false,
            asked: HashMap::new(),
            refused: Refused::new(settings.refresh),
            apart: HashMap::new(),
            urgent: VecDeque::new(),
            halvings: HALVINGS,
            pace: Pace::Enough,
            leads: true,
            told: None,
        }
    }

    /// Takes over what is wanted now; what nobody asked before the leader asks at once.
    pub(super) fn set_demand(&mut self, demand: &Arc<Demand>, wall: Timestamp, now: Instant) {
        self.state.set_demand(demand, wall);
        self.state.recall(self.leads, now);
        let state = &self.state;
        self.asked.retain(|ask, _| state.wants_ask(ask));
        self.apart.retain(|ask, _| state.wants_ask(ask));
        self.refused.retain(|ask| state.wants_ask(ask));
        for call in &mut self.urgent {
            call.units.retain(|unit| unit.members().any(|ask| state.wants_ask(ask)));
        }
        self.urgent.retain(|call| !call.units.is_empty());
        if self.leads {
            self.ask_new(wall, now);
        }
    }

    /// What to do at `now`.
    pub(super) fn next(&mut self, wall: Timestamp, now: Instant) -> Next {
        if !self.leads {
            return Next::Wait(None);
        }
        if let Passage::Closed(until) = self.gate.passage(now) {
            return Next::Wait(until);
        }
        self.adjust(wall, now);
        if let Some(call) = self.urgent.pop_front() {
            return self.send(call, now);
        }
        if let Some((window, asks)) = self.refused.take_due(self.settings.limits.queries, now) {
            let units = asks.into_iter().map(Unit::Alone).collect();
            return self.send(Call { window, units, batch: None }, now);
        }
        match self.plan.next(now) {
            Some((index, at)) if at <= now => {
                let Some(batch) = self.plan.send(index, now) else { return Next::Wait(None) };
                let (window, units) = (batch.window, batch.units.clone());
                self.send(Call { window, units, batch: Some((self.plans, index)) }, now)
            }
            batch => {
                let batch = batch.map(|(_, at)| at);
                Next::Wait([batch, self.refused.due_at()].into_iter().flatten().min())
            }
        }
    }

    /// Takes in what came of `call`, which was made at `asked_at`. `random` is between 0 and 1.
    pub(super) fn answered(
        &mut self,
        call: Call,
        exchange: Exchange,
        asked_at: Timestamp,
        now: Instant,
        random: f64,
    ) {
        self.ended(&call);
        self.gate.observe(&exchange, now);
        match exchange.result {
            Ok(series) => self.divide(call, series, asked_at, now),
            Err(error) if error.is_about_a_query() => {
                self.isolate(call, Arc::new(error), asked_at, now, random);
            }
            Err(error) => {
                let error = Arc::new(error);
                self.gate.failed(&error, now, random);
                for ask in call.units.iter().flat_map(Unit::members) {
                    self.refused.not_judged(ask, now);
                }
                self.fail(&call, &error, asked_at);
            }
        }
        if !self.leads {
            // What its answer calls for is the next leader's.
            self.urgent.clear();
        }
    }

    /// A call ended without an answer, by a bug in its code.
    pub(super) fn lost(&mut self, call: &Call) {
        self.ended(call);
        self.plan_is_old = true;
    }

    /// The state of all metrics, and of the asking itself.
    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        if let Some(asking) = self.told(now) {
            return self.state.snapshot(Arc::new(asking));
        }
        let per_second = self.plan.calls_per_second();
        let asking = Asking {
            trouble: self.gate.trouble().cloned(),
            budget: self.gate.reading(now),
            period: self.plan.period,
            calls_per_hour: per_second * 3600.0,
            shortage: self.plan.shortage.clone(),
            refused: self.refused.len(),
            clock_skew: self.gate.clock_skew(),
        };
        self.state.snapshot(Arc::new(asking))
    }

    fn ended(&mut self, call: &Call) {
        self.gate.ended();
        if let Some((plan, index)) = call.batch
            && plan == self.plans
            && let Some(batch) = self.plan.batches.get_mut(index)
        {
            batch.in_flight = false;
        }
    }

    fn send(&mut self, call: Call, now: Instant) -> Next {
        self.gate.began();
        for ask in call.units.iter().flat_map(Unit::members) {
            if let Some(at) = self.asked.get_mut(ask) {
                *at = now;
            } else {
                self.asked.insert(ask.clone(), now);
            }
        }
        Next::Call(call)
    }

    /// Ties the series of an answer to those who want them.
    fn divide(&mut self, call: Call, series: Vec<Vec<Series>>, asked_at: Timestamp, now: Instant) {
        let mut answers = Vec::with_capacity(call.units.len());
        let mut lacking = Vec::new();
        for (unit, series) in call.units.into_iter().zip(series) {
            match unit {
                Unit::Alone(ask) => answers.push((ask, Ok(series))),
                Unit::Group(group) => {
                    let split = group.split(series);
                    if split.too_many_strangers() {
                        tracing::info!(query = %group.ask.query, groups = split.strangers, "answer has too many groups that nobody wants, asking one by one");
                        self.set_apart(&group, now);
                    }
                    answers.extend(split.found.into_iter().map(|(ask, series)| (ask, Ok(series))));
                    // Known to have no series is as good as asked alone.
                    let (known, unknown): (Vec<_>, Vec<_>) =
                        split.missing.into_iter().partition(|ask| self.state.is_absent(ask));
                    answers.extend(known.into_iter().map(|ask| (ask, Ok(vec![]))));
                    lacking.extend(unknown);
                }
            }
        }
        for (ask, _) in &answers {
            if self.refused.accepted(ask, now) {
                self.plan_is_old = true;
            }
        }
        self.state.record(asked_at, answers);
        self.ask_alone(call.window, lacking);
    }

    /// Finds the query that is the cause of a refusal, in this same refresh.
    fn isolate(
        &mut self,
        mut call: Call,
        error: Arc<Error>,
        asked_at: Timestamp,
        now: Instant,
        random: f64,
    ) {
        match call.units.as_slice() {
            [Unit::Alone(ask)] => {
                self.refused.refused(ask, now, random);
                self.plan_is_old = true;
                self.state.record(asked_at, vec![(ask.clone(), Err(error))]);
            }
            [Unit::Group(group)] => {
                let group = group.clone();
                tracing::info!(query = %group.ask.query, %error, "coalesced query refused, asking one by one");
                self.set_apart(&group, now);
                self.ask_alone(call.window, group.members.values().cloned().collect());
            }
            units if self.halvings == 0 => {
                tracing::warn!(%error, queries = units.len(), "request refused, looking for the query later");
                self.fail(&call, &error, asked_at);
            }
            units => {
                tracing::debug!(%error, queries = units.len(), "request refused, asking for its halves");
                self.halvings -= 1;
                let second = call.units.split_off(units.len() / 2);
                let (window, batch) = (call.window, None);
                self.urgent.push_front(Call { window, units: second, batch });
                self.urgent.push_front(Call { window, units: call.units, batch });
            }
        }
    }

    fn fail(&mut self, call: &Call, error: &Arc<Error>, asked_at: Timestamp) {
        let members = call.units.iter().flat_map(Unit::members);
        let answers = members.map(|ask| (ask.clone(), Err(error.clone()))).collect();
        self.state.record(asked_at, answers);
    }

    fn ask_alone(&mut self, window: Duration, asks: Vec<Ask>) {
        let units = asks.into_iter().map(Unit::Alone);
        for units in split(units, |unit| unit.ask().query.as_str(), self.settings.limits) {
            self.urgent.push_back(Call { window, units, batch: None });
        }
    }

    fn set_apart(&mut self, group: &Group, now: Instant) {
        let until = now + self.settings.refresh * APART;
        self.apart.extend(group.members.values().map(|ask| (ask.clone(), until)));
        self.plan_is_old = true;
    }

    fn apart(&self, now: Instant) -> HashSet<Ask> {
        self.apart.iter().filter(|(_, until)| **until > now).map(|(ask, _)| ask.clone()).collect()
    }

    /// Ten times a refresh period at most: fits the pace to the budget, and makes a new plan where
    /// the old one holds queries that left it, or does not fit any more.
    fn adjust(&mut self, wall: Timestamp, now: Instant) {
        let since = self.planned_at.map_or(Duration::MAX, |at| now.duration_since(at));
        if since < self.settings.refresh / 10 {
            return;
        }
        let rate = self.gate.rate(now);
        if self.plan_is_old || (self.plan.is_unfit(rate) && since >= self.settings.refresh) {
            self.make_plan(wall, now);
        } else {
            self.plan.set_rate(rate, self.settings.refresh);
            self.warn_of_budget();
        }
        if since >= self.settings.refresh {
            self.halvings = HALVINGS.max(self.plan.batches.len());
        }
    }

    fn make_plan(&mut self, wall: Timestamp, now: Instant) {
        let wants = self.state.wants(|ask| !self.refused.contains(ask));
        let reading = self.gate.reading(now);
        let allowed = self.gate.rate(now).zip(reading).map(|(rate, reading)| Allowed {
            rate,
            limit: reading.limit,
            window: reading.period,
        });
        let plan = Plan::new(wants, &self.settings, &self.asked, &self.apart(now), allowed);
        self.plan = plan.after(&self.plan, now);
        self.plans += 1;
        self.planned_at = Some(now);
        self.plan_is_old = false;
        if let Some(shortage) = &self.plan.shortage {
            self.state.shed(&self.plan.shed, &Arc::new(shortage.clone()), wall);
        }
        self.warn_of_budget();
    }

    /// One line when the budget begins to be short, long before it runs out, and one when it is
    /// enough again.
    fn warn_of_budget(&mut self) {
        let pace = match &self.plan.shortage {
            Some(_) => Pace::Short,
            None if self.plan.period > self.settings.refresh => Pace::Stretched,
            None => Pace::Enough,
        };
        if pace == self.pace {
            return;
        }
        self.pace = pace;
        let period = humantime::format_duration(Duration::from_secs(self.plan.period.as_secs()));
        match (pace, &self.plan.shortage) {
            (Pace::Short, Some(shortage)) => tracing::warn!(%shortage, "query budget exceeded"),
            (Pace::Stretched, _) => {
                tracing::warn!(%period, "query budget is short, refreshing more rarely");
            }
            _ => tracing::info!(%period, "query budget is enough for the refresh period again"),
        }
    }
}

#[cfg(test)]
mod tests;
