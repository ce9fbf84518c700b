//! `meta/v1 Status`, the body of every error of a Kubernetes API.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Serialize, Serializer};

use crate::api::{negotiate, respond};

/// An error as Kubernetes' clients read it; the HPA controller shows `message` to the user.
///
/// As a response it carries itself along, and [`respond::finish`] writes it as the client wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    code: StatusCode,
    reason: &'static str,
    message: String,
}

/// Field order of `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.
#[derive(Debug, Serialize)]
struct Body<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: Metadata,
    status: &'static str,
    message: &'a str,
    reason: &'static str,
    code: u16,
}

#[derive(Debug, Serialize)]
struct Metadata {}

impl Status {
    /// 400: the request cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { code: StatusCode::BAD_REQUEST, reason: "BadRequest", message: message.into() }
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { code: StatusCode::NOT_FOUND, reason: "NotFound", message: message.into() }
    }

    /// 405.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::METHOD_NOT_ALLOWED,
            reason: "MethodNotAllowed",
            message: message.into(),
        }
    }

    /// 406: none of the formats that there are will do.
    pub fn not_acceptable() -> Self {
        Self {
            code: StatusCode::NOT_ACCEPTABLE,
            reason: "NotAcceptable",
            message: format!(
                "only the following media types are accepted: {}, {}",
                negotiate::JSON,
                negotiate::PROTOBUF
            ),
        }
    }

    /// 413: `limit` in bytes.
    pub fn too_large(limit: u64) -> Self {
        Self {
            code: StatusCode::PAYLOAD_TOO_LARGE,
            reason: "RequestEntityTooLarge",
            message: format!("Request entity is too large: limit is {limit}"),
        }
    }

    /// 429, without `Retry-After` as [`Status::unavailable`].
    pub fn too_many_requests() -> Self {
        Self {
            code: StatusCode::TOO_MANY_REQUESTS,
            reason: "TooManyRequests",
            message: "Too many requests, please try again later.".to_owned(),
        }
    }

    /// 504: it took too long.
    pub fn timeout() -> Self {
        Self {
            code: StatusCode::GATEWAY_TIMEOUT,
            reason: "Timeout",
            message: "Timeout: request did not complete within the allotted timeout".to_owned(),
        }
    }

    /// 422: understood, and impossible as it is.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self { code: StatusCode::UNPROCESSABLE_ENTITY, reason: "Invalid", message: message.into() }
    }

    /// 503, without `Retry-After`: client-go would sleep in the HPA controller's worker.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self {
            code: StatusCode::SERVICE_UNAVAILABLE,
            reason: "ServiceUnavailable",
            message: message.into(),
        }
    }

    /// The HTTP status.
    pub fn code(&self) -> StatusCode {
        self.code
    }

    /// What programs read.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What the user reads.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body = Body {
            kind: "Status",
            api_version: "v1",
            metadata: Metadata {},
            status: "Failure",
            message: &self.message,
            reason: self.reason,
            code: self.code.as_u16(),
        };
        body.serialize(serializer)
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let mut response = (self.code, respond::json(&self, false)).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
