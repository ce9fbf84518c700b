//! The walkthrough: real load on a real nginx, real check, real HPA controller.

use std::time::Duration;

use crate::{
    cluster::Cluster,
    load::LoadReport,
    nginx::Reading,
    observe::Observer,
    phase::Recorder,
    scenario::{Held, SCALED, Settings, apply_hpa, hold, judge, near, scale_down, scale_up},
};

/// Load that is forgotten ends by itself: after what a run without a window needs at most, and the
/// windows for which it must hold.
const LOAD_LIMIT: Duration = Duration::from_secs(300);
const LOAD_WINDOWS: u32 = 4;
/// How far the served value may be from what nginx counted.
const TOLERANCE: f64 = 0.05;
/// How far the load that was sent may be from the rate that was set.
const LOAD_TOLERANCE: f64 = 0.02;
/// By how many polls of the check the count of one nginx may be off: when its first and its last were
/// is not known.
const POLL_TOLERANCE: f64 = 2.0;

pub(super) async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    recorder.phase("provider", cluster.install_provider(&[])).await?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    let observer = recorder
        .phase("HPA at rest", async {
            cluster.start_node_check().await?;
            apply_hpa(cluster, recorder).await
        })
        .await?;
    let loaded = recorder.phase("under load", async {
        let before = cluster.read_nginx().await?;
        let limit = LOAD_LIMIT + cluster.timings().downscale_window * LOAD_WINDOWS;
        let load = cluster.start_load(settings.rate_per_s, limit).await?;
        recorder.phase("1 → 3", scale_up(cluster, &observer, recorder)).await?;
        let (held, start, end) =
            recorder.phase("stays at 3", counted_hold(cluster, &observer, recorder)).await?;
        let report = cluster.stop_load(load).await?;
        let after = cluster.read_nginx().await?;
        anyhow::Ok(Loaded { held, report, readings: [before, start, end, after] })
    });
    let loaded = loaded.await?;
    recorder.fact("load", loaded.report.to_string());
    recorder.phase("3 → 1", scale_down(cluster, &observer, recorder)).await?;
    judge_load(cluster, settings, recorder, &loaded)?;
    judge_value(recorder, &loaded)?;
    judge(cluster, &observer, recorder, SCALED).await
}

/// What was seen under load.
struct Loaded {
    held: Held,
    report: LoadReport,
    /// Before the load, around the time for which the count had to hold, and after the load.
    readings: [Reading; 4],
}

async fn counted_hold<C: Cluster>(
    cluster: &C,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<(Held, Reading, Reading)> {
    let before = cluster.read_nginx().await?;
    let held = hold(cluster, observer, recorder).await?;
    Ok((held, before, cluster.read_nginx().await?))
}

/// What was offered was sent, and nginx counted it: without this, replicas prove nothing.
fn judge_load<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
    loaded: &Loaded,
) -> anyhow::Result<()> {
    let Loaded { report, readings, .. } = loaded;
    recorder.assertion(
        "load was sent at the rate that was set, without failures",
        match (&report.first_error, report.counts.dropped) {
            (None, 0) => near(report.achieved_rate(), settings.rate_per_s, LOAD_TOLERANCE, "per s"),
            (error, dropped) => Err(format!(
                "{} failed ({}), {dropped} dropped",
                report.counts.failed,
                error.as_deref().unwrap_or("no error")
            )),
        },
    )?;
    let interval = cluster.timings().check_interval;
    let explained = explain(report.counts.sent, readings, interval);
    Ok(recorder.assertion("nginx counted what was offered", explained)?)
}

/// Compares what all nginxes counted with what they were asked: by the load, by the two readings in
/// between, and by the check's polls, one an interval for each of them.
fn explain(sent: u64, readings: &[Reading; 4], interval: Duration) -> Result<String, String> {
    let [before, start, end, after] = readings;
    let counted = after.since(before)?;
    let ours = start.targets.len() + end.targets.len();
    let polls = counted.target_time.as_secs_f64() / interval.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
    let (unexplained, tolerance) = (
        counted.requests as f64 - sent as f64 - ours as f64 - polls,
        after.targets.len() as f64 * POLL_TOLERANCE,
    );
    let text = format!(
        "{} counted = {sent} of load + {ours} readings + {polls:.0} polls {unexplained:+.1}",
        counted.requests
    );
    if unexplained.abs() <= tolerance { Ok(text) } else { Err(text) }
}

fn judge_value(recorder: &Recorder, loaded: &Loaded) -> anyhow::Result<()> {
    let [_, start, end, _] = &loaded.readings;
    let served = end.since(start).and_then(|counted| {
        near(loaded.held.mean_served, counted.per_second(), TOLERANCE, "per s")
    });
    Ok(recorder.assertion("the provider serves what nginx counted", served)?)
}
