//! `GET /api/v1/validate`: is this API key good? Answers as recorded.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Uri},
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    api::{
        error::ApiError,
        request::{Params, presented_keys},
    },
    keys::{Needs, Refusal},
    state::Shared,
};

pub(crate) const PATH: &str = "/api/v1/validate";

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route(PATH, get(validate))
}

async fn validate(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let presented = presented_keys(&headers, &Params::of(&uri));
    match shared.keys().check(&presented, Needs::Api) {
        Ok(()) => Ok(Json(json!({ "valid": true }))),
        Err(Refusal::ApiKeyMissing) => Err(ApiError::ApiKeyRequired),
        Err(Refusal::Forbidden) => Err(ApiError::Forbidden),
    }
}
