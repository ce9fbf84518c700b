//! `externalmetrics`, the reserved name: every metric of a namespace, or of all of them, that has a
//! value.
//!
//! - `GET /apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/externalmetrics`
//! - the same with `/{metric}` at its end: the values of that name, one for each selector
//! - `GET /apis/external.metrics.k8s.io/v1beta1/externalmetrics`

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
    routing::get,
};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::{
        answer::value,
        external::{read_parameters, write},
        negotiate::{Accepted, Format, VALUES},
        respond::Client,
        status::Status,
        wire::{ExternalMetricValue, GROUP},
    },
    demand::MetricKey,
    store::Snapshot,
};

const NAME: &str = "externalmetrics";

type Store = watch::Receiver<Arc<Snapshot>>;

/// Namespace and value.
type Item = (String, ExternalMetricValue);

pub(super) fn routes(store: Store) -> Router {
    Router::new()
        .route("/apis/external.metrics.k8s.io/v1beta1/externalmetrics", get(everywhere))
        .route(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/externalmetrics",
            get(namespaced),
        )
        .route(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/externalmetrics/{metric}",
            get(named),
        )
        .with_state(store)
}

async fn everywhere(
    State(store): State<Store>,
    query: RawQuery,
    client: Client,
) -> Result<Response, Status> {
    let (accepted, items, now) = list(&store, query, &client, |_| true)?;
    Ok(write(accepted, items, now))
}

async fn namespaced(
    State(store): State<Store>,
    path: Result<Path<String>, PathRejection>,
    query: RawQuery,
    client: Client,
) -> Result<Response, Status> {
    let Path(namespace) = path?;
    // `namespaces//externalmetrics`, as with a metric's name.
    if namespace.is_empty() {
        return Err(Status::unknown_path());
    }
    let of_namespace = |key: &MetricKey| key.namespace == namespace;
    let (accepted, items, now) = list(&store, query, &client, of_namespace)?;
    Ok(write(accepted, items, now))
}

async fn named(
    State(store): State<Store>,
    path: Result<Path<(String, String)>, PathRejection>,
    query: RawQuery,
    client: Client,
) -> Result<Response, Status> {
    let Path((namespace, metric)) = path?;
    let name = metric.to_lowercase();
    let of_name = |key: &MetricKey| key.namespace == namespace && key.metric == name;
    let (accepted, items, now) = list(&store, query, &client, of_name)?;
    if items.is_empty() {
        // kube-apiserver's words, and why a metric that is wanted may be missing.
        let message = format!("{NAME}.{GROUP} \"{metric}\" not found, or it has no value");
        return Err(Status::not_found(message));
    }
    Ok(write(accepted, items, now))
}

fn list(
    store: &Store,
    RawQuery(parameters): RawQuery,
    client: &Client,
    wanted: impl Fn(&MetricKey) -> bool,
) -> Result<(Accepted, Vec<Item>, Timestamp), Status> {
    let accepted = client.negotiate(VALUES)?;
    let selector = read_parameters(parameters.as_deref().unwrap_or_default())?;
    if !selector.is_empty() {
        let message = format!("{NAME} is the list of all metrics, it takes no labelSelector");
        return Err(Status::bad_request(message));
    }
    // The HPA controller adds up what it gets, and it may ask before the demand tells of an HPA that
    // wants a metric of the reserved name. It prefers protobuf, as nobody does who reads lists.
    if accepted.format == Format::Protobuf {
        return Err(reserved());
    }
    let now = Timestamp::now();
    let snapshot = store.borrow().clone();
    Ok((accepted, items(&snapshot, wanted, now)?, now))
}

/// The values in the order of their keys. Nothing where an autoscaler wants a metric of the reserved
/// name there: it would be scaled by the sum of all.
fn items(
    snapshot: &Snapshot,
    wanted: impl Fn(&MetricKey) -> bool,
    now: Timestamp,
) -> Result<Vec<Item>, Status> {
    if !snapshot.ready {
        return Err(Status::unavailable("the provider has not read the cluster's HPAs yet"));
    }
    let mut items = Vec::new();
    for (key, metric, entry) in snapshot.iter().filter(|(key, ..)| wanted(key)) {
        if key.metric == NAME {
            return Err(reserved());
        }
        items.extend(value(key, metric, entry, now).map(|value| (key.namespace.clone(), value)));
    }
    Ok(items)
}

fn reserved() -> Status {
    Status::unprocessable(format!(
        "{NAME} is the reserved name of the list of all metrics, which is no metric to scale by; \
         ask for the metric by a DatadogMetric"
    ))
}

#[cfg(test)]
mod tests;
