//! What to ask Datadog: the text of a metric query, over which window, and what its answer is
//! held to.

use std::{fmt, sync::Arc, time::Duration};

use crate::sorted::Sorted;

pub mod raw;
pub mod resolve;
pub mod template;

/// A metric query in Datadog's language, such as
/// `sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)`. Cheap to clone; two are
/// equal when their texts are.
#[derive(Debug, Clone)]
pub struct Query(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: Box<str>,
    plain: Option<Plain>,
}

/// The parts of a query that has nothing but an aggregator, a metric, tags that each have one
/// value, and a rollup: one that may share a `by {tag}` query with others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plain {
    /// The space aggregator.
    pub aggregator: Aggregator,
    /// The metric's name in Datadog's case.
    pub metric: String,
    /// Tag keys, each once, with their values; empty is the scope `{*}`.
    pub tags: Sorted<(String, String)>,
    /// The rollup in seconds.
    pub rollup: u64,
}

/// A query with the time that it looks back: what is asked, and what tells two questions apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    /// How far back, whole seconds. First, so that sorted asks of one window stand together.
    pub window: Duration,
    /// The query.
    pub query: Query,
}

impl Plain {
    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
    }
}

impl Query {
    /// Takes `text` as it is.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(Arc::new(Inner { text: text.into(), plain: None }))
    }

    /// The text, not URL-encoded.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The parts, where it was made of them.
    pub fn plain(&self) -> Option<&Plain> {
        self.0.plain.as_ref()
    }
}

impl From<Plain> for Query {
    /// The shape is the one of Datadog's Cluster Agent
    /// (`pkg/util/kubernetes/autoscalers/datadogexternal.go`): `key:value` sorted bytewise, joined
    /// by commas, no escaping.
    fn from(plain: Plain) -> Self {
        let mut tags: Vec<String> =
            plain.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        tags.sort_unstable();
        let scope = if tags.is_empty() { "*".to_owned() } else { tags.join(",") };
        let text = text(plain.aggregator, &plain.metric, &scope, plain.rollup);
        Self(Arc::new(Inner { text: text.into(), plain: Some(plain) }))
    }
}

/// `aggregator:metric{scope}.rollup(seconds)`.
fn text(aggregator: Aggregator, metric: &str, scope: &str, rollup: u64) -> String {
    format!("{}:{metric}{{{scope}}}.rollup({rollup})", aggregator.as_str())
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Query {}

impl PartialOrd for Query {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Query {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl std::hash::Hash for Query {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How Datadog puts several series into one at each point in time.
///
/// Source: <https://docs.datadoghq.com/metrics/#space-aggregation>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, clap::ValueEnum)]
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

/// What holds for a metric whose objects say nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// The space aggregator.
    pub aggregator: Aggregator,
    /// The length of one bucket, whole seconds, at least one.
    pub rollup: Duration,
    /// Age from which a sample is not served; at least three rollups ([`crate::sample::age_limit`]).
    pub max_age: Duration,
    /// How far back a query looks, at least.
    pub window: Duration,
    /// How far back a query may look at most.
    pub max_window: Duration,
}

/// What an object says instead of the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overrides {
    /// The space aggregator.
    pub aggregator: Option<Aggregator>,
    /// The length of one bucket, whole seconds.
    pub rollup: Option<Duration>,
    /// Age from which a sample is not served.
    pub max_age: Option<Duration>,
    /// How far back a query looks.
    pub window: Option<Duration>,
    /// What to serve when there is no fresh sample.
    pub fallback: Option<Fallback>,
}

/// A value to serve when there has been no fresh sample for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fallback {
    /// The value; finite.
    pub value: f64,
    /// How long there must have been no fresh sample.
    pub after: Duration,
}
