//! The walkthrough with a scripted series in place of load and check: what the provider serves is
//! known exactly.

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        METRIC, SCALED, apply_hpa, hold, judge, near, scale_down, scale_up,
        stage::{AT_REST, UNDER_LOAD, script},
    },
};

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    recorder.phase("provider", cluster.install_provider(&[])).await?;
    recorder
        .phase("nginx", async {
            cluster.install_nginx().await?;
            script(cluster, METRIC, AT_REST).await
        })
        .await?;
    let observer = recorder.phase("HPA at rest", apply_hpa(cluster, recorder)).await?;
    script(cluster, METRIC, UNDER_LOAD).await?;
    recorder.phase("1 → 3", scale_up(cluster, &observer, recorder)).await?;
    let held = recorder.phase("stays at 3", hold(cluster, &observer, recorder)).await?;
    script(cluster, METRIC, AT_REST).await?;
    recorder.phase("3 → 1", scale_down(cluster, &observer, recorder)).await?;
    recorder.assertion(
        "the provider serves the scripted value",
        near(held.mean_served, UNDER_LOAD, 0.0001, "per s"),
    )?;
    judge(cluster, &observer, recorder, SCALED).await
}
