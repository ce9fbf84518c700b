//! What is known about a metric beside its points.

use serde::{Deserialize, Serialize};

use crate::expr::data::Kind;

/// The body of `GET /api/v1/metrics/{metric_name}` (`OpenAPI` v1, `MetricMetadata`), in the order
/// recorded (`TestMetrics` of `DataDog/datadog-api-client-go`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Metadata {
    description: Option<String>,
    short_name: Option<String>,
    /// Read only, and always null here.
    #[serde(skip_deserializing)]
    integration: Option<String>,
    /// Seconds.
    statsd_interval: Option<i64>,
    per_unit: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    unit: Option<String>,
}

impl Metadata {
    /// Takes over what `other` says.
    pub(crate) fn update(&mut self, other: Self) {
        let Self { description, short_name, integration: _, statsd_interval, .. } = other;
        self.description = description.or(self.description.take());
        self.short_name = short_name.or(self.short_name.take());
        self.statsd_interval = statsd_interval.or(self.statsd_interval.take());
        self.per_unit = other.per_unit.or(self.per_unit.take());
        self.kind = other.kind.or(self.kind.take());
        self.unit = other.unit.or(self.unit.take());
    }

    /// Takes type and unit from a submission, unless they are known already: what was set by hand
    /// stays, and nothing is allocated for points that come in every ten seconds.
    pub(crate) fn learn(&mut self, kind: Option<Kind>, unit: Option<&str>) {
        if self.kind.is_none() {
            self.kind = kind.map(|kind| name(kind).to_owned());
        }
        if self.unit.is_none() {
            self.unit = unit.map(str::to_owned);
        }
    }
}

/// The name of a type (docs, "Metric Types").
fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Gauge => "gauge",
        Kind::Rate => "rate",
        Kind::Count => "count",
        Kind::Distribution => "distribution",
    }
}
