//! What scenarios need that look at the embedded cluster from within: its programs, keys and users.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;
use url::Url;

use crate::{
    cluster::{
        local::{
            LocalCluster, NAMESPACE, TOKEN_LIFETIME,
            control_plane::ControlPlane,
            direct::{Direct, Trust},
            kubectl::Kubectl,
            log::Log,
            token,
        },
        syncs,
    },
    load::Connections,
    pki::Pair,
};

impl LocalCluster {
    /// The programs of Kubernetes.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// Ends kube-apiserver and leaves everything else running.
    pub async fn stop_apiserver(&self) -> anyhow::Result<()> {
        self.plane.stop_apiserver().await
    }

    /// Starts kube-apiserver again as it was, and waits until it is ready.
    pub async fn start_apiserver(&self) -> anyhow::Result<()> {
        self.plane.start_apiserver(&self.processes).await
    }

    /// Kills etcd and leaves everything else running.
    pub async fn kill_etcd(&self) -> anyhow::Result<()> {
        self.plane.kill_etcd().await
    }

    /// Starts etcd again with its data, and waits until it is well.
    pub async fn start_etcd(&self) -> anyhow::Result<()> {
        self.plane.start_etcd(&self.processes).await
    }

    /// How often the HPA controller has asked for an external metric, and in vain.
    pub async fn asked(&self) -> anyhow::Result<syncs::Asked> {
        Ok(syncs::asked(&self.controller_manager_metrics().await?))
    }

    pub(super) async fn controller_manager_metrics(&self) -> anyhow::Result<String> {
        let pem = tokio::fs::read(&self.plane.pki().ca).await.context("the authority's file")?;
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&pem)?])
            .no_proxy()
            .build()?;
        let url = self.plane.controller_manager_url().join("metrics")?;
        Ok(client.get(url).send().await?.error_for_status()?.text().await?)
    }

    /// The log of kube-controller-manager from here on, which from here on is of this level.
    pub async fn controller_manager_log_at(&self, level: u8) -> anyhow::Result<Log> {
        let url = self.plane.controller_manager_url();
        self.log_at("kube-controller-manager", url, level).await
    }

    /// The same of kube-apiserver.
    pub async fn apiserver_log_at(&self, level: u8) -> anyhow::Result<Log> {
        self.log_at("kube-apiserver", &self.plane.server().url, level).await
    }

    async fn log_at(&self, name: &str, url: &Url, level: u8) -> anyhow::Result<Log> {
        let process = self.process(name).with_context(|| format!("{name} does not run"))?;
        let log = Log::begin(process.log(), url, &self.plane.pki().admin).await?;
        log.set_level(level).await?;
        Ok(log)
    }

    /// A path in the folder of the run, which is removed at its end.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where the provider listens.
    pub fn provider_url(&self) -> anyhow::Result<&Url> {
        self.provider.get().context("the provider is not installed")
    }

    /// Asks the provider itself, past kube-apiserver, with this client certificate; whatever certificate
    /// it has.
    pub fn provider_as(&self, pair: Option<&Pair>) -> anyhow::Result<Direct> {
        Direct::new(self.provider_url()?, Trust::Anybody, pair, Connections::New)
    }

    /// Asks kube-apiserver with this client certificate.
    pub fn apiserver_as(&self, pair: Option<&Pair>) -> anyhow::Result<Direct> {
        let server = self.plane.server();
        let pem = std::fs::read(&server.ca).context("the authority's file")?;
        Direct::new(&server.url, Trust::Authority(&pem), pair, Connections::New)
    }

    /// A token of a service account in the namespace of the walkthrough; for kube-apiserver where no
    /// audience is named.
    pub async fn token(&self, account: &str, audience: Option<&str>) -> anyhow::Result<String> {
        let audiences = audience.map(str::to_owned).into_iter().collect();
        let account = (NAMESPACE, account);
        let token = token::request(self.plane.client(), account, audiences, TOKEN_LIFETIME);
        Ok(token.await?.token)
    }

    /// kubectl with all rights; none where there is no kubectl.
    pub fn kubectl(&self) -> anyhow::Result<Option<Kubectl>> {
        self.kubectl_with(self.plane.kubeconfig())
    }

    /// kubectl as a service account of the walkthrough's namespace.
    pub async fn kubectl_as(&self, account: &str) -> anyhow::Result<Option<Kubectl>> {
        let kubeconfig = self.kubeconfig_of(account).await?;
        self.kubectl_with(&kubeconfig)
    }

    fn kubectl_with(&self, kubeconfig: &Path) -> anyhow::Result<Option<Kubectl>> {
        let Some(program) = &self.plan.programs.kubectl else { return Ok(None) };
        let home = TempDir::with_prefix_in("kubectl-", &self.folder).context("kubectl's home")?;
        Ok(Some(Kubectl::new(program, kubeconfig, home)))
    }
}
