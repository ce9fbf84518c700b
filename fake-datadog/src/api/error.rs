//! Refusals in Datadog's words.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use crate::{control::StatusEffect, intake, keys::Refusal};

/// Why a request to Datadog's API is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiError {
    /// Wrong keys, or too few: 403, long form (recorded).
    Forbidden,
    /// No API key where only that one is asked for: 403 (recorded on `/api/v1/validate`).
    ApiKeyRequired,
    /// A parameter is missing: 400.
    MissingParameter(&'static str),
    /// A parameter is no such value: 400, in words seen in
    /// `DataDog/datadog-cloudformation-resources#168`.
    InvalidParameter(&'static str),
    /// `from` is not before `to`: 400, in words seen in public reports.
    EmptyWindow,
    /// A body that is not what it should be: 400, long form.
    Payload(String),
    /// A request of version 2 that is not what it should be: 400, with these words.
    Invalid(String),
    /// A body above the limits: 413, long form.
    TooLarge,
    /// A body that does not come to an end: 408, long form.
    SlowBody,
    /// A content encoding that the endpoint does not know: 415.
    Encoding(String),
    /// No such path: 404, in the words of a recorded `POST /api/v2/org_connections`
    /// (`DataDog/datadog-api-client-go`).
    NotFound,
    /// The path takes another method: 405; no recording has one.
    MethodNotAllowed,
}

impl From<Refusal> for ApiError {
    fn from(_: Refusal) -> Self {
        Self::Forbidden
    }
}

impl From<intake::Refusal> for ApiError {
    fn from(refusal: intake::Refusal) -> Self {
        match refusal {
            intake::Refusal::Encoding(encoding) => Self::Encoding(encoding),
            intake::Refusal::TooLarge => Self::TooLarge,
            intake::Refusal::Payload(reason) => Self::Payload(reason),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Forbidden => long(StatusCode::FORBIDDEN, "Forbidden"),
            Self::ApiKeyRequired => short(StatusCode::FORBIDDEN, "API key required"),
            Self::MissingParameter(name) => {
                let text = format!("The parameter '{name}' is required");
                short(StatusCode::BAD_REQUEST, &text)
            }
            Self::InvalidParameter(name) => {
                let text = format!("The value provided for parameter '{name}' is invalid");
                short(StatusCode::BAD_REQUEST, &text)
            }
            Self::EmptyWindow => {
                short(StatusCode::BAD_REQUEST, "query end is not after query start")
            }
            Self::Payload(reason) => {
                let text = format!("Payload is not in the expected format: {reason}");
                long(StatusCode::BAD_REQUEST, &text)
            }
            Self::Invalid(text) => short(StatusCode::BAD_REQUEST, &text),
            Self::TooLarge => long(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
            Self::SlowBody => long(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
            Self::Encoding(encoding) => {
                let text = format!("Unsupported Content-Encoding: {encoding}");
                short(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text)
            }
            Self::NotFound => short(StatusCode::NOT_FOUND, "Not found"),
            Self::MethodNotAllowed => short(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        }
    }
}

/// The same refusal by an endpoint of version 2, which has `errors` alone in its body
/// (`OpenAPI` v2, `APIErrorResponse`).
pub(crate) fn short_form(error: ApiError) -> Response {
    match error {
        ApiError::Forbidden => short(StatusCode::FORBIDDEN, "Forbidden"),
        ApiError::TooLarge => short(StatusCode::PAYLOAD_TOO_LARGE, "Payload too large"),
        ApiError::SlowBody => short(StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ApiError::Payload(reason) => {
            let text = format!("Payload is not in the expected format: {reason}");
            short(StatusCode::BAD_REQUEST, &text)
        }
        other => other.into_response(),
    }
}

/// The answer of an injected status: its own body, else what Datadog sends with that code.
pub(crate) fn status_answer(effect: &StatusEffect) -> Response {
    let status = StatusCode::from_u16(effect.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = match status {
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        status => status.canonical_reason().unwrap_or("Unknown"),
    };
    let mut response = match effect.body.clone() {
        Some(body) => (status, body).into_response(),
        None => long(status, reason),
    };
    // Bodies are JSON unless a header says otherwise, not axum's guess for a string.
    response.headers_mut().remove(axum::http::header::CONTENT_TYPE);
    for (name, value) in &effect.headers {
        // Headers were checked when the fault was set.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The body that Datadog was recorded to send with 403 and 429.
#[derive(Clone, Debug, Serialize)]
struct LongError {
    status: &'static str,
    code: u16,
    errors: [String; 1],
    statuspage: &'static str,
    twitter: &'static str,
    email: &'static str,
}

fn long(status: StatusCode, error: &str) -> Response {
    let body = LongError {
        status: "error",
        code: status.as_u16(),
        errors: [error.to_owned()],
        statuspage: "http://status.datadoghq.com",
        twitter: "http://twitter.com/datadogops",
        email: "support@datadoghq.com",
    };
    (status, Json(body)).into_response()
}

fn short(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "errors": [error] }))).into_response()
}
