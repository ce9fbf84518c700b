//! Remembers what was asked and what became of it.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::HttpBody,
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    api::request::{Params, presented_keys},
    keys::fingerprint,
    recorder::{
        body::{Received, Sent, peek, tap},
        exchange::{Exchange, Prints, Route, scrubbed},
    },
    state::Shared,
};

/// Status of a request whose client went away before the answer, as nginx logs it.
const CLIENT_CLOSED: u16 = 499;

/// Headers that Datadog was recorded to send with every answer, unless the answer has its own.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "application/json"),
    (header::CACHE_CONTROL, "no-cache"),
    (header::VARY, "Accept-Encoding"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=15724800;"),
];

/// Names of the faults that hit a request: left in the answer's extensions by whoever injects.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hit(pub(crate) Vec<String>);

/// A request that has not been answered yet. Dropped without an answer, it is recorded as one
/// that its client did not wait for.
struct Pending {
    shared: Shared,
    started: Instant,
    route: Route,
    /// What is known before the answer; taken when the exchange is recorded.
    asked: Option<Asked>,
}

/// What is known of an exchange before the answer.
struct Asked {
    time: Timestamp,
    method: Method,
    path: String,
    query: BTreeMap<String, String>,
    prints: Prints,
    headers: HeaderMap,
    body: Received,
}

/// Records the exchange, and gives the answer the headers that every answer has.
pub(crate) async fn record(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (mut pending, request) = Pending::of(shared, request).await;
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    let (parts, body) = response.into_parts();
    let weight = body.size_hint().upper().and_then(|it| usize::try_from(it).ok());
    let (sent, body) = tap(body);
    let faults = parts.extensions.get::<Hit>().map(|hit| hit.0.clone()).unwrap_or_default();
    pending.answered(Answered {
        status: parts.status.as_u16(),
        faults,
        headers: parts.headers.clone(),
        body: sent,
        weight: weight.unwrap_or(usize::MAX),
    });
    Response::from_parts(parts, body)
}

/// What is known of an exchange with the answer.
struct Answered {
    status: u16,
    faults: Vec<String>,
    headers: HeaderMap,
    body: Arc<Sent>,
    /// Largest length of the body.
    weight: usize,
}

impl Pending {
    async fn of(shared: Shared, request: Request) -> (Self, Request) {
        let (time, started) = (Timestamp::now(), Instant::now());
        let (parts, body) = request.into_parts();
        let params = Params::of(&parts.uri);
        let keys = presented_keys(&parts.headers, &params);
        let prints = Prints {
            api: keys.api.as_ref().map(fingerprint),
            app: keys.app.as_ref().map(fingerprint),
        };
        let pattern = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str);
        let route = Route::new(&parts.method, pattern);
        let mut asked = Asked {
            time,
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query: params.without_keys(),
            headers: scrubbed(&parts.headers, &prints),
            prints,
            body: Received::default(),
        };
        let (received, body) = peek(body).await;
        asked.body = received;
        let pending = Self { shared, started, route, asked: Some(asked) };
        (pending, Request::from_parts(parts, body))
    }

    fn answered(&mut self, answered: Answered) {
        let Some(asked) = self.asked.take() else { return };
        let exchange = Exchange {
            id: 0,
            time: asked.time,
            method: asked.method,
            path: asked.path,
            query: asked.query,
            prints: asked.prints,
            request_headers: asked.headers,
            request_body: asked.body,
            status: answered.status,
            duration: self.started.elapsed(),
            faults: answered.faults,
            response_headers: answered.headers,
            response_body: answered.body,
            response_weight: answered.weight,
        };
        tracing::debug!(
            method = %exchange.method,
            path = exchange.path,
            status = exchange.status,
            duration = ?exchange.duration,
            "answered"
        );
        self.shared.recorder().record(Timestamp::now().as_second(), &self.route, exchange);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.answered(Answered {
            status: CLIENT_CLOSED,
            faults: Vec::new(),
            headers: HeaderMap::new(),
            body: Arc::default(),
            weight: 0,
        });
    }
}
