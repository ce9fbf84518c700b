//! Datadog, or the way to it, is at fault for a while: the HPA keeps its replicas and says why, and
//! goes on by itself when it is over.

use std::time::Duration;

use fake_datadog::control::{Effect, Endpoint, Fault};

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        Settings,
        stage::{Says, Stage},
    },
};

/// Points that are this much too old would be so in any run.
const STALE_BY: Duration = Duration::from_secs(600);

/// Datadog answers every query with 503.
pub(super) async fn datadog_down<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let down = Fault::new("datadog-down", Effect::status(503)).on(Endpoint::Query);
    run(cluster, settings, recorder, &down, &["HTTP 503"]).await
}

/// Datadog refuses the keys.
pub(super) async fn keys_revoked<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let revoked = Fault::new("keys-revoked", Effect::KeyRevoked(vec!["*".to_owned()]));
    run(cluster, settings, recorder, &revoked, &["HTTP 403", "keys", "DD_API_KEY"]).await
}

/// Datadog answers, but its newest points are ten minutes old.
pub(super) async fn stale_points<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stale = Fault::new("stale-points", Effect::Stale(STALE_BY.into()));
    run(cluster, settings, recorder, &stale, &["the newest point of", "old, the limit is"]).await
}

async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
    fault: &Fault,
    words: &[&str],
) -> anyhow::Result<()> {
    let stage = Stage::at_three(cluster, settings, recorder).await?;
    let held = recorder.phase("fault", async {
        cluster.fake().fault(fault).await?;
        stage.hold(Says::WhenTooOld(words)).await?;
        cluster.fake().clear_faults().await?;
        anyhow::Ok(())
    });
    held.await?;
    stage.recover(Duration::ZERO).await
}
