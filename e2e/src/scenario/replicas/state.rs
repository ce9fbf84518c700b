//! What outlives the replicas: their ConfigMap is deleted, then filled with garbage; then all replicas are
//! lost at once, while Datadog cannot be reached.

use std::time::Duration;

use anyhow::Context;
use fake_datadog::control::{Effect, Fault};
use futures::future;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        METRIC, SOME_SYNCS,
        replicas::{Fleet, LOOK_EVERY, seconds, trial::Trial},
        stage::UNDER_LOAD,
        syncs,
    },
    wait::{self, Probe},
};

/// Its name in the manifests.
const NAME: &str = "datadog-hpa";
/// Datadog's key for the HPA's metric.
const KEY: &str = "external_metric-horizontal-default-nginxext-nginx.net.request_per_s";
/// How long the leader may take to write it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);

pub(in crate::scenario) async fn run<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let fleet = Fleet::install(cluster, recorder).await?;
    let observer = fleet.at_three().await?;
    let maps = Api::<ConfigMap>::namespaced(fleet.cluster.client().clone(), cluster.namespace());
    written(&fleet, &maps, "the metric is in the ConfigMap").await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let deleted = async {
        maps.delete(NAME, &DeleteParams::default()).await.context("the ConfigMap")?;
        written(&fleet, &maps, "a ConfigMap that was deleted is written again").await
    };
    recorder.phase("deleted", deleted).await?;
    let garbage = async {
        let garbage = json!({"data": {
            KEY: "{\"metricName\":",
            "external_metric-horizontal-default-": "[]",
            "external_metric-watermark": "\u{0}",
            "note": "do not edit",
        }});
        maps.patch(NAME, &PatchParams::default(), &Patch::Merge(garbage)).await?;
        written(&fleet, &maps, "garbage in it is replaced").await
    };
    recorder.phase("garbage", garbage).await?;
    recorder.phase("goes on", syncs(fleet.cluster, SOME_SYNCS)).await?;
    trial.judge("ConfigMap", 0, 0).await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    recorder.phase("all replicas restart", all_restart(&fleet)).await?;
    let within = fleet.cluster.timings().follows_within();
    let well = observer.until(within, |seen| seen.is_active() && seen.refusal.is_none()).await;
    recorder.assertion("the HPA reads its metric again by itself", well)?;
    trial.nothing_moves("all replicas restart").await?;
    trial.one_asks("all replicas restart", 2).await
}

/// Waits until the ConfigMap has the metric as it should be.
async fn written(fleet: &Fleet<'_>, maps: &Api<ConfigMap>, name: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    let looked = wait::until("the ConfigMap", WRITTEN_WITHIN, LOOK_EVERY, async || {
        let map = maps.get_opt(NAME).await?;
        anyhow::Ok(entry(map.as_ref()))
    });
    let looked = looked.await.map_err(|timeout| timeout.to_string());
    let text = |()| format!("after {}", seconds(start.elapsed()));
    Ok(fleet.recorder.assertion(name, looked.map(text))?)
}

/// Whether the metric has its value there.
fn entry(map: Option<&ConfigMap>) -> Probe<()> {
    let Some(map) = map else { return Probe::NotYet("there is none".to_owned()) };
    let Some(text) = map.data.as_ref().and_then(|data| data.get(KEY)) else {
        return Probe::NotYet(format!("no {KEY}"));
    };
    let entry: Value = serde_json::from_str(text).unwrap_or_default();
    if entry["metricName"] == METRIC && entry["valid"] == true && entry["value"] == UNDER_LOAD {
        Probe::Ready(())
    } else {
        Probe::NotYet(text.clone())
    }
}

/// Kills all, and starts them again while Datadog cannot be reached: whatever they know is from before.
async fn all_restart(fleet: &Fleet<'_>) -> anyhow::Result<()> {
    fleet.cluster.fake().fault(&Fault::new("cut", Effect::ConnectionReset)).await?;
    let start = Instant::now();
    for replica in fleet.provider.replicas() {
        fleet.process(replica)?.kill().await.context("cannot kill a replica")?;
    }
    let restarts = fleet.provider.replicas().iter().map(|replica| fleet.restart(replica));
    future::try_join_all(restarts).await?;
    let known = wait::until("all replicas to know it", WRITTEN_WITHIN, LOOK_EVERY, async || {
        for replica in fleet.provider.replicas() {
            fleet.point(replica).await?;
        }
        anyhow::Ok(Probe::Ready(()))
    });
    let known = known.await.map_err(|timeout| timeout.to_string());
    let text = |()| format!("{} after all were killed", seconds(start.elapsed()));
    fleet
        .recorder
        .assertion("without Datadog, all replicas answer what they knew before", known.map(text))?;
    fleet.cluster.fake().clear_faults().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str) -> ConfigMap {
        let data = [(KEY.to_owned(), text.to_owned())].into();
        ConfigMap { data: Some(data), ..ConfigMap::default() }
    }

    #[test]
    fn the_metric_is_there_when_it_has_its_value() {
        let good = r#"{"metricName":"nginx.net.request_per_s","valid":true,"value":25}"#;
        assert_eq!(entry(Some(&map(good))), Probe::Ready(()));
        assert!(matches!(entry(Some(&map("{\"metricName\":"))), Probe::NotYet(_)));
        assert!(matches!(entry(Some(&map(&good.replace("25", "0")))), Probe::NotYet(_)));
        assert!(matches!(entry(Some(&ConfigMap::default())), Probe::NotYet(_)));
        assert!(matches!(entry(None), Probe::NotYet(_)));
    }
}
