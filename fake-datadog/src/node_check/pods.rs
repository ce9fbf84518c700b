//! The watch on pods.

use std::future::Future;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt, reflector,
        reflector::Store,
        watcher::{self, watcher},
    },
};

/// Which pods are looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// Only those in this namespace.
    pub(crate) namespace: Option<String>,
    /// Only those on this node.
    pub(crate) node: Option<String>,
}

/// A store of pods, and the future that keeps it up to date. It never ends: every failure of the
/// watch is logged and tried again, with back-off.
pub(crate) fn watch(client: Client, scope: &Scope) -> (Store<Pod>, impl Future<Output = ()>) {
    let pods = match &scope.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let config = match &scope.node {
        Some(node) => watcher::Config::default().fields(&format!("spec.nodeName={node}")),
        None => watcher::Config::default(),
    };
    let (store, writer) = reflector::store();
    let stream = watcher(pods, config).default_backoff().modify(forget_unused).reflect(writer);
    let drive = stream.for_each(|event| async {
        if let Err(error) = event {
            tracing::warn!(%error, "watch on pods failed, trying again");
        }
    });
    (store, drive)
}

/// Who set which field is the greater part of a pod, and nothing to us.
fn forget_unused(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
}
