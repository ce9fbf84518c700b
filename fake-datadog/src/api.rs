//! The HTTP surface: Datadog's paths under `/api`, our own under `/fake`.
//!
//! ```text
//! /api/…  ─▶ count ─▶ record ─▶ inject faults ─▶ throttle ─▶ keys ─▶ handler
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
mod record;
mod reports;
pub(crate) mod request;
mod series;
mod series_v2;
mod throttle;
mod validate;
mod watch;

use axum::{
    Router,
    extract::Request,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};

use crate::{
    api::{error::ApiError, inject::inject, throttle::throttle},
    page,
    state::Shared,
};

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
        .layer(middleware::from_fn_with_state(shared.clone(), throttle))
        .layer(middleware::from_fn_with_state(shared.clone(), inject))
        .layer(middleware::from_fn_with_state(shared.clone(), record::record))
        .layer(middleware::from_fn_with_state(shared.clone(), watch::count))
        .merge(watch::routes())
        .nest("/fake", control::routes().merge(reports::control_routes()))
        .route("/fake/live", get(page::events))
        .with_state(shared)
        .layer(middleware::from_fn(page::at_root))
}

async fn unknown_path(request: Request) -> ApiError {
    tracing::info!(method = %request.method(), path = request.uri().path(), "unknown path");
    ApiError::NotFound
}

async fn wrong_method() -> Response {
    ApiError::MethodNotAllowed.into_response()
}
