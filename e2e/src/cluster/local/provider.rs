//! Installs the provider in the walkthrough's order, with the Deployment's pods as processes.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use futures::future;
use serde_json::json;

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

mod replica;

pub use replica::Replica;

const SERVICE_ACCOUNT: &str = "dca";
/// The name of the process that plays kube-proxy.
const FORWARD: &str = "forward";

/// The provider of one run, step by step; [`Provider::install`] takes them in their usual order.
#[derive(Debug)]
pub struct Provider {
    manifests: Manifests,
    replicas: Vec<Replica>,
    /// Where what plays kube-proxy for it listens.
    service_port: u16,
}

impl Provider {
    /// One replica: chooses its ports. Variables of `environment` take the place of those in the
    /// manifests.
    pub async fn prepare(
        cluster: &LocalCluster,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let replica = Replica::alone([cluster.port().await?, cluster.port().await?])?;
        Self::of(cluster, vec![replica], environment).await
    }

    /// The same with `count` replicas, one of which leads. The fake begins anew, with a key for each.
    pub async fn replicated(
        cluster: &LocalCluster,
        count: usize,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut replicas = Vec::new();
        for index in 0..count {
            let ports = [cluster.port().await?, cluster.port().await?];
            replicas.push(Replica::among_others(index, ports)?);
        }
        replica::accept(cluster.fake(), &replicas).await?;
        let mut all = vec![
            ("DD_LEADER_ELECTION", "true"),
            // Where the other replicas reach this one.
            ("DD_POD_IP", "127.0.0.1"),
            // The forwarder has to learn that it goes, as kube-proxy has.
            ("DD_EXTERNAL_METRICS_PROVIDER_SHUTDOWN_DELAY", "1s"),
        ];
        all.extend(environment);
        Self::of(cluster, replicas, &all).await
    }

    async fn of(
        cluster: &LocalCluster,
        replicas: Vec<Replica>,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let service_port = cluster.port().await?;
        let mut manifests = manifests(cluster, service_port)?;
        provider::set_environment(&mut manifests, environment)?;
        if let Some(first) = replicas.first() {
            cluster.provider.get_or_init(async || first.url.clone()).await;
        }
        Ok(Self { manifests, replicas, service_port })
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
            let kubeconfig = self.kubeconfig(cluster).await?;
            let start = |replica| self.start_replica(cluster, replica, &kubeconfig);
            let processes = self.replicas.iter().map(start).collect::<Result<Vec<_>, _>>()?;
            future::try_join_all(processes.iter().map(|process| self.ready(process))).await?;
            self.lead_to(cluster, 0).await
        };
        let to = (cluster.client(), &cluster.deployer);
        provider::install(to, &self.manifests, started, LOOK_EVERY).await
    }

    /// All of them, by their numbers.
    pub fn replicas(&self) -> &[Replica] {
        &self.replicas
    }

    /// The process of a replica, that which was started last.
    pub fn process(&self, cluster: &LocalCluster, replica: &Replica) -> anyhow::Result<Process> {
        cluster.process(&replica.process).with_context(|| format!("{} does not run", replica.pod))
    }

    /// Ends the only replica.
    pub async fn kill(&self, cluster: &LocalCluster) -> anyhow::Result<()> {
        let process = cluster.process(NAME).context("the provider does not run")?;
        process.stop(Duration::ZERO).await.context("cannot end the provider")?;
        Ok(())
    }

    /// Its way to kube-apiserver, with the token of its service account, which has to be there.
    pub async fn kubeconfig(&self, cluster: &LocalCluster) -> anyhow::Result<PathBuf> {
        cluster.kubeconfig_of(SERVICE_ACCOUNT).await
    }

    /// Starts the only replica, which needs no kube-apiserver.
    pub fn start_with(&self, cluster: &LocalCluster, kubeconfig: &Path) -> anyhow::Result<Process> {
        self.start_replica(cluster, self.first()?, kubeconfig)
    }

    /// Starts a replica.
    pub fn start_replica(
        &self,
        cluster: &LocalCluster,
        replica: &Replica,
        kubeconfig: &Path,
    ) -> anyhow::Result<Process> {
        let fields = BTreeMap::from([
            ("metadata.name".to_owned(), replica.pod.clone()),
            ("metadata.namespace".to_owned(), NAMESPACE.to_owned()),
            ("status.podIP".to_owned(), "127.0.0.1".to_owned()),
        ]);
        let mut launch = Launch::new(&*replica.process, &cluster.plan.provider)
            .arg("run")
            .env("KUBECONFIG", kubeconfig);
        let mut environment = self.manifests.container_env(NAME, CONTAINER, &fields)?;
        let own = replica.environment().into_iter();
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        for (name, value) in environment {
            launch = launch.env(name, value);
        }
        Ok(cluster.processes.spawn(launch)?)
    }

    /// Waits until the replica of this process says that it is ready.
    pub async fn ready(&self, process: &Process) -> anyhow::Result<Duration> {
        let mut replicas = self.replicas.iter();
        let replica = replicas.find(|replica| replica.process == process.name());
        let replica = replica.with_context(|| format!("{} is no replica", process.name()))?;
        let ready = || async {
            match replica.health("readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((_, text)) => Err(text),
                Err(error) => Err(format!("{error:#}")),
            }
        };
        Ok(process.ready(READY_WITHIN, ready).await?)
    }

    /// The status and the text of a health endpoint of the first replica.
    pub async fn health(&self, path: &str) -> anyhow::Result<(u16, String)> {
        self.first()?.health(path).await
    }

    /// Starts what its Service leads to, anew where it runs: all connections end, and the next one goes to
    /// this replica, if it is ready.
    pub async fn lead_to(&self, cluster: &LocalCluster, first: usize) -> anyhow::Result<()> {
        if let Some(running) = cluster.process(FORWARD) {
            running.kill().await.context("cannot end the forwarder")?;
        }
        let address =
            |replica: &Replica| format!("127.0.0.1:{}", replica.url.port().unwrap_or_default());
        let mut to: Vec<String> = self.replicas.iter().map(address).collect();
        to.rotate_left(first);
        let port = self.service_port;
        let mut launch = Launch::new(FORWARD, cluster.ours(HARNESS))
            .args(["forward", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--to", &to.join(",")]);
        if 1 < to.len() {
            launch = launch.arg("--readyz");
        }
        let forward = cluster.processes.spawn(launch)?;
        forward.ready(READY_WITHIN, || super::accepts(port)).await?;
        Ok(())
    }

    fn first(&self) -> anyhow::Result<&Replica> {
        self.replicas.first().context("there is no replica")
    }
}

/// The overlay, with what only this run knows.
fn manifests(cluster: &LocalCluster, service_port: u16) -> anyhow::Result<Manifests> {
    let mut manifests = cluster.manifests("manifests/overlays/local")?;
    provider::point_to_fake(&mut manifests, cluster.fake_url.as_str())?;
    for (variable, value) in [
        ("DD_EXTERNAL_METRICS_PROVIDER_BIND_ADDRESS", "127.0.0.1"),
        ("DD_CLUSTER_AGENT_BIND_ADDRESS", "127.0.0.1"),
        // Nobody has to learn first that it is gone.
        ("DD_EXTERNAL_METRICS_PROVIDER_SHUTDOWN_DELAY", "0s"),
    ] {
        manifests.set_env(("Deployment", NAME), CONTAINER, variable, value)?;
    }
    let port = json!({"spec": {"service": {"port": service_port}}});
    manifests.patch("APIService", API_SERVICE, &port)?;
    Ok(manifests)
}
