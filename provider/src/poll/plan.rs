//! Which queries are asked together, how often, and which are left out; pure.
//!
//! A [`Plan`] divides what is wanted into batches, each one request. At every moment the batch that
//! has waited the longest, by its own period, is the next. So batches are always full, and they
//! spread over the period by themselves.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    datadog::{
        batch::{Limits, split},
        coalesce::{Unit, coalesce},
    },
    query::Ask,
    store::Shortage,
};

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Time between two calls of a batch, where the budget allows it.
    pub(super) refresh: Duration,
    /// What one request may carry.
    pub(super) limits: Limits,
    /// Whether queries that differ in one tag's value are asked as one.
    pub(super) coalesce: bool,
}

/// One query that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) ask: Ask,
    /// The longest time between two calls with which its samples stay within max age.
    pub(super) longest_period: Duration,
    pub(super) urgency: Urgency,
}

/// The smaller, the more urgent: what autoscalers want before what is only kept up to date, and of
/// those the oldest first, so that a newcomer never takes from what works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency {
    pub(super) unreferenced: bool,
    pub(super) created: Option<Timestamp>,
}

/// Queries that share a request.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    pub(super) window: Duration,
    pub(super) units: Vec<Unit>,
    longest_period: Duration,
    asked_at: Option<Instant>,
    pub(super) in_flight: bool,
}

/// All batches and their pace.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) batches: Vec<Batch>,
    /// What does not fit into the budget, and why.
    pub(super) shed: Vec<Ask>,
    pub(super) shortage: Option<Shortage>,
    /// The time between two calls of a batch; at least the refresh period.
    pub(super) period: Duration,
    last_sent: Option<Instant>,
    /// The budget that it was fitted to, calls per second.
    made_for: Option<f64>,
}

/// Calls per second that a budget allows, with the window that says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowed {
    pub(super) rate: f64,
    pub(super) limit: u32,
    pub(super) window: Duration,
}

impl Plan {
    /// Divides `wants`; `asked` says when each was asked last, `apart` which must not be coalesced.
    pub(super) fn new(
        mut wants: Vec<Want>,
        settings: &Settings,
        asked: &HashMap<Ask, Instant>,
        apart: &HashSet<Ask>,
        allowed: Option<Allowed>,
    ) -> Self {
        let whole = batches(&wants, settings, apart);
        let mut plan = Self { period: settings.refresh, ..Self::default() };
        match allowed {
            Some(allowed) if !fits(&whole, allowed.rate) => {
                wants.sort_by(|a, b| (a.urgency, &a.ask).cmp(&(b.urgency, &b.ask)));
                let fitting = longest_fitting(&wants, |wants| {
                    fits(&batches(wants, settings, apart), allowed.rate)
                });
                let needed = calls_per_second(&whole, Duration::MAX) * allowed.window.as_secs_f64();
                plan.shortage = Some(Shortage {
                    limit: allowed.limit,
                    period: allowed.window,
                    queries: wants.len(),
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a positive count, saturating"
                    )]
                    needed: needed.ceil() as u64,
                    fitting,
                });
                plan.shed = wants.split_off(fitting).into_iter().map(|want| want.ask).collect();
                plan.batches = batches(&wants, settings, apart);
            }
            _ => plan.batches = whole,
        }
        for batch in &mut plan.batches {
            let mut members = batch.units.iter().flat_map(Unit::members);
            // `None`, never asked, is the least.
            batch.asked_at = members.by_ref().map(|ask| asked.get(ask).copied()).min().flatten();
        }
        plan.made_for = allowed.map(|allowed| allowed.rate);
        plan.set_rate(plan.made_for, settings.refresh);
        plan
    }

    /// Stretches the period until the calls fit into `rate` per second, as far as max age allows.
    pub(super) fn set_rate(&mut self, rate: Option<f64>, refresh: Duration) {
        self.period = refresh;
        let Some(rate) = rate else { return };
        let longest = self.batches.iter().map(|batch| batch.longest_period).max();
        let longest = longest.unwrap_or(refresh).max(refresh);
        if calls_per_second(&self.batches, refresh) <= rate {
            return;
        }
        // The need falls with the period: halve the interval until it is known to a hundredth.
        let (mut short, mut long) = (refresh, longest);
        while long.saturating_sub(short) > refresh / 100 {
            let middle = (short + long) / 2;
            if calls_per_second(&self.batches, middle) <= rate {
                long = middle;
            } else {
                short = middle;
            }
        }
        self.period = long;
    }

    /// Whether another plan is due for a budget of `rate` calls per second: this one does not fit
    /// into it even at its slowest, or leaves out queries for which there is clearly room again.
    pub(super) fn is_unfit(&self, rate: Option<f64>) -> bool {
        let Some(rate) = rate else { return !self.shed.is_empty() };
        let roomy = self.made_for.is_none_or(|made_for| rate > made_for * 1.1);
        !fits(&self.batches, rate) || (!self.shed.is_empty() && roomy)
    }

    /// Calls per second at the current pace.
    pub(super) fn calls_per_second(&self) -> f64 {
        calls_per_second(&self.batches, self.period)
    }

    /// Which batch is next, and when.
    pub(super) fn next(&self, now: Instant) -> Option<(usize, Instant)> {
        let waiting = self.batches.iter().enumerate().filter(|(_, batch)| !batch.in_flight);
        let lateness = |batch: &Batch| match batch.asked_at {
            None => f64::INFINITY,
            Some(at) => {
                now.duration_since(at).as_secs_f64() / batch.period(self.period).as_secs_f64()
            }
        };
        let (index, batch) =
            waiting.max_by(|(_, a), (_, b)| lateness(a).total_cmp(&lateness(b)))?;
        let due = batch.asked_at.map_or(now, |at| at + batch.period(self.period));
        // Earlier than it is due, so that batches that were asked at once spread over the period.
        let gap = Duration::try_from_secs_f64(1.0 / self.calls_per_second()).unwrap_or(self.period);
        let early = self.last_sent.map(|at| at + gap);
        Some((index, early.map_or(due, |early| early.min(due))))
    }

    /// The batch goes out now.
    pub(super) fn send(&mut self, index: usize, now: Instant) -> Option<&Batch> {
        self.last_sent = Some(now);
        let batch = self.batches.get_mut(index)?;
        batch.asked_at = Some(now);
        batch.in_flight = true;
        Some(batch)
    }

    /// No batches yet, after a call at this time.
    pub(super) fn sent(last_sent: Option<Instant>) -> Self {
        Self { last_sent, ..Self::default() }
    }

    /// Keeps the pace of the plan before this one. The first begins with what was just asked at
    /// once: spread over the next period, lest it all be due together at its end.
    pub(super) fn after(mut self, before: &Self, now: Instant) -> Self {
        self.last_sent = before.last_sent.or(Some(now));
        self
    }
}

