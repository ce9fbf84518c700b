//! The API that kube-apiserver's aggregator, the HPA controller and kubectl talk to.
//!
//! [`answer`] decides (pure), [`external`] is the metric path, `list` the one of all metrics;
//! [`discovery`], [`openapi`] and [`health`] are what surrounds them. [`selector`], [`status`],
//! [`wire`], [`protobuf`] and [`table`] are Kubernetes' formats, [`negotiate`] chooses one of them
//! and [`respond`] writes it. [`log`] is around them all.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::watch;

use crate::{
    api::{access::Access, external::External, health::Readiness, status::Status},
    metrics::Metrics,
    serve::guard::{self, Guard},
    store::Snapshot,
};

pub mod access;
pub mod answer;
pub mod attributes;
pub mod authn;
pub mod discovery;
pub mod external;
pub mod health;
mod list;
pub mod log;
pub mod negotiate;
pub mod openapi;
pub mod peer;
pub mod protobuf;
pub mod respond;
pub mod review;
pub mod selector;
pub mod status;
pub mod table;
pub mod user;
pub mod wire;

/// All routes, each only for those who may have what it answers. `external` is `None` where the
/// external metrics part is switched off: then there is no such API group, but the process is as
/// healthy as any.
pub fn guarded(
    external: Option<Config>,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    guard: Guard,
    access: Access,
) -> Router {
    let routes = routes(external, readiness, &metrics)
        .layer(middleware::from_fn_with_state(access, access::check));
    finished(routes, metrics, guard)
}

/// The same for everybody, whoever asks.
pub fn router(
    external: Option<Config>,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    guard: Guard,
) -> Router {
    finished(routes(external, readiness, &metrics), metrics, guard)
}

fn finished(routes: Router, metrics: Arc<Metrics>, guard: Guard) -> Router {
    routes
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .layer(middleware::from_fn(respond::finish))
        .layer(middleware::from_fn_with_state(metrics, log::observe))
}

fn routes(external: Option<Config>, readiness: Readiness, metrics: &Arc<Metrics>) -> Router {
    let scrape = metrics_route(metrics.clone(), external.as_ref());
    let probes = health::routes(readiness).merge(scrape);
    let api = match external {
        Some(config) => discovery::routes()
            .merge(openapi::routes())
            .merge(list::routes(config.store.clone()))
            .merge(external::routes(External::new(config))),
        None => Router::new(),
    };
    api.merge(probes).fallback(unknown_path).method_not_allowed_fallback(wrong_method)
}

/// What the metric path needs.
#[derive(Debug, Clone)]
pub struct Config {
    /// The snapshots to answer from.
    pub store: watch::Receiver<Arc<Snapshot>>,
}

fn metrics_route(metrics: Arc<Metrics>, external: Option<&Config>) -> Router {
    let external = external.cloned();
    let scrape = async move || {
        if let Some(Config { store }) = &external {
            metrics.set_external_metrics(&store.borrow(), jiff::Timestamp::now());
        }
        metrics.encode()
    };
    Router::new().route("/metrics", get(scrape))
}

async fn unknown_path(request: Request) -> Response {
    tracing::debug!(path = request.uri().path(), "unknown path");
    Status::unknown_path().into_response()
}

async fn wrong_method(method: Method) -> Response {
    Status::method_not_allowed(format!("the server does not allow the method {method}, use GET"))
        .into_response()
}

#[cfg(test)]
mod tests;
