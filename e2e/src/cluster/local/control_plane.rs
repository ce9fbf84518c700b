//! The embedded control plane: the programs of a real one, reduced to what is tested.
//!
//! ```text
//! etcd ─▶ kube-apiserver ─┬▶ kube-controller-manager (the HPA controller)
//!                         ├▶ kube-scheduler
//!                         └▶ kwok (plays the kubelet of one node)
//! ```
//!
//! Flags follow envtest, kwokctl and the documentation of the aggregation layer; each that is
//! there for another reason says so where it is set. Measured on 2 cores: 3.5 s in all, most of it
//! in kube-apiserver. To start the others before kube-apiserver is ready does not help: their first
//! tries fail, and then they wait.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use futures::future;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client, Config, api::PostParams, config::KubeConfigOptions};
use url::Url;

use crate::{
    assets::Programs,
    cluster::{
        Timings,
        local::{
            control_plane::probe::Prober,
            kubeconfig::{self, Credential, Server},
        },
        plain_client,
    },
    pki::{Pair, Pki},
    ports::{Ports, Reservation},
    process::{Error, Launch, Process, Processes},
};

mod apiserver;
mod controllers;
mod etcd;
mod probe;
mod restart;

/// The one node, on which every pod is.
pub const NODE: &str = "kwok-node-0";

/// For each program: generous, since a machine that compiles at the same time is slow, and a
/// program that ends early is noticed at once anyway.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// What is needed to start.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The programs.
    pub programs: &'a Programs,
    /// Starts them.
    pub processes: &'a Processes,
    /// The run's folder, which exists; keys, data and kubeconfigs go there.
    pub folder: &'a Path,
    /// Gives the ports.
    pub ports: &'a mut Ports,
    /// The HPA controller's clocks.
    pub timings: Timings,
}

/// How long a program took from its start until it was of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The process's name.
    pub name: String,
    /// From its start to its first good answer.
    pub took: Duration,
}

/// A running control plane. Dropping it leaves it running: see [`ControlPlane::stop`] and
/// [`crate::guard`].
pub struct ControlPlane {
    client: Client,
    server: Server,
    kubeconfig: PathBuf,
    pki: Pki,
    controller_manager_url: Url,
    etcd: Restartable,
    etcd_health: Url,
    apiserver: Restartable,
    controllers: [Process; 3],
    started: Vec<Started>,
}

/// A program that can be started again.
struct Restartable {
    launch: Launch,
    // A std lock: held for a clone or a swap, never across an await.
    process: Mutex<Process>,
}

impl Restartable {
    fn new(launch: Launch, process: Process) -> Self {
        Self { launch, process: Mutex::new(process) }
    }

    /// The one that was started last.
    fn process(&self) -> Process {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the starters of the single programs share.
struct Shared<'a> {
    programs: &'a Programs,
    processes: &'a Processes,
    folder: &'a Path,
    pki: &'a Pki,
    timings: Timings,
}

impl ControlPlane {
    /// Starts everything and waits until a pod could be created: the node is ready and the service
    /// account `default` of the namespace `default` exists.
    ///
    /// A process that does not come up is an error with the end of its log; what was started
    /// before it is left to the guard.
    pub async fn start(plan: Plan<'_>) -> anyhow::Result<Self> {
        let Plan { programs, processes, folder, ports, timings } = plan;
        let pki = Pki::create(&folder.join("pki"))?;
        let prober = Prober::new(&pki.ca)?;
        let shared = Shared { programs, processes, folder, pki: &pki, timings };

        let (etcd_launch, store) = etcd::launch(&shared, [ports.reserve()?, ports.reserve()?])?;
        let etcd = processes.spawn(etcd_launch.clone())?;
        let health = store.join("health")?;
        let mut started = vec![ready(&etcd, || prober.ok(&health)).await?];

        let (launch, url) = apiserver::launch(&shared, &store, ports.reserve()?)?;
        let apiserver = processes.spawn(launch.clone())?;
        let readyz = url.join("readyz")?;
        started.push(ready(&apiserver, || prober.ok(&readyz)).await?);

        let server = Server { url, ca: pki.ca.clone() };
        let kubeconfig = folder.join("kubeconfig");
        kubeconfig::write(&kubeconfig, &server, Credential::Certificate(&pki.admin))?;
        let client = client(&server, &pki.admin).await?;

        let ports = [ports.reserve()?, ports.reserve()?, ports.reserve()?];
        let controllers = Controllers::start(&shared, &server, ports)?;
        started.extend(controllers.ready(&client, &prober).await?);
        Ok(Self {
            client,
            server,
            kubeconfig,
            controller_manager_url: controllers.controller_manager.1,
            etcd: Restartable::new(etcd_launch, etcd),
            etcd_health: health,
            apiserver: Restartable::new(launch, apiserver),
            controllers: [
                controllers.controller_manager.0,
                controllers.scheduler.0,
                controllers.kwok,
            ],
            started,
            pki,
        })
    }

