//! What the control API and scenario files say of scripted series.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    control::{Names, PerSeries, Shape, Span, Start, Values},
    expr::data::Kind,
};

/// A series whose values are computed, not stored: one source with a point every `every`,
/// from its start on, and never later than now. With `for`, one entry makes many series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Name of the metric; letters, digits, `_` and `.`, beginning with a letter. `{name}`
    /// stands for a name of `for`.
    #[schemars(example = "nginx.net.request_per_s")]
    pub metric: String,
    /// Its tags, `key:value`. `{name}` stands for a name of `for`, `{index}` for the number of
    /// the series in the template, from 0.
    #[serde(default)]
    #[schemars(example = ["kube_deployment:web", "env:prod"], example = ["pod:web-{pod}"])]
    pub tags: Vec<String>,
    /// Names and what they stand for: there is a series for every combination.
    #[serde(default, rename = "for", skip_serializing_if = "Names::is_empty")]
    #[schemars(example = serde_json::json!({ "pod": "1..50", "zone": ["a", "b"] }))]
    pub names: Names,
    /// In what a further series of the template differs from the one before. Chance is another
    /// for each of them anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_series: Option<PerSeries>,
    /// The course of its values.
    pub shape: Shape,
    /// Time zero of the shape, in scenario time.
    #[serde(default)]
    pub start: Start,
    /// Time between two points, whole seconds, at least one. It is real time: the scenario's
    /// time scale does not change it.
    #[serde(default = "one_second")]
    pub every: Span,
    /// Spans without points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Type of the metric.
    #[serde(default, rename = "type")]
    pub kind: MetricType,
    /// Interval given with the points, which `.as_rate()` and `.as_count()` count with; whole
    /// seconds. Without it, that of rates and counts is `every`, and gauges have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Span>,
    /// Largest distance of a point from the shape; every distance up to it is as likely.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: f64,
    /// What its noise and random walk derive from, beside the scenario's seed, the metric and
    /// the tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// Type of a metric, as an Agent would submit it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricType {
    /// A value at a time.
    #[default]
    Gauge,
    /// A value per second.
    Rate,
    /// The number of events in the interval before the point.
    Count,
}

/// A span in which a script has no points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Time since the start at which it begins.
    pub at: Span,
    /// Its length.
    #[serde(rename = "for")]
    pub length: Span,
}

/// Why a script is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidScript {
    /// The metric's name is not one.
    #[error(
        "metric `{0}` is no metric name: letters, digits, `_` and `.`, beginning with a letter"
    )]
    Metric(String),
    /// `every` or `interval` is no whole number of seconds, or zero.
    #[error("{0} `{1}` must be a whole number of seconds, at least 1s")]
    NotWholeSeconds(&'static str, Span),
    /// A list without an entry.
    #[error("{0} needs at least one value")]
    NoValues(&'static str),
    /// Times of a [`Shape::Step`] out of order.
    #[error("step at `{later}` must come after the step at `{earlier}`")]
    StepOrder {
        /// The time before.
        earlier: Span,
        /// The time that is not after it.
        later: Span,
    },
    /// A span that must not be zero.
    #[error("{0} must be longer than 0s")]
    ZeroSpan(&'static str),
    /// Infinity or not a number.
    #[error("value `{0}` must be finite")]
    NotFinite(f64),
    /// Noise below zero.
    #[error("noise `{0}` must not be below 0")]
    NegativeNoise(f64),
    /// Bounds of a [`Shape::RandomWalk`] that leave no room, or a start outside of them.
    #[error("random_walk needs min `{min}` below max `{max}` and start `{start}` within them")]
    Bounds {
        /// Least value.
        min: f64,
        /// Largest value.
        max: f64,
        /// First value.
        start: f64,
    },
    /// A name in braces that `for` does not have, or braces that are not closed.
    #[error("`{0}` has a name in braces that `for` does not give")]
    UnknownName(String),
    /// A name of `for` that means something else.
    #[error("name `{0}` is taken: it counts the series")]
    ReservedName(&'static str),
    /// A name of `for` that stands for nothing.
    #[error("name `{0}` needs at least one value")]
    NoChoice(String),
    /// Series of a template that cannot be told apart.
    #[error(
        "two series of the template have the metric `{0}` and the same tags, \
         use every name of `for` in its tags"
    )]
    SameSeries(String),
    /// A template that is too large.
    #[error("the template makes {count} series, the most are {most}")]
    TooManyOfTemplate {
        /// Number of its series.
        count: usize,
        /// Most series at a time.
        most: usize,
    },
    /// Times of a [`Shape::Timeline`] out of order.
    #[error("timeline point at `{later}` must come after the one at `{earlier}`")]
    TimelineOrder {
        /// The time before.
        earlier: Span,
        /// The time that is not after it.
        later: Span,
    },
    /// A [`Shape::Csv`] or [`Shape::Answer`] where files are not read.
    #[error("file `{0}` can only be named in a scenario file, give the values themselves here")]
    File(String),
    /// The fake holds as many scripts as it takes.
    #[error("already {0} scripts, remove some by `DELETE /fake/series`")]
    TooMany(usize),
}

impl Script {
    /// A gauge that starts now and has a point every second.
    pub fn new<T: Into<String>>(
        metric: impl Into<String>,
        tags: impl IntoIterator<Item = T>,
        shape: Shape,
    ) -> Self {
        Self {
            metric: metric.into(),
            tags: tags.into_iter().map(Into::into).collect(),
            names: Names::new(),
            per_series: None,
            shape,
            start: Start::Now,
            every: one_second(),
            gaps: Vec::new(),
            kind: MetricType::Gauge,
            interval: None,
            noise: 0.0,
            seed: None,
        }
    }

    /// The same with another time zero.
    #[must_use]
    pub fn starting(self, start: Start) -> Self {
        Self { start, ..self }
    }

    /// The same as a template with one more name.
    #[must_use]
    pub fn for_each(mut self, name: impl Into<String>, values: Values) -> Self {
        self.names.insert(name.into(), values);
        self
    }

    /// The same as another type of metric.
    #[must_use]
    pub fn of_type(self, kind: MetricType) -> Self {
        Self { kind, ..self }
    }

    /// The same with another time between two points.
    #[must_use]
    pub fn every(self, every: Span) -> Self {
        Self { every, ..self }
    }

    /// The same with points up to this far from the shape.
    #[must_use]
    pub fn noise(self, noise: f64) -> Self {
        Self { noise, ..self }
    }
}

impl From<MetricType> for Kind {
    fn from(kind: MetricType) -> Self {
        match kind {
            MetricType::Gauge => Self::Gauge,
            MetricType::Rate => Self::Rate,
            MetricType::Count => Self::Count,
        }
    }
}

pub(crate) fn one_second() -> Span {
    Span::from_secs(1)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}
