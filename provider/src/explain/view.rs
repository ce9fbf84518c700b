//! What the provider says of itself at `GET /status` of port 5005, as far as this module needs it.
//!
//! Everything has a default: an older or newer agent says less, or more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The whole.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct View {
    /// What it says of external metrics; nothing where they are off.
    pub external_metrics: Option<ExternalMetrics>,
}

/// The external metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalMetrics {
    /// Whether they are served.
    pub enabled: bool,
    /// What troubles all calls to Datadog now.
    pub trouble: Option<String>,
    /// Each wanted metric.
    pub metrics: Vec<Metric>,
}

/// One wanted metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// The namespace that it is asked for in.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its selector in canonical form.
    pub selector: String,
    /// The query, where there is one.
    pub query: Option<String>,
    /// The last answered call.
    pub last: Option<Call>,
    /// The last call that gave no sample.
    pub last_error: Option<Call>,
    /// The newest sample.
    pub sample: Option<Sample>,
    /// The age in seconds above which a sample is not served.
    pub age_limit: Option<f64>,
    /// What the API says where it gives no value.
    pub error: Option<String>,
}

/// One call to Datadog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// When it was made.
    pub at: Timestamp,
    /// What came of it, in words; nothing where it gave a sample.
    #[serde(default)]
    pub error: Option<String>,
}

/// A value of Datadog's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The value.
    pub value: f64,
    /// The time of the point.
    pub at: Timestamp,
}
