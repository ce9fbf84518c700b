//! The control API's types, which scenario files use too, and a client for it.
//!
//! | call | does |
//! |---|---|
//! | `PUT /fake/series` | sets the [`Script`] of a metric and tags, in place of an earlier one; answers [`Accepted`] |
//! | `DELETE /fake/series[?metric=M[&tags=a:b,c:d]]` | removes scripts: all, a metric's, or one; answers [`Removed`] |
//! | `PUT /fake/faults` | puts a [`Fault`] in force, in place of one of the same name |
//! | `GET /fake/faults` | the faults and how they stand: [`FaultList`] |
//! | `DELETE /fake/faults[?name=N]` | lifts all faults or one; answers [`Removed`] |
//! | `GET /fake/requests` | what clients asked: [`RequestLog`] |
//! | `POST /fake/reset` | back to the state after the start, its scenario beginning anew |
//! | `GET /fake/health` | [`Health`] |
//!
//! It asks for no keys. What cannot be understood gets 400 and `{"error": "…"}`.

mod client;
mod endpoint;
mod fault;
mod time;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::control::{
    client::{Client, ClientError},
    endpoint::Endpoint,
    fault::{
        Effect, Fault, FaultList, FaultState, Handshake, InvalidFault, Latency, Quantile, Skew,
        StatusEffect, Which,
    },
    time::{InvalidStart, Span, Start},
};

/// A series whose values are computed, not stored: one source with a point every `every`,
/// from its start on, and never later than now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Name of the metric; letters, digits, `_` and `.`, beginning with a letter.
    pub metric: String,
    /// Its tags, `key:value`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The course of its values.
    pub shape: Shape,
    /// Time zero of the shape.
    #[serde(default)]
    pub start: Start,
    /// Time between two points, whole seconds, at least one.
    #[serde(default = "one_second")]
    pub every: Span,
    /// Spans without points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// Values over the time since the script's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Shape {
    /// One value for ever.
    Constant(f64),
    /// Each value holds from its time to that of the next; no points before the first.
    Step(Vec<Step>),
    /// A straight line, then level.
    Ramp {
        /// Value at the start.
        from: f64,
        /// Value from `over` on.
        to: f64,
        /// How long it takes.
        over: Span,
    },
    /// `mean + amplitude · sin(2π · t / period)`.
    Sine {
        /// The middle.
        mean: f64,
        /// Largest distance from the middle.
        amplitude: f64,
        /// Time of one wave.
        period: Span,
    },
    /// A list of values, one after the other; `null` is a missing point.
    Replay {
        /// The values.
        values: Vec<Option<f64>>,
        /// How long each of them holds.
        #[serde(default = "one_second")]
        each: Span,
        /// Begin again at the end; otherwise the series ends there.
        #[serde(default)]
        repeat: bool,
    },
}

/// One level of [`Shape::Step`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Time since the start from which on it holds.
    pub at: Span,
    /// The value.
    pub value: f64,
}

/// A span in which a script has no points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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
    /// `every` is no whole number of seconds, or zero.
    #[error("every `{0}` must be a whole number of seconds, at least 1s")]
    Every(Span),
    /// A list without an entry.
    #[error("{0} needs at least one value")]
    NoValues(&'static str),
    /// Times of [`Shape::Step`] out of order.
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
    /// The fake holds as many scripts as it takes.
    #[error("already {0} scripts, remove some by `DELETE /fake/series`")]
    TooMany(usize),
}

/// A script as taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The metric.
    pub metric: String,
    /// Its tags as Datadog stores them: lower case, sorted.
    pub tags: Vec<String>,
    /// Time zero of the shape, a whole second.
    pub start: Timestamp,
}

/// How many scripts or faults a `DELETE` removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Their number.
    pub removed: usize,
}

/// What clients asked since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestLog {
    /// Number of requests.
    pub total: u64,
    /// The same by method, path and status. Paths that the fake does not know count as `other`.
    pub counts: Vec<RequestCount>,
    /// The last of them, oldest first; at most 1 000.
    pub requests: Vec<RecordedRequest>,
}

/// How often a request was answered with a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    /// HTTP method.
    pub method: String,
    /// Path, or `other`.
    pub path: String,
    /// Status code of the answer.
    pub status: u16,
    /// How often.
    pub count: u64,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// When it came in.
    pub time: Timestamp,
    /// HTTP method.
    pub method: String,
    /// Path without parameters.
    pub path: String,
    /// Its decoded parameters, keys left out; the last one of a name.
    pub query: BTreeMap<String, String>,
    /// Fingerprint of the API key: [`crate::keys::fingerprint`].
    pub api_key: Option<String>,
    /// Fingerprint of the application key.
    pub app_key: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// Status code of the answer.
    pub status: u16,
    /// Time until the answer was ready, in milliseconds, injected delays included.
    pub duration_ms: u64,
}

/// State of the fake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Always `ok`; a fake that is not does not answer.
    pub status: String,
    /// Version of the crate.
    pub version: String,
    /// Number of submitted series held.
    pub series: usize,
    /// Number of submitted points held.
    pub points: usize,
    /// Number of submitted points that were refused: too old, too far ahead, past the limits.
    pub dropped_points: u64,
    /// Number of scripts.
    pub scripts: usize,
    /// Number of faults in force.
    pub faults: usize,
}

/// Body of a refused control call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) error: String,
}

// === impl Script ===

impl Script {
    /// A script that starts now and has a point every second.
    pub fn new<T: Into<String>>(
        metric: impl Into<String>,
        tags: impl IntoIterator<Item = T>,
        shape: Shape,
    ) -> Self {
        Self {
            metric: metric.into(),
            tags: tags.into_iter().map(Into::into).collect(),
            shape,
            start: Start::Now,
            every: one_second(),
            gaps: Vec::new(),
        }
    }

    /// The same with another time zero.
    #[must_use]
    pub fn starting(self, start: Start) -> Self {
        Self { start, ..self }
    }
}

fn one_second() -> Span {
    Span::from_secs(1)
}

#[cfg(test)]
mod tests;
