//! Bounds on requests: how many, how long, how big.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header::CONTENT_LENGTH,
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{api::status::Status, serve::limits::Limits};

const TOO_LONG: &str = "request did not complete within the allotted timeout";

/// Counts the requests under way; clones count together.
#[derive(Debug, Clone)]
pub struct Guard {
    limits: Arc<Limits>,
    places: Arc<Semaphore>,
}

impl Guard {
    /// With the limits on bodies and requests.
    pub fn new(limits: &Limits) -> Self {
        let places = Semaphore::new(limits.requests.min(Semaphore::MAX_PERMITS));
        Self { limits: Arc::new(limits.clone()), places: Arc::new(places) }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self::new(&Limits::default())
    }
}

/// Middleware: 429 for a request too many, 413 for a body too big, 504 for one that takes too long.
/// Probes always have a place: a busy server is no dead one.
pub async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let announced =
        request.headers().get(CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > guard.limits.body_bytes) {
        return Status::too_large(guard.limits.body_bytes).into_response();
    }
    let _place = match guard.places.try_acquire() {
        Ok(place) => Some(place),
        Err(_) if is_probe(request.uri().path()) => None,
        Err(_) => return Status::too_many_requests().into_response(),
    };
    timeout(guard.limits.request_time, next.run(request))
        .await
        .unwrap_or_else(|_| Status::timeout(TOO_LONG).into_response())
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/healthz" | "/livez" | "/readyz")
}

#[cfg(test)]
mod tests;
