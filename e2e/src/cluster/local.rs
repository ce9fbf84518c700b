//! The embedded backend: real control-plane programs as processes on loopback, nothing else needed.
//!
//! Pods have no network here, kwok only says that they run. What really runs stands beside the
//! cluster: the provider, the fake Datadog, one nginx and the node check.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use fake_datadog::{control, keys};
use kube::Client;
use tokio::{
    sync::{Mutex, OnceCell},
    time::Instant,
};
use url::Url;

use crate::{
    assets::Programs,
    cluster::{
        Cluster, Timings, diagnose, local::control_plane::ControlPlane, provider::NAME, run_folder,
        syncs,
    },
    deploy::{Deployer, Manifests},
    guard::{Guard, RUN_FOLDER_PREFIX},
    load::{self, Load, LoadHandle, LoadReport},
    nginx::{self, Reading},
    phase::Recorder,
    ports::Ports,
    process::{Launch, Process, Processes},
    wait,
};

mod access;
pub mod control_plane;
pub mod direct;
pub mod kubeconfig;
pub mod kubectl;
pub mod log;
pub mod provider;
pub mod token;

/// The process's name in the run.
const NGINX: &str = "nginx";
/// Namespace of everything that the walkthrough applies.
const NAMESPACE: &str = "default";
/// How long a process of ours may take to be ready; tenths of a second are usual.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long the cluster may take to act on what was applied.
const ACTS_WITHIN: Duration = Duration::from_secs(90);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Valid for as long as a run that is kept may be looked at.
const TOKEN_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// What a cluster is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The programs of others.
    pub programs: Programs,
    /// The folder with the harness and the fake.
    pub ours: PathBuf,
    /// The provider to test.
    pub provider: PathBuf,
    /// The checkout, for its manifests.
    pub root: PathBuf,
    /// For the choice of ports.
    pub seed: u64,
    /// The clocks.
    pub timings: Timings,
}

/// A control plane with what stands beside it. Dropping it ends everything.
#[derive(Debug)]
pub struct LocalCluster {
    plan: Plan,
    /// Removed by the guard, so that it goes even when we cannot remove it.
    folder: PathBuf,
    guard: Guard,
    processes: Processes,
    plane: ControlPlane,
    deployer: Deployer,
    ports: Mutex<Ports>,
    fake: control::Client,
    fake_url: Url,
    http: reqwest::Client,
    nginx: OnceCell<Url>,
    /// Where the provider listens, when it is installed.
    provider: OnceCell<Url>,
}

impl LocalCluster {
    /// Starts the control plane and the fake Datadog; both are ready then.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        let (guard, folder) = run_folder::guarded(&plan.ours).await?;
        let processes = Processes::new(guard.group(), folder.join("logs"))?;
        let mut ports = Ports::new(plan.seed);
        let (plane, fake_url) = tokio::try_join!(
            ControlPlane::start(control_plane::Plan {
                programs: &plan.programs,
                processes: &processes,
                folder: &folder,
                ports: &mut ports,
                timings: plan.timings,
            }),
            start_fake(&plan, &folder, &processes),
        )?;
        let deployer = Deployer::new(plane.client().clone());
        let fake = control::Client::new(fake_url.clone())?;
        let http = reqwest::Client::builder().no_proxy().build().context("HTTP client")?;
        let (ports, nginx, provider) = (Mutex::new(ports), OnceCell::new(), OnceCell::new());
        Ok(Self {
            plan,
            folder,
            guard,
            processes,
            plane,
            deployer,
            ports,
            fake,
            fake_url,
            http,
            nginx,
            provider,
        })
    }

    fn ours(&self, program: &str) -> PathBuf {
        self.plan.ours.join(program)
    }

    fn manifests(&self, path: &str) -> anyhow::Result<Manifests> {
        Ok(Manifests::load(&self.plan.root.join(path))?)
    }

    async fn port(&self) -> anyhow::Result<u16> {
        Ok(self.ports.lock().await.reserve()?.release())
    }

    /// A kubeconfig with the token of a service account, so that its rights are put to the test.
    async fn kubeconfig_of(&self, service_account: &str) -> anyhow::Result<PathBuf> {
        let file = self.folder.join(format!("{service_account}.kubeconfig"));
        token::service_account_kubeconfig(
            self.plane.client(),
            self.plane.server(),
            (NAMESPACE, service_account),
            TOKEN_LIFETIME,
            &file,
        )
        .await?;
        Ok(file)
    }
}

