//! Reaches a port of a pod from here, by way of kube-apiserver, as `kubectl port-forward` does: it
//! works with every cluster, and needs neither a `NodePort` nor a route.

use std::net::Ipv4Addr;

use anyhow::Context;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// Which pod to reach.
#[derive(Debug, Clone)]
pub(super) enum Target {
    /// This one.
    Pod(String),
    /// For each connection one that is ready and that this label selector chooses.
    Labels(String),
}

/// A port of this machine that leads to one of a pod. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Forward {
    url: Url,
    accepting: JoinHandle<()>,
}

impl Forward {
    /// Listens on a free port of loopback; `pods` are those of the target's namespace.
    pub(super) async fn start(pods: Api<Pod>, target: Target, port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("a free port")?;
        let url = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let accepting = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let (pods, target) = (pods.clone(), target.clone());
                tokio::spawn(async move {
                    // The caller sees that its connection ends, and tries again.
                    if let Err(error) = carry(connection, &pods, &target, port).await {
                        tracing::debug!(error = format!("{error:#}"), ?target, "port-forward");
                    }
                });
            }
        });
        Ok(Self { url, accepting })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(
    mut connection: TcpStream,
    pods: &Api<Pod>,
    target: &Target,
    port: u16,
) -> anyhow::Result<()> {
    let name = match target {
        Target::Pod(name) => name.clone(),
        Target::Labels(labels) => ready_pod(pods, labels).await?,
    };
    let mut forwarder = pods.portforward(&name, &[port]).await?;
    let mut stream = forwarder.take_stream(port).context("no stream")?;
    let copied = copy_bidirectional(&mut connection, &mut stream).await;
    drop(stream);
    forwarder.abort();
    copied.map(drop).context("the connection broke")
}

async fn ready_pod(pods: &Api<Pod>, labels: &str) -> anyhow::Result<String> {
    let found = pods.list(&ListParams::default().labels(labels)).await?;
    let ready = found.items.iter().find(|pod| super::is_ready(pod));
    ready.map(ResourceExt::name_any).context("no pod is ready")
}
