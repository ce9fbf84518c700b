//! Datadog, or the way to it, is at fault for a while: the HPA keeps its replicas and says why, and
//! goes on by itself when it is over.

use std::time::Duration;

use fake_datadog::control::{Effect, Endpoint, Fault};

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        NGINX_HPA, Settings, describe,
        stage::{self, Says, Stage},
    },
};

/// Datadog answers every query with 503.
pub(super) async fn datadog_down<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let down = Effect::status(503);
    run(cluster, settings, recorder, down, &["HTTP 503"]).await
}

/// Datadog refuses the keys.
pub(super) async fn keys_revoked<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let revoked = Effect::KeyRevoked(vec!["*".to_owned()]);
    run(cluster, settings, recorder, revoked, &["HTTP 403", "keys", "DD_API_KEY"]).await
}

/// Datadog answers, but its newest points are too old, though not so old that a query finds none.
pub(super) async fn stale_points<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stale = Effect::Stale((stage::max_age(cluster.timings()) * 2).into());
    run(cluster, settings, recorder, stale, &["the newest point of", "old, the limit is"]).await
}

async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
    effect: Effect,
    words: &[&str],
) -> anyhow::Result<()> {
    let stage = Stage::at_three(cluster, settings, recorder).await?;
    let held = recorder.phase("fault", async {
        let fault = Fault::new("fault", effect).on(Endpoint::Query);
        cluster.fake().fault(&fault).await?;
        stage.hold(Says::WhenTooOld(words)).await?;
        if stage.is_noticed() {
            describe::provider_says(cluster, recorder, NGINX_HPA, words).await?;
        }
        cluster.fake().clear_faults().await?;
        anyhow::Ok(())
    });
    held.await?;
    stage.recover(Duration::ZERO).await
}