impl Cluster for LocalCluster {
    type Load = LoadHandle;

    fn name(&self) -> &'static str {
        "local"
    }

    fn namespace(&self) -> &str {
        NAMESPACE
    }

    fn local(&self) -> Option<&Self> {
        Some(self)
    }

    fn client(&self) -> &Client {
        self.plane.client()
    }

    fn timings(&self) -> Timings {
        self.plan.timings
    }

    fn fake(&self) -> &control::Client {
        &self.fake
    }

    /// It was started together with the control plane.
    async fn start_fake(&self, _recorder: &Recorder) -> anyhow::Result<()> {
        Ok(())
    }

    async fn install_provider(&self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        provider::Provider::prepare(self, environment).await?.install(self).await
    }

    async fn install_nginx(&self) -> anyhow::Result<()> {
        let manifests = self.manifests("hpa-example/nginx.yaml")?;
        self.deployer.apply(manifests.iter()).await?;
        let folder = self.folder.join("nginx");
        tokio::fs::create_dir(&folder).await.context("nginx's folder")?;
        let port = self.port().await?;
        let place = nginx::Place { port, folder: &folder, starter: nginx::Starter::current() };
        let text = nginx::adapt(manifests.config_map("nginx", "nginx.conf")?, &place)?;
        let file = folder.join("nginx.conf");
        tokio::fs::write(&file, text).await.context("nginx's configuration")?;
        let launch =
            Launch::new(NGINX, &self.plan.programs.nginx).args(nginx::command_line(&file, &folder));
        let process = self.processes.spawn(launch)?;
        let url = Url::parse(&format!("http://127.0.0.1:{port}/"))?;
        process.ready(READY_WITHIN, || accepts(port)).await?;
        wait::until("nginx's Deployment to be ready", ACTS_WITHIN, LOOK_EVERY, async || {
            wait::deployment_ready(self.client(), NAMESPACE, "nginx").await
        })
        .await?;
        self.nginx.get_or_init(async || url).await;
        Ok(())
    }

    async fn start_node_check(&self) -> anyhow::Result<()> {
        let url = self.nginx()?;
        self.apply("e2e/manifests/node-agent.yaml").await?;
        let kubeconfig = self.kubeconfig_of("datadog-agent").await?;
        let interval = humantime::format_duration(self.plan.timings.check_interval);
        let launch = Launch::new("node-check", self.ours("fake-datadog"))
            .arg("node-check")
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["--datadog-url", self.fake_url.as_str()])
            .args(["--interval", &interval.to_string()])
            .args(["--shared-status-url", url.join("nginx_status")?.as_str()])
            .env("DD_API_KEY", keys::DEFAULT_API_KEY);
        self.processes.spawn(launch)?;
        Ok(())
    }

    async fn apply(&self, file: &str) -> anyhow::Result<()> {
        Ok(self.deployer.apply(self.manifests(file)?.iter()).await?)
    }

    async fn read_nginx(&self) -> anyhow::Result<Reading> {
        let process = self.process(NGINX).context("nginx is not installed")?;
        let status =
            nginx::status(&self.http, self.nginx()?.join("nginx_status")?.as_str()).await?;
        let target = nginx::Target { requests: status.requests, age: process.started().elapsed() };
        Ok(Reading { at: Instant::now(), targets: [(NGINX.to_owned(), target)].into() })
    }

    async fn start_load(&self, rate_per_s: f64, limit: Duration) -> anyhow::Result<LoadHandle> {
        Ok(Load::start(load::Config {
            url: self.nginx()?.clone(),
            place: load::Place::Loopback,
            rate_per_s,
            max_in_flight: 64,
            limit,
            connections: load::Connections::Kept,
        })?)
    }

    async fn stop_load(&self, load: LoadHandle) -> anyhow::Result<LoadReport> {
        Ok(load.stop().await)
    }

    async fn hpa_syncs(&self) -> anyhow::Result<Option<u64>> {
        Ok(Some(syncs::count(&self.controller_manager_metrics().await?)))
    }

    async fn provider_peak_memory(&self) -> Option<u64> {
        self.process(NAME)?.peak_memory()
    }

    async fn diagnose(&self, folder: &Path) -> anyhow::Result<()> {
        diagnose::write(self.client(), &self.fake, folder).await?;
        for process in self.processes.started() {
            let log = tokio::fs::read(process.log()).await.unwrap_or_default();
            diagnose::write_file(folder, &format!("{}.log", process.name()), &log).await?;
        }
        Ok(())
    }

    fn run_name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default().to_string_lossy();
        name.trim_start_matches(RUN_FOLDER_PREFIX).to_owned()
    }

    async fn broken(&self) -> anyhow::Error {
        loop {
            // Processes are started while we wait: look for new ones from time to time.
            let started = self.processes.started();
            let ends = started.iter().map(|process| Box::pin(process.broken()));
            let ended = futures::future::select_all(ends);
            if let Ok((error, ..)) = tokio::time::timeout(Duration::from_secs(1), ended).await {
                return error.into();
            }
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.plane.stop().await?;
        Ok(self.guard.finish().await?)
    }

    async fn keep(self) -> anyhow::Result<Vec<(String, String)>> {
        let kubeconfig = self.plane.kubeconfig().to_owned();
        let started = self.processes.started();
        run_folder::leave(self.guard, &self.folder, &kubeconfig, &started, Vec::new()).await?;
        let mut facts = vec![(
            "use it".to_owned(),
            format!("kubectl --kubeconfig {} get hpa --watch", kubeconfig.display()),
        )];
        if let Some(url) = self.nginx.get() {
            facts.push(("put load on it".to_owned(), format!("cargo xtask e2e load --url {url}")));
        }
        facts.push(("fake Datadog".to_owned(), self.fake_url.to_string()));
        facts.push(("logs".to_owned(), self.processes.logs().display().to_string()));
        facts.push(run_folder::how_to_remove());
        Ok(facts)
    }
}

