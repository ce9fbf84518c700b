//! The last known state of every wanted metric.
//!
//! Written by [`crate::poll`] alone; the API reads snapshots of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    datadog,
    demand::{Autoscaler, MetricKey},
    query::{Query, resolve::Unresolvable},
    sample::{NoSample, Sample},
};

/// What one call to Datadog said about one metric.
#[derive(Debug, Clone)]
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
}

/// One wanted metric.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The name in its original case.
    pub name: String,
    /// Who wants it, the oldest first.
    pub wanted_by: Vec<Autoscaler>,
    /// What Datadog is asked, or why it cannot be.
    pub query: Result<Query, Unresolvable>,
    /// The length of one bucket of the query.
    pub rollup: Duration,
    /// How far back the query looks.
    pub window: Duration,
    /// The newest sample that any call gave.
    pub sample: Option<Sample>,
    /// When the last answered call was made and what it said; `None` before the first answer.
    pub last: Option<(Timestamp, Outcome)>,
}

/// All wanted metrics at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The entries by their keys.
    pub entries: BTreeMap<MetricKey, Arc<Entry>>,
    /// Whether the demand has been read; before that no metric is known to be unwanted.
    pub ready: bool,
}

impl Snapshot {
    /// The selectors wanted for a metric of this name in this namespace, for messages.
    pub fn selectors_of<'a>(
        &'a self,
        namespace: &'a str,
        metric: &'a str,
    ) -> impl Iterator<Item = String> + 'a {
        self.entries
            .keys()
            .filter(move |key| key.namespace == namespace && key.metric == metric)
            .map(|key| key.selector.to_string())
    }
}
