//! Removes from a cluster what a run has put there.

use std::{collections::HashSet, time::Duration};

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    cluster::pods::{Plan, manifests, provider_manifests},
    deploy::{Deployer, Object},
    wait,
};

/// Half a minute is a pod's grace period.
const GONE_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Every object that a run may apply, in the order in which it does.
pub(crate) fn objects(plan: &Plan) -> anyhow::Result<Vec<Object>> {
    let files = [
        "e2e/manifests/fake-datadog.yaml",
        provider_manifests(plan.timings.provider),
        "hpa-example/nginx.yaml",
        "e2e/manifests/node-agent.yaml",
        "e2e/manifests/node-agent-daemonset.yaml",
        "hpa-example/hpa-manifest.yaml",
        "e2e/manifests/load.yaml",
    ];
    let mut objects = Vec::new();
    for file in files {
        objects.extend(manifests(plan, file)?.iter().cloned());
    }
    Ok(objects)
}

/// Deletes all of them but namespaces, and waits until their pods are gone. The APIService goes first:
/// while it is there without a backend, discovery fails for the whole cluster.
pub(crate) async fn remove(client: &Client, plan: &Plan) -> anyhow::Result<()> {
    let objects = objects(plan)?;
    let (api_services, others): (Vec<_>, Vec<_>) = objects
        .iter()
        .rev()
        .filter(|object| object.kind() != "Namespace")
        .partition(|object| object.kind() == "APIService");
    Deployer::new(client.clone()).delete(api_services.into_iter().chain(others)).await?;
    let ours: HashSet<&str> = objects.iter().map(Object::name).collect();
    for namespace in plan.namespaces() {
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        wait::until("pods of an earlier run to go", GONE_WITHIN, LOOK_EVERY, async || {
            let found = pods.list(&ListParams::default()).await?;
            let left: Vec<String> = found
                .iter()
                .filter(|pod| pod.labels().get("app").is_some_and(|app| ours.contains(&**app)))
                .map(ResourceExt::name_any)
                .collect();
            anyhow::Ok(if left.is_empty() {
                wait::Probe::Ready(())
            } else {
                wait::Probe::NotYet(left.join(", "))
            })
        })
        .await
        .with_context(|| format!("in namespace {namespace}"))?;
    }
    Ok(())
}
