//! What is known of metrics, whoever wants them: what the leader tells its followers, and what
//! outlives all replicas in the ConfigMap.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    demand::MetricKey,
    sample::Sample,
    store::{Asking, Entry, Outcome},
};

/// What calls to Datadog have said about one metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    /// The query that was asked; `None` where the metric cannot be asked for.
    pub query: Option<String>,
    /// Since when the metric is wanted.
    pub since: Timestamp,
    /// As in [`Entry::sample`].
    pub sample: Option<Sample>,
    /// As in [`Entry::last`].
    pub last: Option<(Timestamp, Outcome)>,
    /// As in [`Entry::last_error`].
    pub last_error: Option<(Timestamp, Outcome)>,
}

impl From<&Entry> for Memory {
    fn from(entry: &Entry) -> Self {
        Self {
            query: entry.ask.as_ref().ok().map(|ask| ask.query.to_string()),
            since: entry.since,
            sample: entry.sample,
            last: entry.last.clone(),
            last_error: entry.last_error.clone(),
        }
    }
}

/// What somebody else knows: the leader, or the replica that wrote the ConfigMap.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Whether this is all that is known there, not only what changed.
    pub complete: bool,
    /// What is known of which metric.
    pub known: Vec<(MetricKey, Memory)>,
    /// How the asking goes there, where it says so.
    pub asking: Option<Asking>,
}
