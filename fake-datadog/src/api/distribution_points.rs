//! `POST /api/v1/distribution_points`: intake of many values of one time.

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
    intake::{Limits, distribution_points},
    state::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/api/v1/distribution_points", post(submit))
}

/// Answers as `POST /api/v1/series` (`OpenAPI` v1, `SubmitDistributionPoints`).
async fn submit(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let batch = receive(&shared, request, Limits::V1, distribution_points).await?;
    shared.take(Timestamp::now(), &batch);
    Ok(accepted())
}
