//! One line a request in the log, its numbers in the metrics, its span in the traces.
//!
//! A line is for `debug`: kube-apiserver's own audit log has the same requests. At `info` are those
//! that failed on our side or were slow. A 503 is none of them: it is an answer about Datadog, whose
//! troubles are told once and not for each request.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header::USER_AGENT},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument, Level};

use crate::{
    api::user::User,
    metrics::{Metrics, api},
    telemetry,
};

/// By which kube-apiserver's audit log and ours name the same request.
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
/// Longest id of a client that is kept; kube-apiserver's have 36 characters.
const MAX_AUDIT_ID: usize = 128;
/// From here on a request is slow: longer than one may wait for Datadog's first answer.
const SLOW: Duration = Duration::from_secs(2);

/// In the extensions of a response: the times of the values that it has.
#[derive(Debug, Clone)]
pub struct Served {
    /// Their API group.
    pub group: &'static str,
    /// One for each item.
    pub times: Vec<Timestamp>,
}

/// Middleware around everything. `Arc<User>` in the extensions of the response is who asked.
pub async fn observe(
    State(metrics): State<Arc<Metrics>>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let kind = api::Request::new(request.method(), request.uri().path());
    let audit_id = audit_id(request.headers());
    request.headers_mut().insert(AUDIT_ID, audit_id.clone());
    // Copies of these are counted references.
    let asked = Asked {
        method: request.method().clone(),
        uri: request.uri().clone(),
        user_agent: request.headers().get(USER_AGENT).cloned(),
    };
    let span = tracing::trace_span!(
        target: telemetry::SPANS,
        "request",
        otel.kind = "server",
        http.request.method = asked.method.as_str(),
        url.path = asked.uri.path(),
        http.response.status_code = tracing::field::Empty,
    );
    telemetry::continue_trace(&span, request.headers());
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed = started.elapsed();
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    metrics.api_request(kind, status.as_u16(), elapsed);
    if let Some(Served { group, times }) = response.extensions_mut().remove() {
        let now = Timestamp::now();
        for time in times {
            metrics.served(group, time, now);
        }
    }
    asked.log(&response, kind.verb, &audit_id, elapsed);
    response.headers_mut().insert(AUDIT_ID, audit_id);
    response
}

/// The client's id, or one of our own where it has none that can be kept.
fn audit_id(headers: &HeaderMap) -> HeaderValue {
    let is_fine = |id: &&HeaderValue| {
        !id.is_empty() && id.len() <= MAX_AUDIT_ID && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers.get(AUDIT_ID).filter(is_fine).cloned().unwrap_or_else(|| {
        let id = uuid(fastrand::u128(..));
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// A random UUID (RFC 9562, version 4).
fn uuid(random: u128) -> String {
    let bits = random & !(0xf000 << 64) & !(0xc000 << 48) | (0x4000 << 64) | (0x8000 << 48);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        bits >> 96,
        bits >> 80 & 0xffff,
        bits >> 64 & 0xffff,
        bits >> 48 & 0xffff,
        bits & 0xffff_ffff_ffff
    )
}

struct Asked {
    method: Method,
    uri: Uri,
    user_agent: Option<HeaderValue>,
}

impl Asked {
    fn log(&self, response: &Response, verb: &str, audit_id: &HeaderValue, elapsed: Duration) {
        let status = response.status();
        let failed = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
        let is_notable = failed || elapsed >= SLOW;
        if !is_notable && !tracing::enabled!(Level::DEBUG) {
            return;
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let user = response.extensions().get::<Arc<User>>().map_or("", |user| &user.name);
        let user_agent = self.user_agent.as_ref().map(text).unwrap_or_default();
        // As fields that are texts: what a client sent is written in quotes and escaped.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    audit_id = text(audit_id),
                    user,
                    verb,
                    method = self.method.as_str(),
                    path = self.uri.path(),
                    query = self.uri.query().unwrap_or_default(),
                    code = status.as_u16(),
                    duration = ?elapsed,
                    user_agent,
                    "request"
                )
            };
        }
        if is_notable { line!(Level::INFO) } else { line!(Level::DEBUG) }
    }
}

#[cfg(test)]
mod tests;
