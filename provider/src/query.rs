//! What to ask Datadog: the text of a metric query.

use std::{fmt, time::Duration};

pub mod resolve;

/// A metric query in Datadog's language, such as
/// `sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query(String);

impl Query {
    /// Takes `text` as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, not URL-encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How Datadog puts several series into one at each point in time.
///
/// Source: <https://docs.datadoghq.com/metrics/#space-aggregation>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Aggregator {
    /// The mean over the series, as Datadog's agent does by default.
    #[default]
    Avg,
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
}

impl Aggregator {
    /// The word used in a query.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// What a query does not take from the HPA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The space aggregator.
    pub aggregator: Aggregator,
    /// The length of one bucket, whole seconds, at least one.
    pub rollup: Duration,
}
