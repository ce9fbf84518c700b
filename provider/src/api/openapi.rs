//! `OpenAPI` v2 and v3, which kube-apiserver merges with its own and `kubectl explain` reads.
//! Static JSON; Kubernetes' protobuf form is optional (406 to who wants nothing else).

use std::sync::LazyLock;

use axum::{
    Router,
    extract::RawQuery,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::api::{
    discovery::document::Document, negotiate::Format, respond::Client, wire::GROUP_VERSION,
};

mod spec;

/// `GET /openapi/v2`, `/openapi/v3` and the one document that the last one's index names.
pub fn routes() -> Router {
    Router::new()
        .route("/openapi/v2", get(v2))
        // The index is JSON whatever the client accepts, as kube-apiserver's.
        .route("/openapi/v3", get(async |headers: HeaderMap| INDEX.answer(&headers)))
        .route("/openapi/v3/apis/external.metrics.k8s.io/v1beta1", get(v3))
}

static V2: LazyLock<Document> =
    LazyLock::new(|| Document::new("application/json", spec::v2().to_string()));

static V3: LazyLock<Document> =
    LazyLock::new(|| Document::new("application/json", spec::v3().to_string()));

static INDEX: LazyLock<Document> = LazyLock::new(|| {
    let paths = json!({ format!("apis/{GROUP_VERSION}"): { "serverRelativeURL": v3_url() } });
    Document::new("application/json", json!({ "paths": paths }).to_string())
});

fn v3_url() -> String {
    format!("/openapi/v3/apis/{GROUP_VERSION}?hash={}", V3.hash())
}

async fn v2(client: Client, headers: HeaderMap) -> Response {
    negotiated(&V2, &client, &headers)
}

/// With the right hash the document may be kept for ever, with a wrong one its place is another.
async fn v3(client: Client, headers: HeaderMap, RawQuery(parameters): RawQuery) -> Response {
    let parameters = parameters.unwrap_or_default();
    let hash = url::form_urlencoded::parse(parameters.as_bytes())
        .find(|(name, value)| name == "hash" && !value.is_empty())
        .map(|(_, value)| value);
    let mut answer = negotiated(&V3, &client, &headers);
    let Some(hash) = hash.filter(|_| answer.status() != StatusCode::NOT_ACCEPTABLE) else {
        return answer;
    };
    if hash != V3.hash() {
        let headers = [(header::LOCATION, v3_url()), (header::VARY, "Accept".to_owned())];
        return (StatusCode::MOVED_PERMANENTLY, headers).into_response();
    }
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    if let Ok(expires) = HeaderValue::try_from(in_a_year(Timestamp::now())) {
        headers.insert(header::EXPIRES, expires);
    }
    answer
}

fn negotiated(document: &Document, client: &Client, headers: &HeaderMap) -> Response {
    if client.negotiate(&[Format::Json]).is_ok() {
        return document.answer(headers);
    }
    // Without a body, as kube-apiserver.
    (StatusCode::NOT_ACCEPTABLE, [(header::VARY, "Accept")]).into_response()
}

/// The longest time that HTTP lets a document live, as an HTTP date.
fn in_a_year(now: Timestamp) -> String {
    let expires = now.saturating_add(SignedDuration::from_hours(365 * 24)).unwrap_or(now);
    expires.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests;
