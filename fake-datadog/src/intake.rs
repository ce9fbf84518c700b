//! What agents and clients send: bytes → points, checks and events, or a refusal. Pure.
//!
//! ```text
//! body ─▶ encoding: inflate ─▶ series_v1 │ series_v2 │ protobuf │ distribution ─▶ Batch ─▶ store
//!                              check_run │ agent ─▶ checks and events
//! ```
//!
//! A body is taken or refused as a whole. Single points that Datadog would not keep are left out
//! of it without an error, as Datadog does, and counted. No bytes make any of these functions
//! panic: `fuzz/` and the tests here try.

mod agent;
mod check_run;
mod distribution;
pub(crate) mod encoding;
mod protobuf;
mod series_v1;
mod series_v2;

use serde::de::DeserializeOwned;

pub use self::{
    agent::{Event, agent},
    check_run::{CheckStatus, ServiceCheck, check_run},
    distribution::distribution_points,
    encoding::{Encoding, Limits},
    protobuf::series_v2_protobuf,
    series_v1::series_v1,
    series_v2::series_v2_json,
};
use crate::{
    expr::data::Kind,
    tags::{Tags, normalise_metric},
};

/// The series of one body.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// In the order of the body.
    pub series: Vec<Incoming>,
    /// Number of points left out because their metric cannot have the name it has.
    pub dropped: usize,
}

/// Points of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// The metric's name as it is stored.
    pub metric: String,
    /// Host, device and other resources are tags like any other when it comes to queries.
    pub tags: Tags,
    /// The type that the body says; without one it is a gauge, and the metric's metadata has none.
    pub kind: Option<Kind>,
    /// Seconds between two points, for counts and rates.
    pub interval: Option<u32>,
    /// What is counted or measured, such as `byte`.
    pub unit: Option<String>,
    /// `(Unix seconds, value)` in the order of the body.
    pub points: Vec<(i64, f64)>,
}

/// Why a body is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A `Content-Encoding` that the endpoint does not take.
    #[error("Unsupported Content-Encoding: {0}")]
    Encoding(String),
    /// A body above the limit, as sent or inflated.
    #[error("Payload too large")]
    TooLarge,
    /// Something else than what the endpoint takes.
    #[error("Payload is not in the expected format: {0}")]
    Payload(String),
}

impl Batch {
    /// Adds points of a series, if Datadog would keep a metric of that name.
    fn push(&mut self, name: &str, incoming: impl FnOnce(String) -> Incoming, points: usize) {
        if let Some(metric) = normalise_metric(name) {
            self.series.push(incoming(metric));
        } else {
            tracing::info!(metric = name, "points of a metric without a name dropped");
            self.dropped += points;
        }
    }

    /// Number of points that are left.
    pub fn points(&self) -> usize {
        self.series.iter().map(|series| series.points.len()).sum()
    }
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Payload(error.to_string()))
}

/// The tag `key:value`, unless the value is empty.
fn tag(key: &str, value: &str) -> Option<String> {
    (!value.is_empty()).then(|| format!("{key}:{value}"))
}

/// An interval of 0 or less says nothing, and one of more than a century neither.
fn interval(seconds: Option<i64>) -> Option<u32> {
    u32::try_from(seconds?).ok().filter(|seconds| 0 < *seconds)
}

/// Whole seconds. What is too far away for them will be refused as too old or too far ahead.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and far ones are refused")]
fn seconds(time: f64) -> i64 {
    time as i64
}

#[cfg(test)]
mod tests;
