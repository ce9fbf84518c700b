//! What the poll loop knows; pure: demand and answers go in, due queries and snapshots come out.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    datadog::{Error, Series},
    demand::{Demand, MetricKey, Wanted},
    poll::{
        plan::{Urgency, Want},
        state::told::Told,
    },
    query::{
        Ask, Defaults,
        resolve::{Resolved, resolve},
    },
    sample::{self, Sample},
    store::{Asking, Entry, Outcome, Shortage, Snapshot},
};

mod told;

/// What came back for one question: its series, or why there are none.
pub(super) type Answer = (Ask, Result<Vec<Series>, Arc<Error>>);

/// The entries, and which question is whose.
#[derive(Debug)]
pub(super) struct State {
    defaults: Defaults,
    snapshot: Snapshot,
    /// Which entries each question answers.
    asks: BTreeMap<Ask, Vec<usize>>,
    told: Told,
}

impl State {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, snapshot: Snapshot::default(), asks: BTreeMap::new(), told: Told::new() }
    }

    /// Takes over what is wanted now. Entries that stay keep their samples.
    pub(super) fn set_demand(&mut self, demand: &Arc<Demand>, now: Timestamp) {
        let before: HashMap<&MetricKey, &Arc<Entry>> =
            self.snapshot.iter().map(|(key, _, entry)| (key, entry)).collect();
        let entries: Vec<Arc<Entry>> = demand
            .iter()
            .map(|(key, wanted)| {
                let resolved = resolve(key, wanted, &self.defaults);
                let before = before.get(key).copied();
                let known = before.filter(|before| before.ask == resolved.ask);
                entry(known.or_else(|| self.of_ask(&resolved)), before, wanted, resolved, now)
            })
            .collect();
        let mut asks: BTreeMap<Ask, Vec<usize>> = BTreeMap::new();
        for (position, entry) in entries.iter().enumerate() {
            if let Ok(ask) = &entry.ask {
                asks.entry(ask.clone()).or_default().push(position);
            }
        }
        self.asks = asks;
        self.snapshot = Snapshot::new(demand.clone(), &entries);
    }

    /// An entry of another metric with the same question.
    fn of_ask(&self, resolved: &Resolved) -> Option<&Arc<Entry>> {
        let positions = self.asks.get(resolved.ask.as_ref().ok()?)?;
        self.snapshot.at(*positions.first()?)
    }

    pub(super) fn wants_ask(&self, ask: &Ask) -> bool {
        self.asks.contains_key(ask)
    }

    /// The questions of which nothing is known yet.
    pub(super) fn never_answered(&self) -> impl Iterator<Item = &Ask> {
        let first = |(_, positions): &(&Ask, &Vec<usize>)| {
            let mut entries = positions.iter().filter_map(|position| self.snapshot.at(*position));
            entries.all(|entry| entry.last.is_none())
        };
        self.asks.iter().filter(first).map(|(ask, _)| ask)
    }

    /// The questions for which `filter` holds, with what those who want them need.
    pub(super) fn wants(&self, filter: impl Fn(&Ask) -> bool) -> Vec<Want> {
        let asks = self.asks.iter().filter(|(ask, _)| filter(ask));
        asks.filter_map(|(ask, positions)| {
            let metrics = || positions.iter().filter_map(|position| self.want(*position));
            let longest_period = metrics().map(|(period, _)| period).min()?;
            let urgency = metrics().map(|(_, urgency)| urgency).min()?;
            Some(Want { ask: ask.clone(), longest_period, urgency })
        })
        .collect()
    }

    fn want(&self, position: usize) -> Option<(std::time::Duration, Urgency)> {
        let entry = self.snapshot.at(position)?;
        let (_, wanted) = self.snapshot.demand().get(position)?;
        // The second newest bucket is up to two buckets old when it can be read.
        let rollup = entry.rollup.unwrap_or(self.defaults.rollup);
        let longest_period = entry.age_limit.saturating_sub(rollup * 2);
        let oldest = wanted.by.first();
        let created = oldest.and_then(|by| by.created);
        Some((longest_period, Urgency { unreferenced: oldest.is_none(), created }))
    }

    /// Whether the last answer to the question was that there is no series.
    pub(super) fn is_absent(&self, ask: &Ask) -> bool {
        let first = self.asks.get(ask).and_then(|positions| positions.first());
        let entry = first.and_then(|position| self.snapshot.at(*position));
        matches!(entry.and_then(|entry| entry.last.as_ref()), Some((_, Outcome::NoSeries)))
    }

    /// These are not asked any more.
    pub(super) fn shed(&mut self, asks: &[Ask], shortage: &Arc<Shortage>, now: Timestamp) {
        for ask in asks {
            self.set(ask, now, None, &Outcome::Shed(shortage.clone()));
        }
    }

    /// Takes in the answers of one call made at `asked_at`.
    pub(super) fn record(&mut self, asked_at: Timestamp, answers: Vec<Answer>) {
        for (ask, answer) in answers {
            let (sample, outcome) = outcome(answer);
            self.set(&ask, asked_at, sample, &outcome);
        }
    }

    pub(super) fn snapshot(&self, asking: Arc<Asking>) -> Snapshot {
        self.snapshot.clone().with(asking)
    }

    fn set(&mut self, ask: &Ask, at: Timestamp, sample: Option<Sample>, outcome: &Outcome) {
        for position in self.asks.get(ask).into_iter().flatten() {
            log_change(&self.snapshot, *position, outcome);
            let Some(entry) = self.snapshot.at_mut(*position) else { continue };
            entry.last = Some((at, outcome.clone()));
            if !outcome.is_sample() {
                entry.last_error.clone_from(&entry.last);
            }
            // An older sample stays: it is served as long as it is fresh.
            entry.sample = newest(entry.sample, sample);
        }
    }
}

