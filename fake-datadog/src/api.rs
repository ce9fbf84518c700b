//! The HTTP surface: Datadog's paths under `/api`, our own under `/fake`.
//!
//! ```text
//! /api/…  ─▶ record ─▶ inject faults ─▶ keys ─▶ handler
//! /fake/… ─▶ control
//! ```

mod control;
mod distribution_points;
mod error;
mod filter;
mod formula;
mod inject;
mod metrics;
mod metrics_v2;
mod query;
mod receive;
mod reports;
mod request;
mod series;
mod series_v2;
mod validate;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    api::{
        error::ApiError,
        inject::inject,
        request::{Params, presented_keys},
    },
    control::{Endpoint, RecordedRequest},
    keys::fingerprint,
    recorder::Path,
    state::Shared,
};

/// Headers that Datadog was recorded to send with every answer, unless the answer has its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "application/json"),
    (header::CACHE_CONTROL, "no-cache"),
    (header::VARY, "Accept-Encoding"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=15724800;"),
];

/// Everything that a fake serves.
pub(crate) fn router(shared: Shared) -> Router {
    Router::new()
        .merge(query::routes())
        .merge(formula::routes())
        .merge(series::routes())
        .merge(series_v2::routes())
        .merge(distribution_points::routes())
        .merge(reports::routes())
        .merge(metrics::routes())
        .merge(metrics_v2::routes())
        .merge(validate::routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(shared.clone(), inject))
        .layer(middleware::from_fn_with_state(shared.clone(), record))
        .nest("/fake", control::routes().merge(reports::control_routes()))
        .with_state(shared)
}

/// Remembers what was asked and what became of it.
async fn record(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (time, started) = (Timestamp::now(), Instant::now());
    let params = Params::of(request.uri());
    let keys = presented_keys(request.headers(), &params);
    let user_agent = request.headers().get(header::USER_AGENT);
    let path = match Endpoint::of(request.uri().path()) {
        Some(_) => Path::Served,
        None => Path::Unknown,
    };
    let mut recorded = RecordedRequest {
        time,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: params.without_keys(),
        api_key: keys.api.as_ref().map(fingerprint),
        app_key: keys.app.as_ref().map(fingerprint),
        user_agent: user_agent.map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned()),
        status: 0,
        duration_ms: 0,
    };

    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }

    recorded.status = response.status().as_u16();
    recorded.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(
        method = recorded.method,
        path = recorded.path,
        status = recorded.status,
        duration_ms = recorded.duration_ms,
        "answered"
    );
    shared.record(path, recorded);
    response
}

async fn unknown_path(request: Request) -> ApiError {
    tracing::info!(method = %request.method(), path = request.uri().path(), "unknown path");
    ApiError::NotFound
}

async fn wrong_method() -> Response {
    ApiError::MethodNotAllowed.into_response()
}
