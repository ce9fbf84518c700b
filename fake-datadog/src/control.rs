//! The control API's types, which scenario files use too, and a client for it.
//!
//! | call | does |
//! |---|---|
//! | `PUT /fake/scenario` | begins the [`Scenario`](crate::Scenario) in the body, YAML or JSON; submitted points and the log of requests stay |
//! | `GET /fake/scenario` | the scenario in force, as JSON: with the scripts, faults and rate limits of this moment, without its keys |
//! | `PUT /fake/series` | sets the [`Script`] of a metric and tags, in place of an earlier one; answers [`Accepted`] |
//! | `GET /fake/series[?metric=M]` | the scripted series and their values now: [`SeriesList`] |
//! | `DELETE /fake/series[?metric=M[&tags=a:b,c:d]]` | removes scripts: all, a metric's, or one; answers [`Removed`] |
//! | `PUT /fake/faults` | puts a [`Fault`] in force, in place of one of the same name |
//! | `GET /fake/faults` | the faults and how they stand: [`FaultList`] |
//! | `DELETE /fake/faults[?name=N]` | lifts all faults or one; answers [`Removed`] |
//! | `GET /fake/clock` | scenario time and its speed: [`Clock`] |
//! | `PUT /fake/clock` | sets the speed or skips a span: [`ClockChange`]; answers [`Clock`] |
//! | `PUT /fake/rate_limits` | sets a list of [`RateLimit`] in place of those before, until a reset or another scenario; an empty one lifts them |
//! | `GET /fake/rate_limits` | the list in force |
//! | `GET /fake/requests[?full]` | what clients asked: [`RequestLog`]; with `full`, each with its [`Exchange`] |
//! | `GET /fake/requests/{id}` | one of the last requests with its [`Exchange`]: [`RecordedRequest`] |
//! | `POST /fake/reset` | forgets everything and begins the last scenario given anew |
//! | `GET /fake/health` | [`Health`] |
//!
//! It asks for no keys. What cannot be understood gets 400 and `{"error": "…"}`.

mod client;
mod clock;
mod endpoint;
mod fault;
mod keys;
mod limit;
mod request;
mod scale;
mod script;
mod shape;
mod template;
mod time;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::control::{
    client::{Client, ClientError},
    clock::{Clock, ClockChange},
    endpoint::Endpoint,
    fault::{
        Effect, Fault, FaultList, FaultState, Handshake, InvalidFault, Latency, Quantile, Skew,
        StatusEffect, Which,
    },
    keys::{InvalidKey, Key, Right},
    limit::{InvalidRateLimit, RateLimit},
    request::{Exchange, RecordedBody, RecordedRequest, RequestCount, RequestLog},
    scale::{InvalidTimeScale, TimeScale},
    script::{Gap, InvalidScript, MetricType, Script},
    shape::{AnswerFile, CsvFile, Moment, Shape, Step},
    template::{Names, PerSeries, Values},
    time::{InvalidStart, Span, Start},
};

/// A script as taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The metric; of a template, that of its first series.
    pub metric: String,
    /// Its tags as Datadog stores them: lower case, sorted.
    pub tags: Vec<String>,
    /// Time zero of the shape, a whole second.
    pub start: Timestamp,
    /// Number of series: more than one for a template.
    #[serde(default = "one")]
    pub series: usize,
}

/// A scripted series as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesState {
    /// The metric.
    pub metric: String,
    /// Its tags as Datadog stores them: lower case, sorted.
    pub tags: Vec<String>,
    /// Type of the metric.
    #[serde(rename = "type")]
    pub kind: MetricType,
    /// When its first point is.
    pub start: Timestamp,
    /// Time between two points.
    pub every: Span,
    /// Its newest value; `null` before its start, in a gap, and after its end.
    pub value: Option<f64>,
    /// The course of its values.
    pub shape: Shape,
}

/// The scripted series, by metric and tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesList {
    /// The series.
    pub series: Vec<SeriesState>,
}

/// How many scripts or faults a `DELETE` removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Their number.
    pub removed: usize,
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

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests;
