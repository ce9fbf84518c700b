//! What watches over the fake itself: `/healthz`, `/metrics`, and the counting behind them.

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::{control::Endpoint, metrics::CONTENT_TYPE, state::Shared};

pub(crate) fn routes() -> Router<Shared> {
    // Whether it answers is all there is to know: it has nothing to wait for.
    Router::new().route("/healthz", get(async || "ok\n")).route("/metrics", get(metrics))
}

/// The middleware that counts requests to Datadog's paths.
pub(crate) async fn count(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (started, endpoint) = (Instant::now(), Endpoint::of(request.uri().path()));
    let response = next.run(request).await;
    shared.metrics().answered(endpoint, response.status().as_u16(), started.elapsed());
    response
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.metrics().encode(Timestamp::now(), &shared) {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot encode metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
