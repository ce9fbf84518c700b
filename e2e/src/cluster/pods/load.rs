//! Load from inside the cluster: a Job of the harness's own image, whose log is its report.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::AsyncReadExt;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::{task::JoinHandle, time::timeout};

use crate::{
    cluster::pods::{ACTS_WITHIN, LOOK_EVERY, PodsCluster},
    load::LoadReport,
    wait,
};

const MANIFEST: &str = "e2e/manifests/load.yaml";
/// The Job's name, its container's, and the value of its label `app`.
const NAME: &str = "load";
/// For the pod to end: the requests in flight, and the kubelet.
const ENDS_WITHIN: Duration = Duration::from_secs(45);
/// Between the end of the load and the end of a Job that hangs.
const SPARE: Duration = Duration::from_secs(60);

/// A load that is being sent by a pod, and the reading of that pod's log.
#[derive(Debug)]
pub struct PodLoad {
    log: JoinHandle<anyhow::Result<String>>,
}

impl PodsCluster {
    pub(super) async fn apply_load(
        &self,
        rate_per_s: f64,
        limit: Duration,
    ) -> anyhow::Result<PodLoad> {
        let mut manifests = self.manifests(MANIFEST)?;
        let url = format!("http://nginx.{}.svc:8090/", self.plan.namespace());
        for (variable, value) in [
            ("E2E_LOAD_URL", url),
            ("E2E_LOAD_RATE", rate_per_s.to_string()),
            ("E2E_LOAD_DURATION", humantime::format_duration(limit).to_string()),
        ] {
            manifests.set_env(("Job", NAME), NAME, variable, &value)?;
        }
        let spec = json!({"spec": {"activeDeadlineSeconds": (limit + SPARE).as_secs()}});
        manifests.patch("Job", NAME, &spec)?;
        self.apply_all(&manifests).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.plan.namespace());
        let pod = wait::until("the load's pod to run", ACTS_WITHIN, LOOK_EVERY, async || {
            let found = pods.list(&ListParams::default().labels(&format!("app={NAME}"))).await?;
            let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
            let running = found.items.iter().find(|pod| {
                phase(pod).is_some_and(|phase| phase != "Pending")
                    && pod.metadata.deletion_timestamp.is_none()
            });
            anyhow::Ok(match running {
                Some(pod) => wait::Probe::Ready(pod.name_any()),
                None => wait::Probe::NotYet(format!("{} pods, none runs", found.items.len())),
            })
        })
        .await?;
        let log = tokio::spawn(async move {
            let follow = LogParams { follow: true, ..LogParams::default() };
            let mut text = String::new();
            pods.log_stream(&pod, &follow).await?.read_to_string(&mut text).await?;
            Ok(text)
        });
        Ok(PodLoad { log })
    }

    /// Suspends the Job: its pod is told to end, and none takes its place.
    pub(super) async fn suspend_load(&self, load: PodLoad) -> anyhow::Result<LoadReport> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), self.plan.namespace());
        let suspended = Patch::Merge(json!({"spec": {"suspend": true}}));
        jobs.patch(NAME, &PatchParams::default(), &suspended).await.context("end the load")?;
        let text = timeout(ENDS_WITHIN, load.log)
            .await
            .context("the load's pod does not end")??
            .context("the load's log")?;
        let Some(line) = text.lines().rev().find(|line| line.starts_with('{')) else {
            bail!("the load left no report, its log is: {}", text.trim());
        };
        serde_json::from_str(line).with_context(|| format!("the load's report: {line}"))
    }
}
