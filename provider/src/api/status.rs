//! `meta/v1 Status`, the body of every error of a Kubernetes API.

use axum::{
    extract::rejection::PathRejection,
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
    /// In a box, because this is the error of many functions and mostly empty.
    details: Option<Box<Details>>,
}

/// What an error is about, of the fields of `StatusDetails` those that we fill; empty ones are left
/// out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// The object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The API group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The resource.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What led to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
}

/// One cause, of whose fields we only fill one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// What the user reads.
    pub message: String,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a Details>,
    code: u16,
}

#[derive(Debug, Serialize)]
struct Metadata {}

impl Status {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    /// 400: the request cannot be read.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: the credentials are not believed. Why is nobody's business who has none.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403: the user may not do this to what `details` name.
    pub fn forbidden(message: impl Into<String>, details: Details) -> Self {
        let details = Some(Box::new(details));
        Self { details, ..Self::new(StatusCode::FORBIDDEN, "Forbidden", message) }
    }

    /// 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 404 for a path at which nothing is.
    pub fn unknown_path() -> Self {
        Self::not_found("the server could not find the requested resource")
    }

    /// 405.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// 406: none of the formats that there are will do.
    pub fn not_acceptable() -> Self {
        let message = format!(
            "only the following media types are accepted: {}, {}",
            negotiate::JSON,
            negotiate::PROTOBUF
        );
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 413: `limit` in bytes.
    pub fn too_large(limit: u64) -> Self {
        let message = format!("Request entity is too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 429, without `Retry-After` as [`Status::unavailable`].
    pub fn too_many_requests() -> Self {
        let message = "Too many requests, please try again later.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
    }

    /// 422: understood, and impossible as it is.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    /// 500, as `errors.NewInternalError` of `k8s.io/apimachinery` makes it of `cause`.
    pub fn internal(cause: impl Into<String>) -> Self {
        let cause = cause.into();
        let message = format!("Internal error occurred: {cause}");
        let details = Details { causes: vec![Cause { message: cause }], ..Details::default() };
        let details = Some(Box::new(details));
        Self { details, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message) }
    }

    /// 503, without `Retry-After`: client-go would sleep in the HPA controller's worker.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// 504, as `errors.NewTimeoutError`: the answer took too long.
    pub fn timeout(message: impl std::fmt::Display) -> Self {
        let details = Some(Box::default());
        let message = format!("Timeout: {message}");
        Self { details, ..Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", message) }
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

    /// What it is about.
    pub fn details(&self) -> Option<&Details> {
        self.details.as_deref()
    }
}

/// A segment of the path is no text once it is decoded.
impl From<PathRejection> for Status {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
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
            details: self.details(),
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
