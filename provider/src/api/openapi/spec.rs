//! What the documents say. Both versions are made of the same pieces, so that they never differ.

use serde_json::{Value, json};

const LIST: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValueList";
const ITEM: &str = "io.k8s.metrics.pkg.apis.external_metrics.v1beta1.ExternalMetricValue";

/// kube-apiserver keeps only paths below the group and version. kubectl finds the kind that it
/// explains by the path of the list, and the schema by the kind.
const ALL: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/externalmetrics";
const ONE: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}";

/// The Swagger 2.0 document.
pub(super) fn v2() -> Value {
    let definitions = "#/definitions/";
    let parameter = |mut parameter: Value| {
        parameter["type"] = "string".into();
        parameter
    };
    let answer = json!({
        "description": "OK",
        "schema": { "$ref": format!("{definitions}{LIST}") },
    });
    let mut paths = paths(&answer, parameter);
    for path in [ALL, ONE] {
        paths[path]["get"]["produces"] = json!(["application/json"]);
    }
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": paths,
        "definitions": schemas(definitions),
    })
}

/// The `OpenAPI` 3.0 document.
pub(super) fn v3() -> Value {
    let schemas_at = "#/components/schemas/";
    let parameter = |mut parameter: Value| {
        parameter["schema"] = json!({ "type": "string" });
        parameter
    };
    let schema = json!({ "$ref": format!("{schemas_at}{LIST}") });
    let answer = json!({
        "description": "OK",
        "content": { "application/json": { "schema": schema } },
    });
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths(&answer, parameter),
        "components": { "schemas": schemas(schemas_at) },
    })
}

fn info() -> Value {
    json!({ "title": "external.metrics.k8s.io", "version": "v1beta1" })
}

fn kind(kind: &str) -> Value {
    json!({ "group": "external.metrics.k8s.io", "version": "v1beta1", "kind": kind })
}

fn paths(answer: &Value, parameter: impl Fn(Value) -> Value) -> Value {
    let operation = |id: &str, description: &str| {
        json!({
            "description": description,
            "operationId": id,
            "tags": ["externalMetrics_v1beta1"],
            "responses": { "200": answer, "401": { "description": "Unauthorized" } },
            "x-kubernetes-action": "list",
            "x-kubernetes-group-version-kind": kind("ExternalMetricValue"),
        })
    };
    let in_path = |name: &str, description: &str| {
        parameter(json!({
            "name": name, "in": "path", "description": description, "required": true,
        }))
    };
    let namespace = in_path("namespace", "namespace of the autoscalers that want the metric");
    let metric = in_path("metric", "name of the metric, in any case");
    let selector = parameter(json!({
        "name": "labelSelector",
        "in": "query",
        "description": "selector of the metric, as the autoscaler has it",
    }));
    json!({
        ALL: {
            "get": operation(
                "listExternalMetricsV1beta1NamespacedExternalMetrics",
                "every metric of the namespace that has a value",
            ),
            "parameters": [namespace],
        },
        ONE: {
            "get": operation(
                "listExternalMetricsV1beta1NamespacedMetric",
                "the value of one external metric",
            ),
            "parameters": [namespace, metric, selector],
        },
    })
}

/// `k8s.io/metrics/pkg/apis/external_metrics/v1beta1`. Types of other packages are written out:
/// under their own names they would clash with those of kube-apiserver.
fn schemas(prefix: &str) -> Value {
    json!({
        LIST: {
            "description": "ExternalMetricValueList is a list of values for a given metric for \
                            some set labels",
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": text("Version of the schema of this object."),
                "kind": text("Name of this kind of object."),
                "metadata": { "description": "Metadata of the list; empty.", "type": "object" },
                "items": {
                    "description": "Values of the metrics.",
                    "type": "array",
                    "items": { "$ref": format!("{prefix}{ITEM}") },
                },
            },
            "x-kubernetes-group-version-kind": [kind("ExternalMetricValueList")],
        },
        ITEM: {
            "description": "ExternalMetricValue is a metric value for external metric",
            "type": "object",
            "required": ["metricName", "metricLabels", "timestamp", "value"],
            "properties": {
                "metricName": text("Name of the metric in its original case."),
                "metricLabels": {
                    "description": "Labels that the selector fixes to one value.",
                    "type": "object",
                    "additionalProperties": { "type": "string" },
                },
                "timestamp": {
                    "description": "Time of the value.",
                    "type": "string",
                    "format": "date-time",
                },
                "window": {
                    "description": "Length, in seconds, of the time that the value stands for, \
                                    where it is known.",
                    "type": "integer",
                    "format": "int64",
                },
                "value": text("Value as a quantity, such as 1500m."),
            },
            "x-kubernetes-group-version-kind": [kind("ExternalMetricValue")],
        },
    })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}
