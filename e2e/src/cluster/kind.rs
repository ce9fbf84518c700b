//! The `kind` backend: a Kubernetes of real nodes in containers, made for the run and removed with it.
//!
//! ```text
//! tool: kind + docker or podman ─▶ node image ─▶ config ─▶ create ─▶ load images ─▶ pods::PodsCluster
//! ```
//!
//! A cluster's name says whose it is: `dca-e2e-PID-START-N`, the runner's process and a number. The
//! guard removes it when the runner is gone; [`orphans`] finds what a guard that was killed too has left.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    cluster::{
        Timings, diagnose,
        kind::tool::Tool,
        plain_client,
        pods::{self, Host, PodsCluster, clean},
        run_folder, syncs,
    },
    guard::{Guard, RUN_FOLDER_PREFIX},
    image::Product,
    phase::Recorder,
    process::{identity::Identity, peak_memory},
    wait,
};

mod config;
pub mod node_image;
pub mod orphans;
pub mod tool;

/// The config in the repository.
const CONFIG: &str = "e2e/manifests/kind.yaml";
/// What the names of clusters that outlive their runs begin with.
pub(crate) const REUSED_PREFIX: &str = "dca-e2e-reuse-";
/// Half a minute is usual, and a node image may have to be pulled first.
const CREATED_WITHIN: Duration = Duration::from_secs(600);
/// Loading images takes seconds.
const LOADED_WITHIN: Duration = Duration::from_secs(180);
/// For questions to docker and kind.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
const NODE_READY_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The image of nginx's manifest. The others are ours.
const NGINX_IMAGE: &str = "nginx:1.28";

/// What a cluster is made from.
#[derive(Debug)]
pub struct Plan<'a> {
    /// kind and what runs its nodes.
    pub tool: Tool,
    /// The node image.
    pub node_image: String,
    /// Use the cluster of an earlier run of this kind, and leave it behind.
    pub reuse: bool,
    /// The folder with this program.
    pub ours: &'a Path,
    /// The folder with our images.
    pub images: &'a Path,
    /// The checkout.
    pub root: &'a Path,
    /// The clocks.
    pub timings: Timings,
    /// Where the logs of nodes go that do not come up.
    pub artifacts: &'a Path,
}

/// A kind cluster. Dropping it removes it.
#[derive(Debug)]
pub struct Kind {
    tool: Tool,
    name: String,
    /// Removed by the guard.
    folder: PathBuf,
    guard: Guard,
    /// What the cluster is emptied by when it is left behind.
    emptied: Option<pods::Plan>,
}

/// Makes a cluster, or takes the one that is there, with our images in it.
pub async fn start(plan: Plan<'_>, recorder: &Recorder) -> anyhow::Result<PodsCluster> {
    let filled = pods::Plan { root: plan.root.to_owned(), namespace: None, timings: plan.timings };
    let (kind, client) = recorder
        .phase("kind cluster", async {
            let config = config::config(&plan.root.join(CONFIG), plan.timings)?;
            let emptied = plan.reuse.then(|| filled.clone());
            let mut kind = Kind::prepare(&plan, &config, emptied).await?;
            if plan.reuse && kind.exists().await? {
                recorder.note(format!("reusing {}", kind.name));
                kind.export_kubeconfig().await?;
            } else {
                recorder.note(format!("creating {} from {}", kind.name, plan.node_image));
                kind.create(&plan, &config).await?;
            }
            let client = kind.client().await?;
            if let Some(filled) = &kind.emptied {
                clean::remove(&client, filled).await.context("empty the cluster for this run")?;
            }
            anyhow::Ok((kind, client))
        })
        .await?;
    recorder
        .phase("images", async {
            kind.load_images(plan.images).await?;
            kind.nodes_ready(&client).await
        })
        .await?;
    PodsCluster::new(Host::Kind(kind), client, filled).await
}

