//! Follows the HPAs of all namespaces and publishes what they want.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::demand::{Demand, index::Index};

/// Publishes the demand of all HPAs to `demand` until `stop`: `None` until the first full list
/// has been read, then a new value for every change at once.
///
/// Errors of the watch are logged and retried with back-off for ever: a kube-apiserver that is
/// away does not change what was wanted.
pub async fn run(
    client: Client,
    demand: watch::Sender<Option<Arc<Demand>>>,
    stop: CancellationToken,
) {
    let api = Api::<HorizontalPodAutoscaler>::all(client);
    let events = watcher(api, watcher::Config::default())
        .default_backoff()
        .take_until(stop.cancelled_owned());
    let mut events = std::pin::pin!(events);
    let mut index = Index::default();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if index.apply(&event) {
                    let new = Arc::new(index.demand());
                    tracing::info!(metrics = new.len(), "demand for external metrics changed");
                    demand.send_replace(Some(new));
                }
            }
            Err(error) => tracing::warn!(%error, "watch of HPAs failed, trying again"),
        }
    }
}
