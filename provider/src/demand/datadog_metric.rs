//! The custom resource `datadoghq.com/v1alpha1 DatadogMetric`, as Datadog's own
//! (`datadog-operator/api/datadoghq/v1alpha1/datadogmetric_types.go`), with validation.

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{CustomResource, CustomResourceExt};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{hex::hex, query::Query};

/// The annotation that keeps a `DatadogMetric` asked for although no autoscaler refers to it.
pub const ALWAYS_ACTIVE: &str = "external-metrics.datadoghq.com/always-active";

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
    doc = "Allows to autoscale on any query of Datadog.",
    status = "DatadogMetricStatus",
    printcolumn = r#"{"name": "active", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Active')].status"}"#,
    printcolumn = r#"{"name": "valid", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Valid')].status"}"#,
    printcolumn = r#"{"name": "value", "type": "string", "jsonPath": ".status.currentValue"}"#,
    printcolumn = r#"{"name": "references", "type": "string", "jsonPath": ".status.autoscalerReferences"}"#,
    printcolumn = r#"{"name": "update time", "type": "date", "jsonPath": ".status.conditions[?(@.type=='Updated')].lastUpdateTime"}"#
)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = require_query)]
pub struct DatadogMetricSpec {
    /// The query, as Datadog's metrics explorer has it.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub query: String,
    /// The metric's name in an HPA; set by the provider on the objects that it makes itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_metric_name: Option<String>,
    /// Age from which a point is not used any more, such as `900s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "go_duration")]
    pub max_age: Option<String>,
    /// How far back the query looks, such as `1h`; by default as far as `maxAge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "go_duration")]
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["type"]
    ))]
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

/// The definition to install; `manifests/datadogmetric-crd.yaml` holds it.
pub fn crd() -> CustomResourceDefinition {
    DatadogMetric::crd()
}

/// The name of the object that stands for a metric of an HPA, the same as Datadog's Cluster Agent
/// gives it (`pkg/clusteragent/autoscaling/externalmetrics/model/utils.go`): 19 bytes of the hash,
/// because 20 look like an application key and would be scrubbed from logs.
pub fn autogen_name(query: &Query) -> String {
    format!("dcaautogen-{}", hex(&Sha256::digest(query.as_str())[..19]))
}

/// The schema asks for a query, although we read objects that another CRD let in without.
fn require_query(schema: &mut Schema) {
    schema.insert("required".to_owned(), json!(["query"]));
    if let Some(query) = schema.pointer_mut("/properties/query").and_then(|it| it.as_object_mut()) {
        query.remove("default");
    }
}

/// k8s-openapi's own schemas would cost its `schemars` feature: 20 s more of compiling.
fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "nullable": true})
}

/// What [`crate::demand::duration`] reads.
fn go_duration(_: &mut SchemaGenerator) -> Schema {
    let pattern = "^(0|([0-9]*\\.?[0-9]+(ns|us|\u{b5}s|ms|s|m|h))+)$";
    json_schema!({"type": "string", "nullable": true, "pattern": pattern})
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Set, the test writes the manifest instead of holding it against the types.
    const RENEW: &str = "RENEW_MANIFESTS";

    #[test]
    fn the_manifest_in_the_repository_is_up_to_date() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/datadogmetric-crd.yaml");
        let header = "# Generated from provider/src/demand/datadog_metric.rs by its test.\n";
        let text = format!("{header}{}", serde_saphyr::to_string(&crd()).unwrap());
        if std::env::var_os(RENEW).is_some() {
            std::fs::write(path, text).unwrap();
            return;
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == text,
            "manifests/datadogmetric-crd.yaml is stale, renew it: \
             {RENEW}=1 cargo test -p provider --lib manifest"
        );
        let read: CustomResourceDefinition = serde_saphyr::from_str(&stored).unwrap();
        assert_eq!(read, crd());
    }

    #[test]
    fn the_schema_asks_for_a_query_and_for_durations() {
        let crd = crd();
        let schema = crd.spec.versions[0].schema.clone().unwrap().open_api_v3_schema.unwrap();
        let properties = schema.properties.unwrap();
        let spec = &properties["spec"];
        assert_eq!(spec.required.as_deref(), Some(&["query".to_owned()][..]));
        let fields = spec.properties.as_ref().unwrap();
        assert_eq!(fields["query"].min_length, Some(1));
        assert_eq!(
            fields["query"].default, None,
            "kube-apiserver refuses a default that is invalid"
        );
        assert!(fields["maxAge"].pattern.is_some() && fields["timeWindow"].pattern.is_some());
        let status = properties["status"].properties.as_ref().unwrap();
        assert_eq!(status["conditions"].x_kubernetes_list_type.as_deref(), Some("map"));
    }

    // Vectors of Datadog's own tests (facts/datadog.md §2.3).
    #[test]
    fn autogenerated_names_are_datadogs() {
        for (query, hash) in [
            (
                "avg:metricName1{Alabel2:bar,Dlabel3:baz,Zlabel1:foo}.rollup(30)",
                "595b170252cd5c77580b802084753c17ed1a18",
            ),
            ("avg:metricName1{*}.rollup(30)", "cb3c76c6adbd97b438d75e29a6a8efc4cefa81"),
            ("avg:docker.cpu.usage{foo:bar}.rollup(30)", "f311ac1e6b29e3723d1445645c43afd4340d22"),
            ("avg:docker.cpu.usage{bar:foo}.rollup(30)", "b6ea72b610c00aba6791b5eca1912e68dc7412"),
            ("avg:nginx.net.request_per_s{*}.rollup(30)", "32402d8dfc05cf540928a606d78ed68c0607f7"),
        ] {
            assert_eq!(autogen_name(&Query::new(query)), format!("dcaautogen-{hash}"));
        }
    }
}
