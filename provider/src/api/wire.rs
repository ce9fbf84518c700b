//! The objects of `external.metrics.k8s.io/v1beta1` and their JSON.
//!
//! Field order and names of `k8s.io/metrics/pkg/apis/external_metrics/v1beta1/types.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// The API's group.
pub const GROUP: &str = "external.metrics.k8s.io";
/// `group/version` of the API.
pub const GROUP_VERSION: &str = "external.metrics.k8s.io/v1beta1";

/// The answer to a metric path, or the list of all metrics. The HPA controller adds up the values of
/// all items, so in the answer to a metric path there is exactly one.
#[derive(Debug, Serialize)]
pub struct ExternalMetricValueList {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: BTreeMap<String, String>,
    items: Vec<ExternalMetricValue>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalMetricValue {
    /// The name in its original case.
    pub metric_name: String,
    /// Labels that the selector fixes to one value.
    pub metric_labels: BTreeMap<String, String>,
    /// The point's own time; written in whole seconds.
    #[serde(serialize_with = "whole_seconds")]
    pub timestamp: Timestamp,
    /// The length of the bucket that the value stands for, seconds, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u64>,
    /// A canonical quantity.
    pub value: String,
}

impl From<ExternalMetricValue> for ExternalMetricValueList {
    fn from(item: ExternalMetricValue) -> Self {
        vec![item].into()
    }
}

impl From<Vec<ExternalMetricValue>> for ExternalMetricValueList {
    fn from(items: Vec<ExternalMetricValue>) -> Self {
        Self {
            kind: "ExternalMetricValueList",
            api_version: GROUP_VERSION,
            metadata: BTreeMap::new(),
            items,
        }
    }
}

impl ExternalMetricValueList {
    /// The values.
    pub fn items(&self) -> &[ExternalMetricValue] {
        &self.items
    }
}

/// RFC 3339 in UTC.
fn whole_seconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%SZ"))
}
