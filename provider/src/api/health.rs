//! `/healthz`, `/livez` and `/readyz` as Kubernetes' own servers answer them.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::store::Snapshot;

/// What `/readyz` looks at. Datadog is not part of it: while it cannot be reached, an answer that
/// says so is worth more than an API that is gone.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Where the external metrics part is on: ready once the demand has been read.
    pub store: Option<watch::Receiver<Arc<Snapshot>>>,
    /// Cancelled when shutdown begins.
    pub stopping: CancellationToken,
}

/// The process answers, so it is alive.
pub(super) async fn alive() -> &'static str {
    "ok"
}

pub(super) async fn ready(State(readiness): State<Readiness>) -> Response {
    let demand = readiness.store.is_none_or(|store| store.borrow().ready);
    let checks = [
        ("demand", demand, "HPAs not read yet"),
        ("shutdown", !readiness.stopping.is_cancelled(), "process is shutting down"),
    ];
    if checks.iter().all(|(_, good, _)| *good) {
        return "ok".into_response();
    }
    let lines: String = checks
        .iter()
        .map(|(name, good, reason)| match good {
            true => format!("[+]{name} ok\n"),
            false => format!("[-]{name} failed: {reason}\n"),
        })
        .collect();
    (StatusCode::INTERNAL_SERVER_ERROR, format!("{lines}readyz check failed\n")).into_response()
}
