//! Keeps the map up to date.

use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::{
    Api, Client, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    agent::service_map::{
        Change, Event, ServiceMap, Watched,
        objects::{self, Endpoints},
    },
    patience::Patience,
};

/// Objects of one answer to a list. A slice names up to a thousand pods, and usually a hundred.
const PAGE: u32 = 100;

type Item = Result<Change, (Watched, watcher::Error)>;

/// Tells `map` what happens until `stop`. `annotations` are those of nodes that are kept. What
/// cannot be read is said once, and tried again for ever.
pub async fn run(
    client: Client,
    annotations: Vec<String>,
    map: watch::Sender<ServiceMap>,
    stop: CancellationToken,
) {
    let streams = [
        follow(Api::<Endpoints>::all(client.clone()), Watched::EndpointSlices, |event| {
            Change::Slice(map_event(event, Into::into))
        }),
        follow(Api::<PartialObjectMeta<Node>>::all(client.clone()), Watched::Nodes, move |event| {
            Change::Node(map_event(event, |node| objects::node(node.metadata, &annotations)))
        }),
        follow(Api::<PartialObjectMeta<Namespace>>::all(client), Watched::Namespaces, |event| {
            Change::Namespace(map_event(event, |it| objects::namespace(it.metadata)))
        }),
    ];
    stop.run_until_cancelled(Box::pin(take_in(stream::select_all(streams), &map))).await;
}

async fn take_in(mut events: impl Stream<Item = Item> + Unpin, map: &watch::Sender<ServiceMap>) {
    while let Some(event) = events.next().await {
        match event {
            Ok(change) => map.send_modify(|map| map.apply(change)),
            Err((watched, error)) => {
                let reason = explain(watched, &error);
                map.send_modify(|map| {
                    if map.trouble(watched) == Some(reason.as_str()) {
                        tracing::debug!(resource = watched.resource(), reason, "still not read");
                        return;
                    }
                    tracing::warn!(
                        resource = watched.resource(),
                        reason,
                        "node agents get no tags from this, trying again"
                    );
                    map.unreadable(watched, reason);
                });
            }
        }
    }
}

fn follow<K>(
    api: Api<K>,
    watched: Watched,
    change: impl Fn(watcher::Event<K>) -> Change + Send + 'static,
) -> BoxStream<'static, Item>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watcher(api, watcher::Config::default().page_size(PAGE))
        .backoff(Patience::default())
        .map(move |event| event.map(&change).map_err(|error| (watched, error)))
        .boxed()
}

fn map_event<K, T>(event: watcher::Event<K>, map: impl Fn(K) -> T) -> Event<T> {
    match event {
        watcher::Event::Init => Event::Begin,
        watcher::Event::InitApply(object) | watcher::Event::Apply(object) => Event::Is(map(object)),
        watcher::Event::Delete(object) => Event::Gone(map(object)),
        watcher::Event::InitDone => Event::End,
    }
}

fn explain(watched: Watched, error: &watcher::Error) -> String {
    use watcher::Error::{InitialListFailed, WatchStartFailed};
    match error {
        InitialListFailed(kube::Error::Api(status))
        | WatchStartFailed(kube::Error::Api(status)) => {
            let said = format!("{} (HTTP {})", status.message, status.code);
            if status.code != 403 {
                return said;
            }
            let resource = watched.resource();
            format!(
                "{said}: give ClusterRole dca list and watch of {resource}, as \
                 manifests/cluster-agent/rbac-cluster-agent.yaml does"
            )
        }
        _ => error.to_string(),
    }
}
