//! What tells clients that the API is there. Static, so it costs nothing and never depends on
//! Datadog.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use crate::api::discovery::document::Document;

pub(super) mod accept;
pub(super) mod document;

/// `GET /apis`, `/apis/external.metrics.k8s.io` and `/apis/external.metrics.k8s.io/v1beta1`.
///
/// The last one lists one fixed resource, as Datadog's agent and KEDA do: an empty list breaks
/// clients (custom-metrics-apiserver#146), one resource for each of thousands of metrics would
/// bloat them, and a metric path works without being listed. kube-apiserver asks it to see whether
/// the provider is alive. The verbs keep away the controllers that empty namespaces (they look for
/// `delete`) and collect garbage (`delete`, `list` and `watch`). The kind is that of an item, not the
/// list's, which other adapters name: kubectl looks it up for each item that it gets.
pub fn routes() -> Router {
    Router::new()
        .route("/apis", get(async |headers: HeaderMap| groups(&headers)))
        .route("/apis/external.metrics.k8s.io", get(async || json(GROUP)))
        .route("/apis/external.metrics.k8s.io/v1beta1", get(async || json(RESOURCE_LIST)))
}

/// The aggregated form for who prefers it, the list of groups for all others: kube-apiserver takes
/// anything but the aggregated form as the wish to be asked for each version, so that nobody needs
/// a 406 here.
fn groups(headers: &HeaderMap) -> Response {
    let mut answer = if wants_aggregated(headers) {
        let mut answer = AGGREGATED.answer(headers);
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        answer
    } else {
        json(GROUP_LIST)
    };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    answer
}

/// Only v2: v2beta1 is gone from Kubernetes, and every version since 1.30 asks for v2.
fn wants_aggregated(headers: &HeaderMap) -> bool {
    let ranges = accept::ranges(headers);
    let mut json = ranges.iter().filter(|range| range.has_application("json"));
    let first = json.find_map(|range| {
        match (range.parameter("g"), range.parameter("v"), range.parameter("as")) {
            (None, None, None) => Some(false),
            (Some("apidiscovery.k8s.io"), Some("v2"), Some("APIGroupDiscoveryList")) => Some(true),
            _ => None,
        }
    });
    first.unwrap_or_default()
}

fn json(body: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

static AGGREGATED: LazyLock<Document> = LazyLock::new(|| {
    let content_type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    Document::new(content_type, GROUP_DISCOVERY_LIST)
});

const GROUP_DISCOVERY_LIST: &str = concat!(
    r#"{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"#,
    r#""items":[{"metadata":{"name":"external.metrics.k8s.io"},"versions":[{"version":"v1beta1","#,
    r#""resources":[{"resource":"externalmetrics","responseKind":{"#,
    r#""group":"external.metrics.k8s.io","version":"v1beta1","kind":"ExternalMetricValue"},"#,
    r#""scope":"Namespaced","singularResource":"externalmetric","verbs":["get","list"]}],"#,
    r#""freshness":"Current"}]}]}"#,
    "\n",
);

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
    r#""singularName":"externalmetric","namespaced":true,"kind":"ExternalMetricValue","#,
    r#""verbs":["get","list"]}]}"#,
    "\n",
);

#[cfg(test)]
mod tests;
