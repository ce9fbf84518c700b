//! A cluster with a network, in which everything runs in pods: the provider, the fake Datadog, the
//! node check, nginx, and the load. Whose cluster it is, and what becomes of it, is its [`Host`]'s.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, anyhow};
use fake_datadog::{control, keys};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::sync::Mutex;

use crate::{
    cluster::{Cluster, ProviderPeriods, Timings, diagnose, existing, kind, provider},
    deploy::{Deployer, Manifests, Object},
    load::LoadReport,
    nginx::Reading,
    phase::Recorder,
    wait,
};

pub(crate) mod clean;
mod counts;
mod forward;
mod load;
mod logs;
mod trouble;

use forward::{Forward, Target};
pub use load::PodLoad;

/// Where the manifests put what belongs to the walkthrough, and what stands for Datadog.
const NAMESPACE: &str = "default";
const FAKE_NAMESPACE: &str = "datadog-fake";
/// Objects of the manifests, and their containers.
const FAKE: &str = "fake-datadog";
const AGENT: &str = "datadog-agent";
const NGINX: &str = "nginx";
/// Port of the fake's container and of its Service.
const FAKE_PORT: u16 = 8126;
/// How long the cluster may take to act on what was applied: pods are started one after the other.
const ACTS_WITHIN: Duration = Duration::from_secs(90);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How often pods are looked at for trouble.
const TROUBLE_EVERY: Duration = Duration::from_secs(2);

/// Whose the cluster is.
#[derive(Debug)]
pub enum Host {
    /// A kind cluster of ours.
    Kind(kind::Kind),
    /// Somebody's.
    Existing(existing::Existing),
}

/// What a cluster is filled from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The checkout, for its manifests.
    pub root: PathBuf,
    /// The one namespace for everything; else what the manifests say.
    pub namespace: Option<String>,
    /// The clocks.
    pub timings: Timings,
}

impl Plan {
    /// Where the objects of the walkthrough are.
    fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(NAMESPACE)
    }

    /// Where the fake is.
    fn fake_namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or(FAKE_NAMESPACE)
    }

    /// Namespaces with objects of ours.
    fn namespaces(&self) -> Vec<&str> {
        match &self.namespace {
            Some(own) => vec![own],
            None => vec![NAMESPACE, FAKE_NAMESPACE],
        }
    }
}

/// A cluster to be filled.
pub struct PodsCluster {
    host: Host,
    plan: Plan,
    client: Client,
    deployer: Deployer,
    fake: control::Client,
    _fake_port: Forward,
    http: reqwest::Client,
    nginx_ports: Mutex<HashMap<String, Forward>>,
}

impl fmt::Debug for PodsCluster {
    /// Without the client, which has no form for this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PodsCluster")
            .field("host", &self.host)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

impl PodsCluster {
    /// A cluster that answers; nothing is in it yet.
    pub async fn new(host: Host, client: Client, plan: Plan) -> anyhow::Result<Self> {
        let target = Target::Labels(format!("app={FAKE}"));
        let pods = Api::namespaced(client.clone(), plan.fake_namespace());
        let fake_port = Forward::start(pods, target, FAKE_PORT).await?;
        Ok(Self {
            deployer: Deployer::new(client.clone()),
            fake: control::Client::new(fake_port.url().clone())?,
            _fake_port: fake_port,
            http: reqwest::Client::builder().no_proxy().build().context("HTTP client")?,
            nginx_ports: Mutex::default(),
            host,
            plan,
            client,
        })
    }

    /// The fake in its pod; it answers then.
    async fn install_fake(&self) -> anyhow::Result<()> {
        self.apply("e2e/manifests/fake-datadog.yaml").await?;
        self.deployment_ready(self.plan.fake_namespace(), FAKE).await?;
        wait::until("the fake Datadog to answer", ACTS_WITHIN, LOOK_EVERY, async || {
            self.fake.health().await.map(wait::Probe::Ready)
        })
        .await?;
        Ok(())
    }

    /// How `kubectl` reaches the cluster, where it is ours.
    pub fn kubeconfig(&self) -> Option<PathBuf> {
        match &self.host {
            Host::Kind(kind) => Some(kind.kubeconfig()),
            Host::Existing(_) => None,
        }
    }

    fn manifests(&self, path: &str) -> anyhow::Result<Manifests> {
        manifests(&self.plan, path)
    }

    async fn apply_all(&self, objects: impl IntoIterator<Item = &Object>) -> anyhow::Result<()> {
        Ok(self.deployer.apply(objects).await?)
    }

    async fn deployment_ready(&self, namespace: &str, name: &str) -> anyhow::Result<()> {
        let what = format!("Deployment {namespace}/{name} to be ready");
        wait::until(&what, ACTS_WITHIN, LOOK_EVERY, async || {
            wait::deployment_ready(&self.client, namespace, name).await
        })
        .await?;
        Ok(())
    }

    /// The provider in its pods, registered.
    async fn apply_provider(&self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        let mut manifests = self.manifests(provider_manifests(self.plan.timings.provider))?;
        provider::point_to_fake(&mut manifests, &self.fake_url())?;
        provider::set_environment(&mut manifests, environment)?;
        let started = self.deployment_ready(self.plan.namespace(), provider::NAME);
        provider::install((&self.client, &self.deployer), &manifests, started, LOOK_EVERY).await
    }

