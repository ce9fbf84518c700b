//! What tells clients that the API is there. Static, so it costs nothing and never depends on
//! Datadog.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
    routing::get,
};

use crate::api::{
    discovery::document::Document, negotiate::Format, respond::Client, status::Status,
};

pub(super) mod document;
mod legacy;

/// `GET /apis`, `/apis/external.metrics.k8s.io` and `/apis/external.metrics.k8s.io/v1beta1`.
///
/// The last one lists one fixed resource, as Datadog's agent and KEDA do: an empty list breaks
/// clients (custom-metrics-apiserver#146), one resource for each of thousands of metrics would
/// bloat them, and a metric path works without being listed. kube-apiserver asks it to see whether
/// the provider is alive. The verbs keep away the controllers that empty namespaces (they look for
/// `delete`) and collect garbage (`delete`, `list` and `watch`). The kind is that of an item, not the
/// list's, which other adapters name: kubectl looks it up for each item that it gets.
pub fn routes() -> Router {
    let group = async |client: Client| client.answer(&legacy::group());
    let resources = async |client: Client| client.answer(&legacy::resources());
    Router::new()
        .route("/apis", get(groups))
        .route("/apis/external.metrics.k8s.io", get(group))
        .route("/apis/external.metrics.k8s.io/v1beta1", get(resources))
}

/// The aggregated form for who prefers it, the list of groups for all others.
async fn groups(client: Client, headers: HeaderMap) -> Result<Response, Status> {
    let offered = [Format::AggregatedDiscovery, Format::Json, Format::Protobuf];
    let accepted = client.negotiate(&offered)?;
    let mut answer = if accepted.format == Format::AggregatedDiscovery {
        let mut answer = AGGREGATED.answer(&headers);
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        answer
    } else {
        accepted.write(&legacy::groups())
    };
    answer.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
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

#[cfg(test)]
mod tests;
