//! Installs the provider in the walkthrough's order, with the Deployment's pod as a process.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::Context;
use serde_json::json;
use url::Url;

use crate::{
    cluster::{
        Cluster,
        local::{LOOK_EVERY, LocalCluster, NAMESPACE, READY_WITHIN},
        provider::{self, API_SERVICE, CONTAINER, NAME},
        run_folder::HARNESS,
    },
    deploy::Manifests,
    process::{Launch, Process},
};

const SERVICE_ACCOUNT: &str = "dca";
/// What answers a question about readiness.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The provider of one run, step by step; [`Provider::install`] takes them in their usual order.
#[derive(Debug)]
pub struct Provider {
    manifests: Manifests,
    /// Where it listens.
    url: Url,
    /// Where what plays kube-proxy for it listens.
    service_port: u16,
}

impl Provider {
    /// Chooses its ports. Variables of `environment` take the place of those in the manifests.
    pub async fn prepare(
        cluster: &LocalCluster,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let (port, service_port) = (cluster.port().await?, cluster.port().await?);
        let mut manifests = manifests(cluster, port, service_port)?;
        provider::set_environment(&mut manifests, environment)?;
        let url = Url::parse(&format!("https://127.0.0.1:{port}"))?;
        cluster.provider.get_or_init(async || url.clone()).await;
        Ok(Self { manifests, url, service_port })
    }

    /// Has kube-apiserver verify its certificate, by a bundle that the provider is to write.
    pub fn verified(mut self) -> anyhow::Result<Self> {
        let verified = json!({"spec": {"insecureSkipTLSVerify": null}});
        self.manifests.patch("APIService", API_SERVICE, &verified)?;
        Ok(self)
    }

    /// Applies its objects, starts it and what leads to it, registers it, and waits until it is found.
    pub async fn install(&self, cluster: &LocalCluster) -> anyhow::Result<()> {
        let started = async {
            let process = self.start_with(cluster, self.kubeconfig(cluster).await?)?;
            self.ready(&process).await?;
            self.start_forward(cluster).await
        };
        let to = (cluster.client(), &cluster.deployer);
        provider::install(to, &self.manifests, started, LOOK_EVERY).await
    }

    /// Ends it as a crash would.
    pub async fn kill(&self, cluster: &LocalCluster) -> anyhow::Result<()> {
        let process = cluster.process(NAME).context("the provider does not run")?;
        process.stop(Duration::ZERO).await.context("cannot end the provider")?;
        Ok(())
    }

    /// Its way to kube-apiserver, with the token of its service account, which has to be there.
    pub async fn kubeconfig(&self, cluster: &LocalCluster) -> anyhow::Result<PathBuf> {
        cluster.kubeconfig_of(SERVICE_ACCOUNT).await
    }

    /// Starts it, which needs no kube-apiserver.
    pub fn start_with(
        &self,
        cluster: &LocalCluster,
        kubeconfig: PathBuf,
    ) -> anyhow::Result<Process> {
        let fields = BTreeMap::from([
            ("metadata.name".to_owned(), format!("{NAME}-0")),
            ("metadata.namespace".to_owned(), NAMESPACE.to_owned()),
            ("status.podIP".to_owned(), "127.0.0.1".to_owned()),
        ]);
        let mut launch =
            Launch::new(NAME, &cluster.plan.provider).arg("run").env("KUBECONFIG", kubeconfig);
        for (name, value) in self.manifests.container_env(NAME, CONTAINER, &fields)? {
            launch = launch.env(name, value);
        }
        Ok(cluster.processes.spawn(launch)?)
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self, process: &Process) -> anyhow::Result<Duration> {
        let ready = || async {
            match self.health("readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((_, text)) => Err(text),
                Err(error) => Err(format!("{error:#}")),
            }
        };
        Ok(process.ready(READY_WITHIN, ready).await?)
    }

    /// The status and the text of one of its health endpoints.
    pub async fn health(&self, path: &str) -> anyhow::Result<(u16, String)> {
        // Its certificate signs itself, and the question goes over loopback.
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .timeout(ANSWERS_WITHIN)
            .build()?;
        let answer = client.get(self.url.join(path)?).send().await.context("no answer")?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.unwrap_or_default()))
    }

    /// Starts what its Service leads to.
    async fn start_forward(&self, cluster: &LocalCluster) -> anyhow::Result<()> {
        let (port, to) = (self.service_port, self.url.port().unwrap_or_default());
        let forward = Launch::new("forward", cluster.ours(HARNESS))
            .args(["forward", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--to", &format!("127.0.0.1:{to}")]);
        let forward = cluster.processes.spawn(forward)?;
        forward.ready(READY_WITHIN, || super::accepts(port)).await?;
        Ok(())
    }
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
        // Providers of several runs share this machine.
        ("DD_CLUSTER_AGENT_CMD_PORT", "0"),
        // Nobody has to learn first that it is gone.
        ("DD_EXTERNAL_METRICS_PROVIDER_SHUTDOWN_DELAY", "0s"),
    ] {
        manifests.set_env(("Deployment", NAME), CONTAINER, variable, value)?;
    }
    let port = json!({"spec": {"service": {"port": service_port}}});
    manifests.patch("APIService", API_SERVICE, &port)?;
    Ok(manifests)
}
