//! Datadog refuses one query among a hundred: that HPA says so, and the ninety-nine others have their
//! values.

use std::time::Duration;

use fake_datadog::control::{PerSeries, Script, Shape, Values};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    cluster::Cluster,
    observe::{Watched, served},
    phase::Recorder,
    scenario::{
        Settings, describe,
        stage::{Says, Stage},
        watched,
    },
    wait::{self, Probe},
};

/// The HPA with the bad query, and the Deployment of the others.
const MANIFEST: &str = "e2e/manifests/one-bad-query.yaml";
const BAD: &str = "bad-query";
const METRIC: &str = "e2e.queue.depth";
/// The HPAs beside that with the bad query and the one that is watched: a hundred in all.
const OTHERS: u16 = 98;
/// Queries in a call, at most (`DD_EXTERNAL_METRICS_PROVIDER_CHUNK_SIZE`).
const BATCH: u32 = 35;
/// Requests at a time: to make the HPAs, and to read their values.
const AT_A_TIME: usize = 8;

pub(super) async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let stage = Stage::at_three(cluster, settings, recorder).await?;
    recorder
        .phase("a hundred HPAs", async {
            // Queue n has n messages.
            let values = Values::Range { first: 1, last: OTHERS.into(), width: 1 };
            let mut script = Script::new(METRIC, ["queue:{queue}"], Shape::Constant(1.0))
                .for_each("queue", values);
            script.per_series = Some(PerSeries { add: 1.0, ..PerSeries::default() });
            cluster.fake().script(&script).await?;
            create_others(cluster).await?;
            all_read(cluster, recorder, "the others have their values").await
        })
        .await?;
    let held = recorder.phase("fault", async {
        cluster.apply(MANIFEST).await?;
        let words = ["Datadog rejects the query", "not IN (1,2)"];
        let says = describe::says(cluster, recorder, BAD, &words, stage.fault_for);
        let (said, held) = tokio::join!(says, stage.hold(Says::Nothing));
        said?;
        describe::provider_says(cluster, recorder, BAD, &words).await?;
        let refused = held?.iter().filter(|call| call.status == 400).count();
        let most = most_refusals(stage.refreshes());
        recorder.assertion(
            "the bad query is asked alone, and less and less often",
            if refused <= most {
                Ok(format!("{refused} calls are refused, the limit is {most}"))
            } else {
                Err(format!("{refused} calls are refused, the limit is {most}"))
            },
        )?;
        all_read(cluster, recorder, "all others still have theirs, one bad query later").await
    });
    held.await?;
    recorder.phase("mended", mend(cluster, recorder)).await?;
    stage.recover(Duration::ZERO).await
}

/// The most calls that a bad query may spoil in this many refreshes: those by which it is found in its
/// batch, halved again and again, and those that it makes alone, each after twice the wait of the last.
fn most_refusals(refreshes: u32) -> usize {
    let (mut halvings, mut queries) = (1, BATCH);
    while 1 < queries {
        queries = queries.div_ceil(2);
        halvings += 1;
    }
    let alone = 1 + refreshes.saturating_add(1).ilog2();
    halvings + usize::try_from(alone).unwrap_or(usize::MAX)
}

async fn create_others<C: Cluster>(cluster: &C) -> anyhow::Result<()> {
    let hpas =
        Api::<HorizontalPodAutoscaler>::namespaced(cluster.client().clone(), cluster.namespace());
    let create = |queue: u16| {
        let hpas = hpas.clone();
        async move {
            let hpa = serde_json::from_value(json!({
                "metadata": {"name": format!("queue-{queue}")},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "others"},
                    "maxReplicas": 5,
                    "metrics": [{"type": "External", "external": {
                        "metric": {
                            "name": METRIC,
                            "selector": {"matchLabels": {"queue": queue.to_string()}},
                        },
                        "target": {"type": "AverageValue", "averageValue": "100"},
                    }}],
                },
            }))?;
            hpas.create(&PostParams::default(), &hpa).await?;
            anyhow::Ok(())
        }
    };
    stream::iter(1..=OTHERS).map(create).buffer_unordered(AT_A_TIME).try_collect().await
}

/// Asserts that the external metrics API has the value of each of the others.
async fn all_read<C: Cluster>(cluster: &C, recorder: &Recorder, name: &str) -> anyhow::Result<()> {
    let within = cluster.timings().follows_within();
    let looked = wait::until("all values", within, Duration::from_secs(1), async || {
        let mut troubles: Vec<String> = stream::iter(1..=OTHERS)
            .map(|queue| trouble(cluster, queue))
            .buffer_unordered(AT_A_TIME)
            .filter_map(std::future::ready)
            .collect()
            .await;
        troubles.sort_unstable();
        anyhow::Ok(match troubles.first() {
            None => Probe::Ready(format!("{OTHERS} values")),
            Some(first) => Probe::NotYet(format!("{} without theirs: {first}", troubles.len())),
        })
    });
    let result = looked.await.map_err(|timeout| timeout.to_string());
    Ok(recorder.assertion(name, result)?)
}

/// What is wrong with the value of a queue.
async fn trouble<C: Cluster>(cluster: &C, queue: u16) -> Option<String> {
    let asked = Watched {
        metric: METRIC.to_owned(),
        selector: format!("queue={queue}"),
        ..watched(cluster)
    };
    let expected = f64::from(queue);
    match served::read(cluster.client(), &asked).await {
        Ok(served) if (served.value - expected).abs() < 0.001 => None,
        Ok(served) => Some(format!("queue {queue}: {} instead of {expected}", served.value)),
        Err(refusal) => {
            Some(format!("queue {queue}: {}", refusal.as_deref().unwrap_or("no answer")))
        }
    }
}

/// Corrects the selector of the HPA, and asserts that it is well then.
async fn mend<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let hpas =
        Api::<HorizontalPodAutoscaler>::namespaced(cluster.client().clone(), cluster.namespace());
    let mut metrics = hpas.get(BAD).await?.spec.and_then(|spec| spec.metrics).unwrap_or_default();
    for external in metrics.iter_mut().filter_map(|metric| metric.external.as_mut()) {
        let selector = external.metric.selector.get_or_insert_default();
        for expression in selector.match_expressions.iter_mut().flatten() {
            "queue".clone_into(&mut expression.key);
        }
    }
    let patch = Patch::Merge(json!({"spec": {"metrics": metrics}}));
    hpas.patch(BAD, &PatchParams::default(), &patch).await?;
    let within = cluster.timings().follows_within();
    let looked =
        wait::until("the HPA to read its metric", within, Duration::from_millis(100), async || {
            let hpa = hpas.get_status(BAD).await?;
            let mut conditions =
                hpa.status.iter().flat_map(|status| status.conditions.iter().flatten());
            let active = conditions.find(|condition| condition.type_ == "ScalingActive");
            let message = active.and_then(|it| it.message.clone()).unwrap_or_default();
            anyhow::Ok(if active.is_some_and(|it| it.status == "True") {
                Probe::Ready(message)
            } else {
                Probe::NotYet(message)
            })
        });
    let result = looked.await.map_err(|timeout| timeout.to_string());
    Ok(recorder.assertion("with its query mended the HPA reads its metric", result)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_query_spoils_a_few_calls_however_long_it_is_there() {
        // 35, 18, 9, 5, 3, 2 and 1 queries; then alone, after waits of 1, 2, 4 … refreshes.
        for (refreshes, expected) in [(0, 8), (1, 9), (10, 11), (60, 13), (u32::MAX, 39)] {
            assert_eq!(most_refusals(refreshes), expected, "{refreshes}");
        }
    }
}
