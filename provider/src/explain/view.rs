//! What the provider says of itself at `GET /status` of port 5005, as far as this module needs it.
//!
//! Everything has a default: an older or newer agent says less, or more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// What it says of external metrics; nothing where they are off.
    pub external_metrics: Option<ExternalMetrics>,
}

/// The external metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalMetrics {
    /// Each wanted metric.
    pub metrics: Vec<Metric>,
    /// What is wrong with autoscalers.
    pub problems: Vec<Problem>,
    /// How Datadog is asked.
    pub asking: Asking,
}

/// How Datadog is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asking {
    /// Why calls fail now, when the cause is no query.
    pub trouble: Option<String>,
}

/// One wanted metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metric {
    /// The namespace that it is asked for in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its selector in canonical form.
    pub selector: String,
    /// The query, where there is one.
    pub query: Option<String>,
    /// The newest value known, fresh or not.
    pub value: Option<f64>,
    /// Its own time.
    pub timestamp: Option<Timestamp>,
    /// The age in seconds above which it is not served.
    pub max_age: Option<f64>,
    /// Why there is no fresh value, in the words of the API.
    pub error: Option<String>,
    /// The last answered call, where the agent tells of it.
    pub last: Option<Call>,
}

/// What is wrong with one autoscaler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// Which.
    pub autoscaler: Autoscaler,
    /// The reason of its Event.
    pub reason: String,
    /// The Event's sentence.
    pub note: String,
}

/// An autoscaler.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Autoscaler {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One call to Datadog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it was made.
    pub at: Timestamp,
    /// What came of it, in words; nothing where it gave a sample.
    #[serde(default)]
    pub error: Option<String>,
}