impl LocalCluster {
    fn nginx(&self) -> anyhow::Result<&Url> {
        self.nginx.get().context("nginx is not installed")
    }

    fn process(&self, name: &str) -> Option<Process> {
        self.processes.started().into_iter().rfind(|process| process.name() == name)
    }
}

async fn start_fake(plan: &Plan, folder: &Path, processes: &Processes) -> anyhow::Result<Url> {
    let file = folder.join("fake-datadog.port");
    let launch = Launch::new("fake-datadog", plan.ours.join("fake-datadog"))
        .args(["serve", "--listen", "127.0.0.1:0", "--port-file"])
        .arg(&file);
    let process = processes.spawn(launch)?;
    let read = || async {
        tokio::fs::metadata(&file)
            .await
            .map(|_| ())
            .map_err(|_| "it does not listen yet".to_owned())
    };
    process.ready(READY_WITHIN, read).await?;
    let port = tokio::fs::read_to_string(&file).await.context("port of the fake Datadog")?;
    Ok(Url::parse(&format!("http://127.0.0.1:{}", port.trim()))?)
}

/// Whether somebody accepts connections on a port of this machine.
async fn accepts(port: u16) -> Result<(), String> {
    tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .map(drop)
        .map_err(|error: io::Error| error.to_string())
}
