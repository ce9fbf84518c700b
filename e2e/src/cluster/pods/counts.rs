//! Every nginx's own count, read from the status page of its pod.

use anyhow::Context;
use futures::future;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};
use tokio::time::Instant;
use url::Url;

use crate::{
    cluster::pods::{
        PodsCluster,
        forward::{Forward, Target},
        is_ready,
    },
    nginx::{self, Reading},
};

/// Port of nginx's container.
const PORT: u16 = 80;

impl PodsCluster {
    /// Reads all that are ready, at the same time.
    pub(super) async fn read_all(&self) -> anyhow::Result<Reading> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.plan.namespace());
        let pods = pods.list(&ListParams::default().labels("app=nginx")).await?.items;
        let ready = pods.iter().filter(|pod| is_ready(pod));
        let at = Instant::now();
        let targets = future::try_join_all(ready.map(|pod| self.read_one(pod))).await?;
        Ok(Reading { at, targets: targets.into_iter().collect() })
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
        let pods = Api::namespaced(self.client.clone(), self.plan.namespace());
        let port = Forward::start(pods, Target::Pod(pod.to_owned()), PORT).await?;
        let url = port.url().clone();
        ports.insert(pod.to_owned(), port);
        Ok(url)
    }
}
