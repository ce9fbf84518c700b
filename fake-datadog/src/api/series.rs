//! `POST /api/v1/series`: intake of points.

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::post,
};
use jiff::Timestamp;

use crate::{
    api::{
        error::ApiError,
        receive::{accepted, receive},
    },
    intake::{Limits, series_v1},
    state::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/api/v1/series", post(submit))
}

/// Answers 202 as soon as the body is understood. Single points that Datadog would not keep
/// (too old, too far ahead, a metric whose name does not begin with a letter) are dropped
/// without an error, as Datadog does, and counted in `/fake/health`.
async fn submit(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let batch = receive(&shared, request, Limits::V1, series_v1).await?;
    shared.take(Timestamp::now(), &batch);
    Ok(accepted())
}
