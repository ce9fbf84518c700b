//! What tells clients that the API is there. Static, so it costs nothing and never depends on
//! Datadog.

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};

/// `GET /apis`, `/apis/external.metrics.k8s.io` and `/apis/external.metrics.k8s.io/v1beta1`.
///
/// The last one lists one fixed resource, as Datadog's agent and KEDA do: an empty list breaks
/// clients (custom-metrics-apiserver#146), one resource for each of thousands of metrics would
/// bloat them, and a metric path works without being listed. kube-apiserver asks it to see whether
/// the provider is alive.
pub fn routes() -> Router {
    Router::new()
        .route("/apis", get(async || json(GROUP_LIST)))
        .route("/apis/external.metrics.k8s.io", get(async || json(GROUP)))
        .route("/apis/external.metrics.k8s.io/v1beta1", get(async || json(RESOURCE_LIST)))
}

fn json(body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

const GROUP_LIST: &str = concat!(
    r#"{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"external.metrics.k8s.io","#,
    r#""versions":[{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}],"#,
    r#""preferredVersion":{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}}]}"#,
    "\n",
);

const GROUP: &str = concat!(
    r#"{"kind":"APIGroup","apiVersion":"v1","name":"external.metrics.k8s.io","#,
    r#""versions":[{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}],"#,
    r#""preferredVersion":{"groupVersion":"external.metrics.k8s.io/v1beta1","version":"v1beta1"}}"#,
    "\n",
);

const RESOURCE_LIST: &str = concat!(
    r#"{"kind":"APIResourceList","apiVersion":"v1","#,
    r#""groupVersion":"external.metrics.k8s.io/v1beta1","resources":[{"name":"externalmetrics","#,
    r#""singularName":"","namespaced":true,"kind":"ExternalMetricValueList","verbs":["get"]}]}"#,
    "\n",
);