    /// A client with all rights. It has no limit of its own to the rate of requests.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Where kube-apiserver is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The file by which `kubectl` has all rights.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The keys of the cluster.
    pub fn pki(&self) -> &Pki {
        &self.pki
    }

    /// kube-controller-manager's own server: `/metrics` needs no credentials there, and its
    /// certificate is signed by the cluster's authority.
    pub fn controller_manager_url(&self) -> &Url {
        &self.controller_manager_url
    }

    /// How long each program took, in the order of their start.
    pub fn started(&self) -> &[Started] {
        &self.started
    }

    /// Every process, in the order of their start.
    pub fn processes(&self) -> Vec<Process> {
        let controllers = self.controllers.iter().cloned();
        [self.etcd.process(), self.apiserver.process()].into_iter().chain(controllers).collect()
    }

    /// Ends everything, clients first: a server that goes first would leave them to retry.
    pub async fn stop(&self) -> anyhow::Result<()> {
        /// All of them end within 20 ms when they are well.
        const GRACE: Duration = Duration::from_secs(1);
        /// kube-apiserver takes another second to let watches end. Nothing of it is needed.
        const APISERVER_GRACE: Duration = Duration::from_millis(100);
        let stops = self.controllers.iter().map(|process| process.stop(GRACE));
        future::try_join_all(stops).await.context("cannot end the controllers")?;
        self.apiserver
            .process()
            .stop(APISERVER_GRACE)
            .await
            .context("cannot end kube-apiserver")?;
        self.etcd.process().stop(GRACE).await.context("cannot end etcd")?;
        Ok(())
    }
}

impl fmt::Debug for ControlPlane {
    /// kube's client has no form for this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server.url;
        f.debug_struct("ControlPlane").field("server", server).finish_non_exhaustive()
    }
}

/// What starts when kube-apiserver is ready, all at the same time.
struct Controllers {
    controller_manager: (Process, Url),
    scheduler: (Process, Url),
    kwok: Process,
}

impl Controllers {
    fn start(
        shared: &Shared<'_>,
        server: &Server,
        ports: [Reservation; 3],
    ) -> anyhow::Result<Self> {
        let [first, second, third] = ports;
        Ok(Self {
            controller_manager: controllers::controller_manager(shared, server, first)?,
            scheduler: controllers::scheduler(shared, server, second)?,
            kwok: controllers::kwok(shared, server, third)?,
        })
    }

    async fn ready(&self, client: &Client, prober: &Prober) -> anyhow::Result<[Started; 3]> {
        let (controller_manager, scheduler) = (&self.controller_manager, &self.scheduler);
        let health = [controller_manager.1.join("healthz")?, scheduler.1.join("healthz")?];
        let nodes: Api<Node> = Api::all(client.clone());
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        nodes
            .create(&PostParams::default(), &node())
            .await
            .with_context(|| format!("cannot create node {NODE}"))?;
        let (first, second, third) = tokio::try_join!(
            ready(&controller_manager.0, || async {
                prober.ok(&health[0]).await?;
                probe::exists(&accounts, "default").await
            }),
            ready(&scheduler.0, || prober.ok(&health[1])),
            ready(&self.kwok, || probe::node_is_ready(&nodes, NODE)),
        )?;
        Ok([first, second, third])
    }
}

async fn ready<F>(process: &Process, probe: impl FnMut() -> F) -> Result<Started, Error>
where
    F: Future<Output = Result<(), String>>,
{
    let took = process.ready(READY_LIMIT, probe).await?;
    tracing::debug!(name = process.name(), ?took, "ready");
    Ok(Started { name: process.name().to_owned(), took })
}

async fn client(server: &Server, pair: &Pair) -> anyhow::Result<Client> {
    let document = kubeconfig::document(server, Credential::Certificate(pair))?;
    let mut config =
        Config::from_custom_kubeconfig(document, &KubeConfigOptions::default()).await?;
    // The cluster is on loopback, whatever the proxy of this machine.
    config.proxy_url = None;
    plain_client(config).context("cannot make a client of the cluster")
}

fn node() -> Node {
    let mut node = Node::default();
    node.metadata.name = Some(NODE.to_owned());
    // What a kubelet would say of its node; the manifests select by the system.
    let labels = [("kubernetes.io/hostname", NODE), ("kubernetes.io/os", "linux")];
    node.metadata.labels =
        Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect());
    node
}
