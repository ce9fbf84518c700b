//! Somebody mistypes the metric's name in the HPA: it keeps its replicas, and says that there is no such
//! series and which query that was.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        HPA, NGINX_HPA, Settings, describe,
        stage::{Says, Stage},
    },
};

const TYPO: &str = "nginx.net.request_per_sec";

pub(super) async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stage = Stage::at_three(cluster, settings, recorder).await?;
    let held = recorder.phase("fault", async {
        rename(cluster).await?;
        let query = format!("sum:{TYPO}{{kube_container_name:nginx}}");
        let words = ["Returned series slice empty", &query];
        stage.hold(Says::AtOnce(&words)).await?;
        describe::provider_says(cluster, recorder, NGINX_HPA, &words).await?;
        cluster.apply(HPA).await
    });
    held.await?;
    stage.recover(Duration::ZERO).await
}

/// Gives the metric of the HPA the wrong name.
async fn rename<C: Cluster>(cluster: &C) -> anyhow::Result<()> {
    let hpas =
        Api::<HorizontalPodAutoscaler>::namespaced(cluster.client().clone(), cluster.namespace());
    let spec = hpas.get(NGINX_HPA).await?.spec.context("the HPA has no spec")?;
    let mut metrics = spec.metrics.unwrap_or_default();
    for external in metrics.iter_mut().filter_map(|metric| metric.external.as_mut()) {
        TYPO.clone_into(&mut external.metric.name);
    }
    let patch = Patch::Merge(json!({"spec": {"metrics": metrics}}));
    hpas.patch(NGINX_HPA, &PatchParams::default(), &patch).await?;
    Ok(())
}
