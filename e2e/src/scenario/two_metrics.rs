//! An HPA with two metrics: the one that asks for more replicas decides, whichever of them it is.

use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    observe::{Observer, Seen},
    oracle::quantity,
    phase::Recorder,
    scenario::{
        HELD_SYNCS, METRIC, SCALED, judge, scale_down,
        stage::{self, AT_REST, UNDER_LOAD},
        syncs, watched,
    },
};

/// The HPA: requests at a target of 9, connections at a target of 20.
const HPA: &str = "e2e/manifests/two-metrics.yaml";
const CONNECTIONS: &str = "nginx.net.connections";
/// Connections that ask for one replica and for three.
const FEW: f64 = 10.0;
const MANY: f64 = 55.0;

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    stage::install(cluster, recorder).await?;
    stage::script(cluster, METRIC, UNDER_LOAD).await?;
    stage::script(cluster, CONNECTIONS, FEW).await?;
    let observer = stage::scale_to_three(cluster, recorder, HPA, &watched(cluster)).await?;
    recorder.assertion("requests decide", decides(&observer.now(), METRIC))?;

    let start = Instant::now();
    let changed = async {
        stage::script(cluster, CONNECTIONS, MANY).await?;
        let within = cluster.timings().follows_within();
        let read = observer.until(within, |seen| MANY <= total(seen, CONNECTIONS)).await;
        recorder.assertion("connections ask for 3 as well", read)?;
        stage::script(cluster, METRIC, AT_REST).await?;
        let read = observer.until(within, |seen| total(seen, METRIC) <= AT_REST * 2.0).await;
        recorder.assertion("requests ask for 1", read)?;
        recorder.assertion("connections decide", decides(&observer.now(), CONNECTIONS))?;
        stays(cluster, &observer, recorder, start).await
    };
    recorder.phase("the other one", changed).await?;

    stage::script(cluster, CONNECTIONS, FEW).await?;
    recorder.phase("3 → 1", scale_down(cluster, &observer, recorder)).await?;
    judge(cluster, &observer, recorder, SCALED).await
}

/// Asserts that there were three replicas since `start`, and are for ten syncs from now on.
async fn stays<C: Cluster>(
    cluster: &C,
    observer: &Observer,
    recorder: &Recorder,
    start: Instant,
) -> anyhow::Result<()> {
    let syncs = syncs(cluster, HELD_SYNCS).await?;
    let history = observer.since(start);
    let result = match history.iter().find(|seen| !seen.is_at(SCALED)) {
        None => Ok(format!("for {syncs} after it, {} states seen", history.len())),
        Some(seen) => Err(seen.describe()),
    };
    Ok(recorder.assertion("replicas do not move while the other one takes over", result)?)
}

/// Whether the HPA says that it goes by this metric.
fn decides(seen: &Seen, metric: &str) -> Result<String, String> {
    let message = seen.message("ScalingActive").unwrap_or_default().to_owned();
    if seen.is_active() && message.contains(metric) { Ok(message) } else { Err(seen.describe()) }
}

/// The metric in all as the HPA has read it: its average times the replicas that it is of. Not a number
/// where the HPA has not read it.
fn total(seen: &Seen, metric: &str) -> f64 {
    let total = || {
        let status = seen.hpa.as_ref()?;
        let mut metrics = status.current_metrics.iter().flatten();
        let external = metrics.find_map(|it| {
            it.external.as_ref().filter(|external| external.metric.name == metric)
        })?;
        let milli = quantity::milli(&external.current.average_value.as_ref()?.0)?;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let average = milli as f64 / 1000.0;
        Some(average * f64::from(status.current_replicas?))
    };
    total().unwrap_or(f64::NAN)
}
