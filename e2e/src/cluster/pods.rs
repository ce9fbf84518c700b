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
use futures::future;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use crate::{
    cluster::{Cluster, ProviderPeriods, Timings, diagnose, existing, kind},
    deploy::{Deployer, Manifests, Object},
    load::LoadReport,
    nginx::{self, Reading},
    phase::Recorder,
    wait,
};

pub(crate) mod clean;
mod forward;
mod load;
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
const PROVIDER: (&str, &str) = ("Deployment", "datadog-cluster-agent");
const CONTAINER: &str = "cluster-agent";
const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
/// Port of the fake's container and of its Service.
const FAKE_PORT: u16 = 8126;
/// Port of nginx's container.
const NGINX_PORT: u16 = 80;
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

/// A cluster to be filled.
pub struct PodsCluster {
    host: Host,
    plan: Plan,
    client: Client,
    namespace: String,
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
        let fakes = plan.namespace.as_deref().unwrap_or(FAKE_NAMESPACE);
        let target = Target::Labels([("app", FAKE)].into());
        let pods = Api::namespaced(client.clone(), fakes);
        let fake_port = Forward::start(pods, target, FAKE_PORT).await?;
        Ok(Self {
            deployer: Deployer::new(client.clone()),
            fake: control::Client::new(fake_port.url().clone())?,
            _fake_port: fake_port,
            http: reqwest::Client::builder().no_proxy().build().context("HTTP client")?,
            nginx_ports: Mutex::default(),
            namespace: plan.namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned()),
            host,
            plan,
            client,
        })
    }

    /// The fake in its pod; it answers then.
    async fn install_fake(&self) -> anyhow::Result<()> {
        self.apply("e2e/manifests/fake-datadog.yaml").await?;
        let namespace = self.plan.namespace.as_deref().unwrap_or(FAKE_NAMESPACE);
        self.deployment_ready(namespace, FAKE).await?;
        wait::until("the fake Datadog to answer", ACTS_WITHIN, LOOK_EVERY, async || {
            self.fake.health().await.map(wait::Probe::Ready)
        })
        .await?;
        Ok(())
    }

    /// Namespaces with objects of ours.
    fn namespaces(&self) -> Vec<&str> {
        match &self.plan.namespace {
            Some(own) => vec![own],
            None => vec![NAMESPACE, FAKE_NAMESPACE],
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

    /// The fake, as pods reach it.
    fn fake_url(&self) -> String {
        let namespace = self.plan.namespace.as_deref().unwrap_or(FAKE_NAMESPACE);
        format!("http://{FAKE}.{namespace}.svc:{FAKE_PORT}")
    }

    async fn pods(&self, labels: &str) -> anyhow::Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        Ok(pods.list(&ListParams::default().labels(labels)).await?.items)
    }

    /// Reads one nginx's status page.
    async fn read_one(&self, pod: &Pod) -> anyhow::Result<(String, nginx::Target)> {
        let name = pod.name_any();
        let url = self.nginx_port(&name).await?;
        let status = nginx::status(&self.http, url.join("nginx_status")?.as_str()).await?;
        let started = pod
            .status
            .iter()
            .flat_map(|status| status.container_statuses.iter().flatten())
            .find_map(|status| status.state.as_ref()?.running.as_ref()?.started_at.clone());
        let started = started.with_context(|| format!("pod {name} does not run"))?.0;
        let age = Timestamp::now().duration_since(started).unsigned_abs();
        Ok((name, nginx::Target { requests: status.requests, age }))
    }

    async fn nginx_port(&self, pod: &str) -> anyhow::Result<Url> {
        let mut ports = self.nginx_ports.lock().await;
        if let Some(known) = ports.get(pod) {
            return Ok(known.url().clone());
        }
        let pods = Api::namespaced(self.client.clone(), &self.namespace);
        let port = Forward::start(pods, Target::Pod(pod.to_owned()), NGINX_PORT).await?;
        let url = port.url().clone();
        ports.insert(pod.to_owned(), port);
        Ok(url)
    }

    async fn first_trouble(&self) -> Option<String> {
        for namespace in self.namespaces() {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            // A failed read is no trouble of a pod.
            let Ok(found) = pods.list(&ListParams::default()).await else { continue };
            let stuck = found.items.iter().find_map(|pod| Some((pod, trouble::trouble(pod)?)));
            if let Some((pod, trouble)) = stuck {
                return Some(format!("{trouble}{}", last_words(&pods, &pod.name_any()).await));
            }
        }
        None
    }

    /// The log of every container of ours, and of the one before it.
    async fn write_logs(&self, folder: &Path) -> anyhow::Result<()> {
        for namespace in self.namespaces() {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            for pod in pods.list(&ListParams::default()).await?.items {
                let name = pod.name_any();
                for previous in [false, true] {
                    let params = LogParams { previous, ..LogParams::default() };
                    let Ok(log) = pods.logs(&name, &params).await else { continue };
                    let file = format!("{name}{}.log", if previous { ".previous" } else { "" });
                    diagnose::write_file(folder, &file, log.as_bytes()).await?;
                }
            }
        }
        Ok(())
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

/// The last line that a container logged before it was started again, or before it ended, as the end
/// of a sentence.
async fn last_words(pods: &Api<Pod>, name: &str) -> String {
    for previous in [true, false] {
        let params = LogParams { previous, tail_lines: Some(1), ..LogParams::default() };
        if let Ok(line) = pods.logs(name, &params).await
            && !line.trim().is_empty()
        {
            return format!("; its last words: {}", line.trim());
        }
    }
    String::new()
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
        &self.namespace
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

    async fn install_provider(&self) -> anyhow::Result<()> {
        let mut manifests = self.manifests(provider_manifests(self.plan.timings.provider))?;
        for (variable, value) in [
            ("DD_API_KEY", keys::DEFAULT_API_KEY),
            ("DD_APP_KEY", keys::DEFAULT_APP_KEY),
            ("DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT", &self.fake_url()),
        ] {
            manifests.set_env(PROVIDER, CONTAINER, variable, value)?;
        }
        // An APIService without a backend makes discovery fail for the whole cluster, and
        // kube-apiserver asks again only after a while.
        let (api_service, others): (Vec<_>, Vec<_>) =
            manifests.iter().partition(|object| object.kind() == "APIService");
        self.apply_all(others).await?;
        self.deployment_ready(&self.namespace, PROVIDER.1).await?;
        self.apply_all(api_service).await?;
        wait::until("the APIService to be available", ACTS_WITHIN, LOOK_EVERY, async || {
            wait::api_service_available(&self.client, API_SERVICE).await
        })
        .await?;
        Ok(())
    }

    async fn install_nginx(&self) -> anyhow::Result<()> {
        self.apply("hpa-example/nginx.yaml").await?;
        self.deployment_ready(&self.namespace, NGINX).await
    }

    async fn start_node_check(&self) -> anyhow::Result<()> {
        self.apply("e2e/manifests/node-agent.yaml").await?;
        let mut manifests = self.manifests("e2e/manifests/node-agent-daemonset.yaml")?;
        let interval = humantime::format_duration(self.plan.timings.check_interval).to_string();
        for (variable, value) in [
            ("DD_URL", self.fake_url().as_str()),
            ("DD_API_KEY", keys::DEFAULT_API_KEY),
            ("NODE_CHECK_INTERVAL", &interval),
            ("NODE_CHECK_NAMESPACE", &self.namespace),
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
        let pods = self.pods("app=nginx").await?;
        let ready = pods.iter().filter(|pod| is_ready(pod));
        let at = Instant::now();
        let targets = future::try_join_all(ready.map(|pod| self.read_one(pod))).await?;
        Ok(Reading { at, targets: targets.into_iter().collect() })
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
            Host::Kind(kind) => kind.peak_memory("datadog-cluster-agent").await,
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
