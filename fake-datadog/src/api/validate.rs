//! Are these keys good? `GET /api/v1/validate` answers as recorded, `GET /api/v2/validate` and
//! `GET /api/v2/validate_keys` as documented (Datadog API, "Key Management").

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    api::{
        error::{ApiError, short_form},
        request::{Params, presented_keys},
    },
    keys::{Needs, Refusal, fingerprint},
    state::Shared,
};

pub(crate) const PATH: &str = "/api/v1/validate";

/// An answer of version 2.
#[derive(Debug, Serialize)]
struct Validated {
    data: Organisation,
}

#[derive(Debug, Serialize)]
struct Organisation {
    attributes: Attributes,
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct Attributes {
    api_key_id: String,
    /// Scopes of API keys are for Datadog's remote configuration, which is not here.
    api_key_scopes: [String; 0],
    valid: bool,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route(PATH, get(validate))
        .route("/api/v2/validate", get(validate_v2))
        .route("/api/v2/validate_keys", get(validate_keys))
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

async fn validate_v2(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let presented = presented_keys(&headers, &Params::of(&uri));
    let keys = shared.keys();
    let known = presented.api.as_ref().and_then(|text| Some((text, keys.api(text)?)));
    let Some((text, key)) = known else { return short_form(ApiError::Forbidden) };
    let api_key_id = uuid(&format!("key {}", fingerprint(text)));
    let attributes = Attributes { api_key_id, api_key_scopes: [], valid: true };
    let id = uuid(&format!("organisation {}", key.org));
    Json(Validated { data: Organisation { attributes, id, kind: "validate_v2" } }).into_response()
}

/// Asks for no scope.
async fn validate_keys(State(shared): State<Shared>, uri: Uri, headers: HeaderMap) -> Response {
    let presented = presented_keys(&headers, &Params::of(&uri));
    match shared.keys().check(&presented, Needs::ApiAndApp) {
        Ok(()) => Json(json!({ "status": "ok" })).into_response(),
        Err(refusal) => short_form(refusal.into()),
    }
}

/// The same for the same text (version 8 of RFC 9562).
fn uuid(of: &str) -> String {
    let digest = Sha256::digest(of.as_bytes());
    let hex = digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30])
}
