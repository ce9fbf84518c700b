//! `GET /apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/externalmetrics`: every metric
//! of the namespace that has a value. The name is reserved for this.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    api::{
        answer::{Answer, answer},
        discovery::accept,
        external::read_parameters,
        log::Served,
        respond,
        status::Status,
        wire::{ExternalMetricValue, ExternalMetricValueList, GROUP},
    },
    store::Snapshot,
};

const NAME: &str = "externalmetrics";

type Store = watch::Receiver<Arc<Snapshot>>;

pub(super) fn routes(store: Store) -> Router {
    let path = "/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/externalmetrics";
    Router::new().route(path, get(list)).with_state(store)
}

async fn list(
    State(store): State<Store>,
    Path(namespace): Path<String>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Response {
    match read_parameters(parameters.as_deref().unwrap_or_default()) {
        Err(status) => return status.into_response(),
        Ok(selector) if !selector.is_empty() => {
            let message = format!("{NAME} is the list of all metrics, it takes no labelSelector");
            return Status::bad_request(message).into_response();
        }
        Ok(_) => {}
    }
    // The HPA controller adds up what it gets, and it may ask before the demand tells of an HPA that
    // wants a metric of the reserved name. It accepts protobuf, as nobody does who reads lists.
    let protobuf = "vnd.kubernetes.protobuf";
    if accept::ranges(&headers).iter().any(|range| range.names_application(protobuf)) {
        return reserved().into_response();
    }
    let snapshot = store.borrow().clone();
    match items(&namespace, &snapshot, Timestamp::now()) {
        Ok(items) => {
            let times = items.iter().map(|item| item.timestamp).collect();
            // Ends like the answer to one metric.
            let mut response = respond::json(&ExternalMetricValueList::from(items), false);
            response.extensions_mut().insert(Served { group: GROUP, times });
            response
        }
        Err(status) => status.into_response(),
    }
}

/// The values in the order of their keys. Nothing where an autoscaler of the namespace wants a
/// metric of the reserved name: it would be scaled by the sum of all.
fn items(
    namespace: &str,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Vec<ExternalMetricValue>, Status> {
    if !snapshot.ready {
        return Err(Status::unavailable("the provider has not read the cluster's HPAs yet"));
    }
    if snapshot.selectors_of(namespace, NAME).next().is_some() {
        return Err(reserved());
    }
    let keys = snapshot.iter().map(|(key, ..)| key).filter(|key| key.namespace == namespace);
    let values = keys.filter_map(|key| match answer(key, snapshot, now) {
        Answer::Value(value) => Some(value),
        Answer::NotAskedYet | Answer::Refusal(_) => None,
    });
    Ok(values.collect())
}

fn reserved() -> Status {
    Status::unprocessable(format!(
        "{NAME} is the reserved name of the list of all metrics, which is no metric to scale by; \
         ask for the metric by a DatadogMetric"
    ))
}

#[cfg(test)]
mod tests;