/// The entry for `resolved`. `known` is one with the same question, `before` the one of the same
/// metric.
fn entry(
    known: Option<&Arc<Entry>>,
    before: Option<&Arc<Entry>>,
    wanted: &Wanted,
    resolved: Resolved,
    now: Timestamp,
) -> Arc<Entry> {
    let Resolved { ask, rollup, age_limit, fallback } = resolved;
    let since = before.map_or(now, |before| before.since);
    let new = Entry {
        ask,
        rollup,
        age_limit,
        fallback,
        since,
        sample: None,
        last: None,
        last_error: None,
    };
    let Some(known) = known else {
        if let (Err(error), Some(by)) = (&new.ask, wanted.by.first()) {
            tracing::warn!(autoscaler = %by, %error, "metric cannot be asked for");
        }
        return Arc::new(new);
    };
    // What was asked before answers for the new limits, too.
    let limits = |entry: &Entry| (entry.age_limit, entry.fallback, entry.since);
    if limits(known) == limits(&new) {
        return known.clone();
    }
    let Entry { sample, last, last_error, .. } = Entry::clone(known);
    Arc::new(Entry { sample, last, last_error, ..new })
}

fn outcome(answer: Result<Vec<Series>, Arc<Error>>) -> (Option<Sample>, Outcome) {
    let series = match answer {
        Ok(series) => series,
        Err(error) => return (None, Outcome::Failed(error)),
    };
    match series.as_slice() {
        [] => (None, Outcome::NoSeries),
        [one] => match sample::choose(&one.points) {
            Ok(sample) => (Some(sample), Outcome::Sampled),
            Err(reason) => (None, Outcome::NoSample(reason)),
        },
        several => (None, Outcome::SeveralSeries(several.len())),
    }
}

fn newest(before: Option<Sample>, new: Option<Sample>) -> Option<Sample> {
    match (before, new) {
        // The same point may be read again with a better value: late points move a bucket.
        (Some(before), Some(new)) if new.at < before.at => Some(before),
        (before, new) => new.or(before),
    }
}

/// One line when the state of a metric changes, in the words that the API uses; nothing while it
/// stays as it is.
fn log_change(snapshot: &Snapshot, position: usize, new: &Outcome) {
    let (Some((key, _)), Some(entry)) = (snapshot.demand().get(position), snapshot.at(position))
    else {
        return;
    };
    let before = entry.last.as_ref().map(|(_, outcome)| std::mem::discriminant(outcome));
    if before == Some(std::mem::discriminant(new)) {
        return;
    }
    let query = entry.ask.as_ref().map_or("", |ask| ask.query.as_str());
    match new {
        Outcome::Sampled => tracing::info!(metric = %key, query, "metric has a sample"),
        Outcome::NoSeries => {
            tracing::warn!(metric = %key, query, "Returned series slice empty");
        }
        Outcome::NoSample(reason) => {
            tracing::warn!(metric = %key, query, %reason, "no usable point");
        }
        Outcome::SeveralSeries(series) => {
            tracing::warn!(metric = %key, query, series, "query gives more than one series");
        }
        Outcome::Failed(error) => tracing::warn!(metric = %key, query, %error, "query failed"),
        Outcome::Shed(shortage) => {
            tracing::warn!(metric = %key, query, %shortage, "query left out");
        }
    }
}

#[cfg(test)]
mod tests;
