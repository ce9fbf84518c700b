//! What the poll loop knows; pure: demand and answers go in, due queries and snapshots come out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    datadog::{Error, Series},
    demand::{Demand, MetricKey, Wanted},
    query::{
        Ask, Defaults,
        resolve::{Resolved, resolve},
    },
    sample::{self, Sample},
    store::{Entry, Outcome, Snapshot},
};

/// Entries and the calls that are under way.
#[derive(Debug)]
pub(super) struct State {
    defaults: Defaults,
    snapshot: Snapshot,
    /// Which entries each question answers.
    asks: BTreeMap<Ask, Vec<usize>>,
    in_flight: BTreeSet<Ask>,
}

impl State {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self {
            defaults,
            snapshot: Snapshot::default(),
            asks: BTreeMap::new(),
            in_flight: BTreeSet::new(),
        }
    }

    /// Takes over what is wanted now. Entries that stay keep their samples. Gives the queries that
    /// nobody asked before, to be asked at once.
    pub(super) fn set_demand(&mut self, demand: &Arc<Demand>, now: Timestamp) -> BTreeSet<Ask> {
        let before: HashMap<&MetricKey, &Arc<Entry>> =
            self.snapshot.iter().map(|(key, _, entry)| (key, entry)).collect();
        let entries: Vec<Arc<Entry>> = demand
            .iter()
            .map(|(key, wanted)| entry(before.get(key).copied(), key, wanted, &self.defaults, now))
            .collect();
        let mut new = BTreeSet::new();
        self.asks.clear();
        for (position, entry) in entries.iter().enumerate() {
            let Ok(ask) = &entry.ask else { continue };
            self.asks.entry(ask.clone()).or_default().push(position);
            if entry.last.is_none() {
                new.insert(ask.clone());
            }
        }
        self.snapshot = Snapshot::new(demand.clone(), entries);
        self.take_flight(new)
    }

    /// The queries to ask at a refresh: all but those under way.
    pub(super) fn due(&mut self) -> BTreeSet<Ask> {
        let asks = self.asks.keys().cloned().collect();
        self.take_flight(asks)
    }

    /// Takes in the answers of one call made at `asked_at`.
    pub(super) fn record(
        &mut self,
        asked_at: Timestamp,
        answers: Vec<(Ask, Result<Vec<Series>, Arc<Error>>)>,
    ) {
        for (ask, answer) in answers {
            self.in_flight.remove(&ask);
            let (sample, outcome) = outcome(answer);
            for position in self.asks.get(&ask).into_iter().flatten() {
                log_change(&self.snapshot, *position, &outcome);
                let Some(entry) = self.snapshot.at_mut(*position) else { continue };
                entry.last = Some((asked_at, outcome.clone()));
                if !outcome.is_sample() {
                    entry.last_error.clone_from(&entry.last);
                }
                // An older sample stays: it is served as long as it is fresh.
                entry.sample = newest(entry.sample, sample);
            }
        }
    }

    /// After a call that ended without telling which queries it had.
    pub(super) fn forget_calls_in_flight(&mut self) {
        self.in_flight.clear();
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.clone()
    }

    fn take_flight(&mut self, mut asks: BTreeSet<Ask>) -> BTreeSet<Ask> {
        asks.retain(|ask| !self.in_flight.contains(ask));
        self.in_flight.extend(asks.iter().cloned());
        asks
    }
}

fn entry(
    before: Option<&Arc<Entry>>,
    key: &MetricKey,
    wanted: &Wanted,
    defaults: &Defaults,
    now: Timestamp,
) -> Arc<Entry> {
    let Resolved { ask, rollup, age_limit, fallback } = resolve(key, wanted, defaults);
    let fresh = Entry {
        ask,
        rollup,
        age_limit,
        fallback,
        since: before.map_or(now, |before| before.since),
        sample: None,
        last: None,
        last_error: None,
    };
    match before {
        // What was asked before answers for the new limits, too.
        Some(before) if before.ask == fresh.ask => {
            let unchanged =
                (before.age_limit, before.fallback) == (fresh.age_limit, fresh.fallback);
            if unchanged {
                return before.clone();
            }
            let Entry { sample, last, last_error, .. } = Entry::clone(before);
            Arc::new(Entry { sample, last, last_error, ..fresh })
        }
        _ => {
            if let (Err(error), Some(by)) = (&fresh.ask, wanted.by.first()) {
                tracing::warn!(autoscaler = %by, %error, "metric cannot be asked for");
            }
            Arc::new(fresh)
        }
    }
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
            tracing::warn!(metric = %key, query, %shortage, "query left out")
        }
    }
}

#[cfg(test)]
mod tests;
