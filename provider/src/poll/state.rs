//! What the poll loop knows; pure: demand and answers go in, due queries and snapshots come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    datadog::{Answer, Error, Series},
    demand::{Demand, MetricKey, Wanted},
    query::{Options, Query, resolve::resolve},
    sample::{self, Sample},
    store::{Entry, Outcome, Snapshot},
};

/// Entries and the calls that are under way.
#[derive(Debug)]
pub(super) struct State {
    options: Options,
    window: Duration,
    entries: BTreeMap<MetricKey, Arc<Entry>>,
    in_flight: BTreeSet<Query>,
    ready: bool,
}

impl State {
    pub(super) fn new(options: Options, window: Duration) -> Self {
        Self { options, window, entries: BTreeMap::new(), in_flight: BTreeSet::new(), ready: false }
    }

    /// Takes over what is wanted now. Entries that stay keep their samples. Gives the queries that
    /// nobody asked before, to be asked at once.
    pub(super) fn set_demand(&mut self, demand: &Demand) -> BTreeSet<Query> {
        let mut before = std::mem::take(&mut self.entries);
        let (options, window) = (self.options, self.window);
        self.entries = demand
            .iter()
            .map(|(key, wanted)| {
                let entry = entry(before.remove(key), key, wanted, options, window);
                (key.clone(), Arc::new(entry))
            })
            .collect();
        self.ready = true;
        let new = |entry: &&Arc<Entry>| entry.last.is_none();
        let queries = self.entries.values().filter(new).filter_map(query_of).collect();
        self.take_flight(queries)
    }

    /// The queries to ask at a refresh: all but those under way.
    pub(super) fn due(&mut self) -> BTreeSet<Query> {
        let queries = self.entries.values().filter_map(query_of).collect();
        self.take_flight(queries)
    }

    /// Takes in the answers of one call made at `asked_at`.
    pub(super) fn record(&mut self, asked_at: Timestamp, answers: Vec<Answer>) {
        let mut read = BTreeMap::new();
        for (query, answer) in answers {
            self.in_flight.remove(&query);
            read.insert(query, outcome(answer));
        }
        for (key, entry) in &mut self.entries {
            let Some((sample, outcome)) =
                entry.query.as_ref().ok().and_then(|query| read.get(query))
            else {
                continue;
            };
            log_change(key, entry, outcome);
            let entry = Arc::make_mut(entry);
            entry.last = Some((asked_at, outcome.clone()));
            // An older sample stays: it is served as long as it is fresh.
            entry.sample = newest(entry.sample, *sample);
        }
    }

    /// After a call that ended without telling which queries it had.
    pub(super) fn forget_calls_in_flight(&mut self) {
        self.in_flight.clear();
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { entries: self.entries.clone(), ready: self.ready }
    }

    fn take_flight(&mut self, mut queries: BTreeSet<Query>) -> BTreeSet<Query> {
        queries.retain(|query| !self.in_flight.contains(query));
        self.in_flight.extend(queries.iter().cloned());
        queries
    }
}

fn query_of(entry: &Arc<Entry>) -> Option<Query> {
    entry.query.as_ref().ok().cloned()
}

fn entry(
    before: Option<Arc<Entry>>,
    key: &MetricKey,
    wanted: &Wanted,
    options: Options,
    window: Duration,
) -> Entry {
    let query = resolve(&wanted.name, &key.selector, &options);
    let wanted_by = wanted.by.clone();
    match before {
        Some(before) if before.query == query => {
            Entry { wanted_by, ..Arc::unwrap_or_clone(before) }
        }
        _ => {
            if let Err(error) = &query {
                tracing::warn!(hpa = %wanted.by[0], %error, "metric of an HPA cannot be asked for");
            }
            Entry {
                name: wanted.name.clone(),
                wanted_by,
                query,
                rollup: options.rollup,
                window,
                sample: None,
                last: None,
            }
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
fn log_change(key: &MetricKey, entry: &Entry, new: &Outcome) {
    let before = entry.last.as_ref().map(|(_, outcome)| std::mem::discriminant(outcome));
    if before == Some(std::mem::discriminant(new)) {
        return;
    }
    let query = entry.query.as_ref().map_or("", |query| query.as_str());
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
    }
}

#[cfg(test)]
mod tests;
