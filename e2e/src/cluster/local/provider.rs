//! Installs the provider in the walkthrough's order, with the Deployment's pod as a process.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    cluster::{
        Cluster,
        local::{LOOK_EVERY, LocalCluster, NAMESPACE, READY_WITHIN},
        provider::{self, API_SERVICE, CONTAINER, NAME},
        run_folder::HARNESS,
    },
    deploy::Manifests,
    process::Launch,
};

const SERVICE_ACCOUNT: &str = "dca";

/// Applies its objects, starts it and what leads to it, and registers it.
pub(super) async fn install(
    cluster: &LocalCluster,
    environment: &[(&str, &str)],
) -> anyhow::Result<()> {
    let (provider_port, service_port) = (cluster.port().await?, cluster.port().await?);
    let mut manifests = manifests(cluster, provider_port, service_port)?;
    provider::set_environment(&mut manifests, environment)?;
    let started = async {
        start(cluster, &manifests, provider_port).await?;
        let forward = Launch::new("forward", cluster.ours(HARNESS))
            .args(["forward", "--listen", &format!("127.0.0.1:{service_port}")])
            .args(["--to", &format!("127.0.0.1:{provider_port}")]);
        let forward = cluster.processes.spawn(forward)?;
        forward.ready(READY_WITHIN, || super::accepts(service_port)).await?;
        Ok(())
    };
    let to = (cluster.client(), &cluster.deployer);
    provider::install(to, &manifests, started, LOOK_EVERY).await
}

/// The overlay, with what only this run knows.
fn manifests(
    cluster: &LocalCluster,
    provider_port: u16,
    service_port: u16,
) -> anyhow::Result<Manifests> {
    let mut manifests = cluster.manifests("manifests/overlays/local")?;
    provider::point_to_fake(&mut manifests, cluster.fake_url.as_str())?;
    for (variable, value) in [
        ("DD_EXTERNAL_METRICS_PROVIDER_PORT", provider_port.to_string().as_str()),
        ("DD_EXTERNAL_METRICS_PROVIDER_BIND_ADDRESS", "127.0.0.1"),
        // Nobody has to learn first that it is gone.
        ("DD_EXTERNAL_METRICS_PROVIDER_SHUTDOWN_DELAY", "0s"),
    ] {
        manifests.set_env(("Deployment", NAME), CONTAINER, variable, value)?;
    }
    let port = json!({"spec": {"service": {"port": service_port}}});
    manifests.patch("APIService", API_SERVICE, &port)?;
    Ok(manifests)
}

async fn start(cluster: &LocalCluster, manifests: &Manifests, port: u16) -> anyhow::Result<()> {
    let fields = BTreeMap::from([
        ("metadata.name".to_owned(), format!("{NAME}-0")),
        ("metadata.namespace".to_owned(), NAMESPACE.to_owned()),
    ]);
    let environment = manifests.container_env(NAME, CONTAINER, &fields)?;
    let kubeconfig = cluster.kubeconfig_of(SERVICE_ACCOUNT).await?;
    let mut launch =
        Launch::new(NAME, &cluster.plan.provider).arg("run").env("KUBECONFIG", kubeconfig);
    for (name, value) in environment {
        launch = launch.env(name, value);
    }
    let process = cluster.processes.spawn(launch)?;
    // Its certificate signs itself, and the question goes over loopback.
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build()?;
    let url = format!("https://127.0.0.1:{port}/readyz");
    let ready = || async {
        let answer = client.get(&url).send().await.map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(answer.text().await.unwrap_or_default())
    };
    process.ready(READY_WITHIN, ready).await?;
    Ok(())
}