impl Kind {
    /// A name, a folder and a guard; nothing is made yet.
    async fn prepare(
        plan: &Plan<'_>,
        config: &str,
        emptied: Option<pods::Plan>,
    ) -> anyhow::Result<Self> {
        let name = if plan.reuse {
            format!("{REUSED_PREFIX}{}", config::fingerprint(config, &plan.node_image))
        } else {
            name_of_this_process()?
        };
        let (guard, folder) = run_folder::guarded(plan.ours).await?;
        Ok(Self { tool: plan.tool.clone(), name, folder, guard, emptied })
    }

    /// Its name, as kind knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How `kubectl` reaches it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    async fn exists(&self) -> anyhow::Result<bool> {
        let clusters = self.tool.kind(["get", "clusters"], ANSWERS_WITHIN).await?;
        Ok(clusters.lines().any(|name| name.trim() == self.name))
    }

    async fn export_kubeconfig(&self) -> anyhow::Result<()> {
        let file = self.kubeconfig();
        let file = file.to_string_lossy();
        let arguments = ["export", "kubeconfig", "--name", &self.name, "--kubeconfig", &file];
        self.tool.kind(arguments, ANSWERS_WITHIN).await.map(drop)
    }

    async fn create(&mut self, plan: &Plan<'_>, config: &str) -> anyhow::Result<()> {
        let file = self.folder.join("kind.yaml");
        tokio::fs::write(&file, config).await.context("the cluster's configuration")?;
        let (file, kubeconfig) = (file.to_string_lossy(), self.kubeconfig());
        let kubeconfig = kubeconfig.to_string_lossy();
        // Before the cluster is there, so that there is no moment in which it is nobody's.
        if !plan.reuse {
            self.guard.run_at_the_end(&self.tool.delete(&self.name))?;
        }
        let arguments = [
            ["create", "cluster"],
            ["--name", &self.name],
            ["--image", &plan.node_image],
            ["--config", &file],
            ["--kubeconfig", &kubeconfig],
            ["--wait", "0s"], // what follows does not wait for the node either
        ];
        let mut arguments = arguments.concat();
        arguments.push("--retain");
        let Err(error) = self.tool.kind(arguments, CREATED_WITHIN).await else { return Ok(()) };
        let logs = plan.artifacts.join(&self.name);
        let logs = logs.to_string_lossy();
        let exported =
            self.tool.kind(["export", "logs", &logs, "--name", &self.name], ANSWERS_WITHIN).await;
        let where_ =
            if exported.is_ok() { format!("; logs of the node: {logs}") } else { String::new() };
        if plan.reuse {
            self.tool.delete(&self.name).run(ANSWERS_WITHIN).await.ok();
        }
        bail!("kind cannot create a cluster: {error:#}{where_}; `cargo xtask doctor` may say why")
    }

    async fn client(&self) -> anyhow::Result<Client> {
        let file = Kubeconfig::read_from(self.kubeconfig()).context("kind's kubeconfig")?;
        let config =
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
        Ok(plain_client(config)?)
    }

    /// Our images, and nginx where docker has it and the node has not: it need not be pulled then.
    async fn load_images(&self, images: &Path) -> anyhow::Result<()> {
        let archives: Vec<PathBuf> =
            Product::ALL.iter().map(|product| images.join(product.archive())).collect();
        if let Some(missing) = archives.iter().find(|archive| !archive.is_file()) {
            bail!("there is no image {}: make it with `cargo xtask image`", missing.display());
        }
        let archives: Vec<_> = archives.iter().map(|archive| archive.to_string_lossy()).collect();
        let mut arguments = vec!["load", "image-archive", "--name", &self.name];
        arguments.extend(archives.iter().map(AsRef::as_ref));
        self.tool.kind(arguments, LOADED_WITHIN).await.context("load our images")?;
        for node in self.nodes().await? {
            let list = ["exec", &node, "ctr", "--namespace=k8s.io", "images", "list", "--quiet"];
            let known = self.tool.runtime(list, ANSWERS_WITHIN).await?;
            let has = known.lines().any(|image| image.ends_with(&format!("/{NGINX_IMAGE}")));
            if !has && self.tool.has_image(NGINX_IMAGE).await {
                let load = ["load", "docker-image", "--name", &self.name, NGINX_IMAGE];
                self.tool.kind(load, LOADED_WITHIN).await.context("load nginx's image")?;
                break;
            }
        }
        Ok(())
    }

    async fn nodes(&self) -> anyhow::Result<Vec<String>> {
        let nodes = self.tool.kind(["get", "nodes", "--name", &self.name], ANSWERS_WITHIN).await?;
        Ok(nodes.split_whitespace().map(str::to_owned).collect())
    }

    async fn nodes_ready(&self, client: &Client) -> anyhow::Result<()> {
        let nodes: Api<Node> = Api::all(client.clone());
        wait::until("the nodes to be ready", NODE_READY_WITHIN, LOOK_EVERY, async || {
            let found = nodes.list(&ListParams::default()).await?.items;
            let waiting: Vec<_> = found.iter().filter(|node| !is_ready(node)).collect();
            anyhow::Ok(if waiting.is_empty() && !found.is_empty() {
                wait::Probe::Ready(())
            } else {
                let names: Vec<_> = waiting.iter().map(|node| node.name_any()).collect();
                wait::Probe::NotYet(format!("{} not ready", names.join(", ")))
            })
        })
        .await?;
        Ok(())
    }

    /// The HPA controller's count, from kube-controller-manager through kube-apiserver.
    pub(super) async fn hpa_syncs(&self, client: &Client) -> anyhow::Result<u64> {
        let path = format!(
            "/api/v1/namespaces/kube-system/pods/\
             https:{}:10257/proxy/metrics",
            self.controller_manager()
        );
        let request = http::Request::get(path).body(Vec::new())?;
        let text = client.request_text(request).await.context("the controller's metrics")?;
        Ok(syncs::count(&text))
    }

    /// Peak resident memory of the first process of that name on a node, in bytes.
    pub(super) async fn peak_memory(&self, program: &str) -> Option<u64> {
        let name: String = program.chars().take(15).collect(); // comm(5) holds no more
        let script = format!("cat /proc/$(pgrep -xo {name})/status");
        for node in self.nodes().await.ok()? {
            let arguments = ["exec", &node, "sh", "-c", &script];
            let Ok(status) = self.tool.runtime(arguments, ANSWERS_WITHIN).await else { continue };
            return peak_memory(&status);
        }
        None
    }

    /// The log of the HPA controller.
    pub(super) async fn diagnose(&self, client: &Client, folder: &Path) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(client.clone(), "kube-system");
        let log = pods.logs(&self.controller_manager(), &LogParams::default()).await?;
        diagnose::write_file(folder, "kube-controller-manager.log", log.as_bytes()).await
    }

    /// Removes the cluster, or leaves it empty when it is there to be used again.
    pub(super) async fn stop(mut self, client: &Client) -> anyhow::Result<()> {
        if let Some(filled) = &self.emptied {
            clean::remove(client, filled).await?;
        } else {
            let deleted = self.tool.delete(&self.name).run(ANSWERS_WITHIN).await;
            deleted.map_err(anyhow::Error::msg)?;
            self.guard.forget_commands()?;
        }
        Ok(self.guard.finish().await?)
    }

    /// Leaves it running, with a file that says how to remove it.
    pub(super) async fn keep(self) -> anyhow::Result<Vec<(String, String)>> {
        let (kubeconfig, delete) = (self.kubeconfig(), self.tool.delete(&self.name));
        run_folder::leave(self.guard, &self.folder, &kubeconfig, &[], vec![delete]).await?;
        let look = format!("kubectl --kubeconfig {} get hpa --watch", kubeconfig.display());
        Ok(vec![("use it".to_owned(), look), run_folder::how_to_remove()])
    }

    /// The pod of kube-controller-manager, in `kube-system`.
    fn controller_manager(&self) -> String {
        format!("kube-controller-manager-{}-control-plane", self.name)
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

/// A name that says whose it is, so that nobody has to remember.
fn name_of_this_process() -> anyhow::Result<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let us = Identity::of_child(std::process::id()).context("this process is not in /proc")?;
    Ok(format!("{RUN_FOLDER_PREFIX}{us}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)))
}
