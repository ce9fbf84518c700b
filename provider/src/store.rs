//! The last known state of every wanted metric.
//!
//! Written by [`crate::poll`] alone; the API reads snapshots of it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    datadog::{self, RateLimit},
    demand::{Demand, MetricKey, Wanted},
    query::{Ask, Fallback, resolve::Unresolvable},
    sample::{NoSample, Sample},
};

pub mod follow;
pub mod known;
pub mod persist;

/// What one call to Datadog said about one metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// A sample; the entry holds it.
    Sampled,
    /// No series in the window.
    NoSeries,
    /// A series without a usable point.
    NoSample(NoSample),
    /// More than one series, so no single value.
    SeveralSeries(usize),
    /// The call failed.
    Failed(Arc<datadog::Error>),
    /// It is not asked, so that what the budget allows keeps the others fresh.
    Shed(Arc<Shortage>),
}

/// Why some queries are not asked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "Datadog's query budget of {limit} calls per {}s is too small: {queries} queries need {needed} calls, {fitting} of them fit; the youngest autoscalers' are left out",
    period.as_secs()
)]
pub struct Shortage {
    /// Calls in one period, from the rate-limit headers.
    pub limit: u32,
    /// The period.
    pub period: Duration,
    /// Distinct queries that are wanted.
    pub queries: usize,
    /// Calls that they would need in a period, refreshed as rarely as their max age allows.
    pub needed: u64,
    /// Queries that fit.
    pub fitting: usize,
}

impl Outcome {
    /// Whether it gave a sample.
    pub fn is_sample(&self) -> bool {
        matches!(self, Self::Sampled)
    }
}

/// The state of one wanted metric.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What Datadog is asked, or why it cannot be.
    pub ask: Result<Ask, Unresolvable>,
    /// The length of one bucket of the query, where it is ours; a user's own query has its own.
    pub rollup: Option<Duration>,
    /// The age above which a sample is not served.
    pub age_limit: Duration,
    /// What to serve when there is no fresh sample.
    pub fallback: Option<Fallback>,
    /// Since when it is wanted.
    pub since: Timestamp,
    /// The newest sample that any call gave.
    pub sample: Option<Sample>,
    /// When the last answered call was made and what it said; `None` before the first answer.
    pub last: Option<(Timestamp, Outcome)>,
    /// The last that gave no sample, kept when there is one again.
    pub last_error: Option<(Timestamp, Outcome)>,
}

impl Entry {
    /// The sample, if it may be served at `now`.
    pub fn fresh(&self, now: Timestamp) -> Option<Sample> {
        self.sample.filter(|sample| sample.age(now) <= self.age_limit)
    }

    /// The declared fallback, if there has been no fresh sample for as long as it says.
    pub fn fallback_at(&self, now: Timestamp) -> Option<f64> {
        let fallback = self.fallback?;
        let without = match self.sample {
            Some(sample) => sample.age(now).saturating_sub(self.age_limit),
            None => now.duration_since(self.since).try_into().unwrap_or_default(),
        };
        (self.fresh(now).is_none() && without >= fallback.after).then_some(fallback.value)
    }
}

/// How asking goes for all metrics together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Asking {
    /// Why calls fail now, when the cause is no query: keys, budget, Datadog itself, the way to it.
    pub trouble: Option<Arc<datadog::Error>>,
    /// The account's budget as Datadog tells it.
    pub budget: Option<RateLimit>,
    /// Time between two calls for a metric, stretched where the budget is short.
    pub period: Duration,
    /// Calls that the refreshes make in an hour at that pace.
    pub calls_per_hour: f64,
    /// Why some metrics are not asked for at all.
    pub shortage: Option<Shortage>,
    /// Queries that Datadog refuses, which are asked alone and rarely.
    pub refused: usize,
    /// Our clock minus Datadog's, exact to a second.
    pub clock_skew: Option<SignedDuration>,
}

/// The least difference between our clock and Datadog's that is worth a word: the header `Date` has
/// whole seconds, and answers may be slow.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);

impl Asking {
    /// The difference between our clock and Datadog's, in words, if it matters.
    pub fn clock_skew_text(&self) -> Option<String> {
        let skew = self.clock_skew.filter(|skew| skew.abs() >= CLOCK_SKEW)?;
        let side = if skew.is_positive() { "ahead of" } else { "behind" };
        Some(format!("our clock is {}s {side} Datadog's", skew.abs().as_secs()))
    }
}

/// Entries in one piece of a snapshot. A call changes the entries of some tens of metrics: only
/// their pieces are copied, so that the cost of a refresh grows with the metrics, not their square.
const PIECE: usize = 128;

/// All wanted metrics at one moment. A clone is cheap.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    demand: Arc<Demand>,
    /// In the order of the demand.
    pieces: Vec<Arc<Vec<Arc<Entry>>>>,
    /// What holds for all of them.
    pub asking: Arc<Asking>,
    /// Whether the demand has been read; before that no metric is known to be unwanted.
    pub ready: bool,
}

impl Snapshot {
    /// Ties entries, in the order of `demand`, to it.
    pub fn new(demand: Arc<Demand>, entries: &[Arc<Entry>]) -> Self {
        debug_assert_eq!(demand.len(), entries.len());
        let pieces = entries.chunks(PIECE).map(|piece| Arc::new(piece.to_vec())).collect();
        Self { demand, pieces, asking: Arc::default(), ready: true }
    }

    /// The same with this about the asking.
    #[must_use]
    pub fn with(self, asking: Arc<Asking>) -> Self {
        Self { asking, ..self }
    }

    /// What is wanted.
    pub fn demand(&self) -> &Arc<Demand> {
        &self.demand
    }

    /// The metric of this key, if anybody wants it.
    pub fn get(&self, key: &MetricKey) -> Option<(&Arc<Wanted>, &Arc<Entry>)> {
        let position = self.demand.position(key)?;
        Some((self.demand.get(position)?.1, self.at(position)?))
    }

    /// The entry at a position of the demand.
    pub fn at(&self, position: usize) -> Option<&Arc<Entry>> {
        self.pieces.get(position / PIECE)?.get(position % PIECE)
    }

    /// The same, to write to.
    pub fn at_mut(&mut self, position: usize) -> Option<&mut Entry> {
        let piece = self.pieces.get_mut(position / PIECE)?;
        Arc::make_mut(piece).get_mut(position % PIECE).map(Arc::make_mut)
    }

    /// All of them in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricKey, &Arc<Wanted>, &Arc<Entry>)> {
        let entries = self.pieces.iter().flat_map(|piece| piece.iter());
        self.demand.iter().zip(entries).map(|((key, wanted), entry)| (key, wanted, entry))
    }

    /// The number of wanted metrics.
    pub fn len(&self) -> usize {
        self.demand.len()
    }

    /// Whether nobody wants anything.
    pub fn is_empty(&self) -> bool {
        self.demand.is_empty()
    }

    /// The selectors wanted for a metric of this name in this namespace, for messages.
    pub fn selectors_of<'a>(
        &'a self,
        namespace: &'a str,
        metric: &'a str,
    ) -> impl Iterator<Item = String> + 'a {
        self.demand
            .iter()
            .filter(move |(key, _)| key.namespace == namespace && key.metric == metric)
            .map(|(key, _)| key.selector.to_string())
    }
}
