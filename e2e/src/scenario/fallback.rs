//! An HPA that declares a fallback: when its samples are too old, it scales to that, and comes back by
//! itself.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use fake_datadog::control::{Effect, Endpoint, Fault};

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        METRIC, NGINX_HPA, SCALED, Settings, judge,
        stage::{self, Stage},
    },
};

/// Requests per second to go by without a sample; they ask for four replicas.
const FALLBACK: f64 = 36.0;
const FALLEN_BACK: i32 = 4;

pub(super) async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stage = Stage::at_three(cluster, settings, recorder).await?;
    let within = cluster.timings().follows_within();
    let fallen_back = recorder.phase("3 → 4", async {
        declare(cluster).await?;
        cluster.fake().fault(&Fault::new("fault", Effect::status(503)).on(Endpoint::Query)).await?;
        let within = within + stage::max_age(cluster.timings());
        let reached = stage.observer.until(within, |seen| {
            let served = seen.served.as_ref().map(|served| served.value);
            seen.is_active() && seen.is_at(FALLEN_BACK) && served == Some(FALLBACK)
        });
        recorder.assertion("the HPA goes by the fallback, which asks for 4", reached.await)?;
        cluster.fake().clear_faults().await?;
        anyhow::Ok(())
    });
    fallen_back.await?;
    let back = recorder.phase("4 → 3", async {
        let within = within + cluster.timings().downscale_window;
        let reached = stage.observer.until(within, |seen| seen.is_active() && seen.is_at(SCALED));
        recorder.assertion("the HPA goes by its metric again by itself", reached.await)
    });
    back.await?;
    stage.follow(METRIC).await?;
    judge(cluster, &stage.observer, recorder, FALLEN_BACK).await
}

/// Annotates the HPA.
async fn declare<C: Cluster>(cluster: &C) -> anyhow::Result<()> {
    let hpas =
        Api::<HorizontalPodAutoscaler>::namespaced(cluster.client().clone(), cluster.namespace());
    let annotations = json!({
        "external-metrics.datadoghq.com/fallback": FALLBACK.to_string(),
        "external-metrics.datadoghq.com/fallback-after": "1s",
    });
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    hpas.patch(NGINX_HPA, &PatchParams::default(), &patch).await?;
    Ok(())
}
