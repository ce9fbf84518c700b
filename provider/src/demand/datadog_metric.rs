//! The custom resource `datadoghq.com/v1alpha1 DatadogMetric`, as Datadog's own
//! (`datadog-operator/api/datadoghq/v1alpha1/datadogmetric_types.go`).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Allows to autoscale on any query of Datadog.
#[derive(
    Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, CustomResource,
)]
#[kube(
    group = "datadoghq.com",
    version = "v1alpha1",
    kind = "DatadogMetric",
    plural = "datadogmetrics",
    namespaced,
    status = "DatadogMetricStatus"
)]
#[serde(rename_all = "camelCase")]
pub struct DatadogMetricSpec {
    /// The query, as Datadog's metrics explorer has it.
    #[serde(default)]
    pub query: String,
    /// The metric's name in an HPA; set by the provider on the objects that it makes itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_metric_name: Option<String>,
    /// Age from which a point is not used any more, such as `900s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
    /// How far back the query looks, such as `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_window: Option<String>,
}

/// What the provider knows about the metric.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatadogMetricStatus {
    /// The last value, in plain decimal digits.
    pub current_value: String,
    /// The autoscalers that use it, such as `hpa:default/nginx`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub autoscaler_references: String,
    /// `Active`, `Valid`, `Updated` and `Error`.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// One aspect of the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Active`, `Valid`, `Updated` or `Error`.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// When `status` changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub last_transition_time: Option<Time>,
    /// When the condition was written last; of `Updated`, the time of the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "date_time")]
    pub last_update_time: Option<Time>,
    /// One word or sentence why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The details.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// k8s-openapi's own schemas would cost its `schemars` feature: 20 s more of compiling.
fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}