impl Batch {
    /// The time between two of its calls at a pace of `period`.
    fn period(&self, period: Duration) -> Duration {
        period.min(self.longest_period)
    }
}

/// Calls per second for all of `batches` at a pace of `period`.
fn calls_per_second(batches: &[Batch], period: Duration) -> f64 {
    batches.iter().map(|batch| 1.0 / batch.period(period).as_secs_f64()).sum()
}

/// Whether `batches`, asked as rarely as their max age allows, fit into `rate`.
fn fits(batches: &[Batch], rate: f64) -> bool {
    calls_per_second(batches, Duration::MAX) <= rate
}

/// The largest number of first elements for which `fits` holds.
fn longest_fitting<T>(all: &[T], fits: impl Fn(&[T]) -> bool) -> usize {
    let (mut low, mut high) = (0, all.len());
    while low < high {
        let middle = usize::midpoint(low, high + 1);
        if fits(&all[..middle]) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

/// Divides `wants` into requests.
pub(super) fn batches(wants: &[Want], settings: &Settings, apart: &HashSet<Ask>) -> Vec<Batch> {
    // What shares a request shares its window, and what may wait long does not wait for others.
    let mut classes: BTreeMap<(Duration, Duration), Vec<Ask>> = BTreeMap::new();
    for Want { ask, longest_period, .. } in wants {
        let longest_period = in_steps(*longest_period, settings.refresh);
        classes.entry((ask.window, longest_period)).or_default().push(ask.clone());
    }
    let mut batches = Vec::new();
    for ((window, longest_period), mut asks) in classes {
        asks.sort_unstable();
        for units in
            split(units(asks, settings, apart), |unit| unit.ask().query.as_str(), settings.limits)
        {
            batches.push(Batch { window, units, longest_period, asked_at: None, in_flight: false });
        }
    }
    batches
}

fn units(asks: Vec<Ask>, settings: &Settings, apart: &HashSet<Ask>) -> Vec<Unit> {
    if !settings.coalesce {
        return asks.into_iter().map(Unit::Alone).collect();
    }
    let (alone, together): (Vec<_>, Vec<_>) = asks.into_iter().partition(|ask| apart.contains(ask));
    let mut units = coalesce(&together, settings.limits);
    units.extend(alone.into_iter().map(Unit::Alone));
    units
}

/// Whole refresh periods, at least one and at most ten: batches of slightly different max ages fill
/// up together.
fn in_steps(longest_period: Duration, refresh: Duration) -> Duration {
    (1..=10)
        .rev()
        .map(|steps| refresh * steps)
        .find(|step| *step <= longest_period)
        .unwrap_or(refresh)
}

#[cfg(test)]
mod tests;
