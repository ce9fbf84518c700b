//! Which metrics there are: `GET /api/v1/metrics`, `GET /api/v1/search`, and metadata by
//! `GET` and `PUT /api/v1/metrics/{metric_name}`.
//!
//! Fields and their order are those recorded (`TestMetrics` of `DataDog/datadog-api-client-go`).
//! A metric shows up at once; the recording has to wait for it some 20 seconds.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::{
        error::ApiError,
        filter::parse_filter,
        request::{Params, presented_keys},
    },
    control::Right,
    expr::scope::{Item, Pattern, Scope},
    keys::Needs,
    state::Shared,
    store::Metadata,
};

#[derive(Debug, Serialize)]
struct Active {
    metrics: Vec<String>,
    /// As it was asked for, but as text.
    from: String,
}

#[derive(Debug, Serialize)]
struct Found {
    results: Results,
}

#[derive(Debug, Serialize)]
struct Results {
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<Vec<String>>,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/metrics", get(active))
        .route("/api/v1/search", get(search))
        .route("/api/v1/metrics/{metric}", get(metadata).put(update_metadata))
}

/// Metrics with a point since `from`, of one host or of sources in `tag_filter`, which "cannot be
/// combined with other filters" (`OpenAPI` v1, `ListActiveMetrics`).
async fn active(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Active>, ApiError> {
    let params = Params::of(&uri);
    shared.keys().check(&presented_keys(&headers, &params), Needs::Right(Right::MetricsRead))?;
    let asked = params.get("from").ok_or(ApiError::MissingParameter("from"))?;
    let from: i64 = asked.trim().parse().map_err(|_| ApiError::InvalidParameter("from"))?;
    let scope = match (params.get("host"), params.get("tag_filter")) {
        (None, None) => Scope::everything(),
        (Some(host), None) => {
            let pattern = Pattern::new(&format!("host:{host}"));
            Scope::List(vec![Item { negated: false, pattern }])
        }
        (None, Some(filter)) => {
            parse_filter(filter).ok_or(ApiError::InvalidParameter("tag_filter"))?
        }
        (Some(_), Some(_)) => return Err(ApiError::InvalidParameter("tag_filter")),
    };
    let metrics = shared.active_metrics(Timestamp::now(), from, &scope).into_iter().collect();
    Ok(Json(Active { metrics, from: asked.to_owned() }))
}

/// Metrics or hosts whose name has `q` in it. The facet, `metrics:` or `hosts:`, may be left away
/// (`OpenAPI` v1, `ListMetrics`); the older reference then has results for both.
async fn search(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Found>, ApiError> {
    let params = Params::of(&uri);
    shared.keys().check(&presented_keys(&headers, &params), Needs::Right(Right::MetricsRead))?;
    let asked = params.get("q").ok_or(ApiError::MissingParameter("q"))?;
    let now = Timestamp::now();
    let metrics = |text: &str| {
        let all = shared.active_metrics(now, i64::MIN, &Scope::everything());
        Some(all.into_iter().filter(|it| it.contains(text)).collect())
    };
    let hosts = |text: &str| {
        let text = text.to_lowercase();
        Some(shared.hosts(now).into_iter().filter(|it| it.contains(&text)).collect())
    };
    let results = match asked.split_once(':') {
        Some(("metrics", text)) => Results { metrics: metrics(text), hosts: None },
        Some(("hosts", text)) => Results { metrics: None, hosts: hosts(text) },
        _ => Results { metrics: metrics(asked), hosts: hosts(asked) },
    };
    Ok(Json(Found { results }))
}

async fn metadata(
    State(shared): State<Shared>,
    Path(metric): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    shared
        .keys()
        .check(&presented_keys(&headers, &Params::of(&uri)), Needs::Right(Right::MetricsRead))?;
    Ok(known_or_not_found(shared.metadata(Timestamp::now(), &metric)))
}

/// Sets the fields that are in the body and answers with all. Queries do not look at them: what
/// was submitted as a count stays one.
async fn update_metadata(
    State(shared): State<Shared>,
    Path(metric): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    shared.keys().check(
        &presented_keys(&headers, &Params::of(&uri)),
        Needs::Right(Right::MetricsMetadataWrite),
    )?;
    let change: Metadata =
        serde_json::from_slice(&body).map_err(|error| ApiError::Payload(error.to_string()))?;
    Ok(known_or_not_found(shared.update_metadata(Timestamp::now(), &metric, change)))
}

/// The words of 404 are recorded (`TestMetricsMetadataUpdateErrors`), to the letter.
fn known_or_not_found(metadata: Option<Metadata>) -> Response {
    let Some(metadata) = metadata else {
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        let body = r#"{"errors": ["metric_name not found"]}"#;
        return (StatusCode::NOT_FOUND, content_type, body).into_response();
    };
    Json(metadata).into_response()
}