    /// The fake, as pods reach it.
    fn fake_url(&self) -> String {
        format!("http://{FAKE}.{}.svc:{FAKE_PORT}", self.plan.fake_namespace())
    }
}

/// The objects of a path of the repository, in the namespace of the plan.
pub(super) fn manifests(plan: &Plan, path: &str) -> anyhow::Result<Manifests> {
    let mut manifests = Manifests::load(&plan.root.join(path))?;
    if let Some(namespace) = &plan.namespace {
        manifests.move_to_namespace(namespace)?;
    }
    Ok(manifests)
}

/// The provider's manifests, before anything of the run is in them.
pub(super) fn provider_manifests(periods: ProviderPeriods) -> &'static str {
    match periods {
        ProviderPeriods::Fast => "manifests/overlays/fast",
        ProviderPeriods::Default => "manifests/cluster-agent",
    }
}

/// Whether a pod serves.
fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

impl Cluster for PodsCluster {
    type Load = PodLoad;

    fn name(&self) -> &'static str {
        match self.host {
            Host::Kind(_) => "kind",
            Host::Existing(_) => "existing",
        }
    }

    fn run_name(&self) -> String {
        match &self.host {
            Host::Kind(kind) => kind.name().to_owned(),
            Host::Existing(existing) => existing.namespace().to_owned(),
        }
    }

    fn client(&self) -> &Client {
        &self.client
    }

    fn namespace(&self) -> &str {
        self.plan.namespace()
    }

    fn timings(&self) -> Timings {
        self.plan.timings
    }

    fn fake(&self) -> &control::Client {
        &self.fake
    }

    async fn start_fake(&self, recorder: &Recorder) -> anyhow::Result<()> {
        recorder.phase("fake Datadog", self.install_fake()).await
    }

    async fn install_provider(&self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        let names = async {
            match self.host {
                // A new cluster resolves names some ten seconds after its node is ready.
                Host::Kind(_) => self.deployment_ready("kube-system", "coredns").await,
                Host::Existing(_) => Ok(()),
            }
        };
        tokio::try_join!(self.apply_provider(environment), names).map(drop)
    }

    async fn install_nginx(&self) -> anyhow::Result<()> {
        self.apply("hpa-example/nginx.yaml").await?;
        self.deployment_ready(self.plan.namespace(), NGINX).await
    }

    async fn start_node_check(&self) -> anyhow::Result<()> {
        self.apply("e2e/manifests/node-agent.yaml").await?;
        let mut manifests = self.manifests("e2e/manifests/node-agent-daemonset.yaml")?;
        let interval = humantime::format_duration(self.plan.timings.check_interval).to_string();
        for (variable, value) in [
            ("DD_URL", self.fake_url().as_str()),
            ("DD_API_KEY", keys::DEFAULT_API_KEY),
            ("NODE_CHECK_INTERVAL", &interval),
            ("NODE_CHECK_NAMESPACE", self.plan.namespace()),
        ] {
            manifests.set_env(("DaemonSet", AGENT), "agent", variable, value)?;
        }
        self.apply_all(&manifests).await
    }

    async fn apply(&self, file: &str) -> anyhow::Result<()> {
        let mut manifests = self.manifests(file)?;
        if let Host::Existing(_) = self.host {
            // Only its owner can set the window of its controller-manager; an HPA can have its own.
            manifests.set_downscale_window(self.plan.timings.downscale_window)?;
        }
        self.apply_all(&manifests).await
    }

    async fn read_nginx(&self) -> anyhow::Result<Reading> {
        self.read_all().await
    }

    async fn start_load(&self, rate_per_s: f64, limit: Duration) -> anyhow::Result<PodLoad> {
        self.apply_load(rate_per_s, limit).await
    }

    async fn stop_load(&self, load: PodLoad) -> anyhow::Result<LoadReport> {
        self.suspend_load(load).await
    }

    async fn hpa_syncs(&self) -> anyhow::Result<Option<u64>> {
        match &self.host {
            Host::Kind(kind) => kind.hpa_syncs(&self.client).await.map(Some),
            // Only its owner can make its controller-manager answer us.
            Host::Existing(_) => Ok(None),
        }
    }

    async fn provider_peak_memory(&self) -> Option<u64> {
        match &self.host {
            Host::Kind(kind) => kind.peak_memory(provider::NAME).await,
            Host::Existing(_) => None,
        }
    }

    async fn broken(&self) -> anyhow::Error {
        loop {
            if let Some(trouble) = self.first_trouble().await {
                return anyhow!(trouble);
            }
            tokio::time::sleep(TROUBLE_EVERY).await;
        }
    }

    async fn diagnose(&self, folder: &Path) -> anyhow::Result<()> {
        diagnose::write(&self.client, &self.fake, folder).await?;
        self.write_logs(folder).await?;
        match &self.host {
            Host::Kind(kind) => kind.diagnose(&self.client, folder).await,
            Host::Existing(_) => Ok(()),
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        match self.host {
            Host::Kind(kind) => kind.stop(&self.client).await,
            Host::Existing(existing) => existing.stop(&self.client).await,
        }
    }

    async fn keep(self) -> anyhow::Result<Vec<(String, String)>> {
        match self.host {
            Host::Kind(kind) => kind.keep().await,
            Host::Existing(existing) => existing.keep().await,
        }
    }
}
