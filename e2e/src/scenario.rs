//! The scenarios by name, and the steps that they share.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::{
    cluster::Cluster,
    observe::{Observer, Watched, mean_served},
    phase::Recorder,
    wait,
};

mod api;
mod api_access;
mod api_rotation;
mod api_start;
mod datadog_metric;
mod describe;
mod fallback;
mod faults;
mod list;
mod one_bad_query;
mod own_ca;
mod rate_limited;
mod replicas;
mod stage;
mod steady;
mod two_metrics;
mod typo;
pub mod walkthrough;
pub mod walkthrough_scripted;

pub use list::{Scenario, UnknownScenario};

/// What a scenario is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Offered load in requests per second.
    pub rate_per_s: f64,
    /// How long a fault lasts; when left out, until the samples from before it are too old.
    pub fault_for: Option<Duration>,
}

/// What the walkthrough's HPA is about; its manifests say so too, and a run would show a difference.
const METRIC: &str = "nginx.net.request_per_s";
const SELECTOR: (&str, &str) = ("kube_container_name", "nginx");

fn watched<C: Cluster>(cluster: &C) -> Watched {
    let (label, value) = SELECTOR;
    Watched {
        namespace: cluster.namespace().to_owned(),
        hpa: NGINX_HPA.to_owned(),
        deployment: "nginx".to_owned(),
        metric: METRIC.to_owned(),
        selector: format!("{label}={value}"),
        downscale_window: cluster.timings().downscale_window,
    }
}

/// The HPA's name.
const NGINX_HPA: &str = "nginxext";
/// The HPA's manifest.
const HPA: &str = "hpa-example/hpa-manifest.yaml";
/// Replicas under load: 25 requests per second (and the check's own polls) at a target of 9.
const SCALED: i32 = 3;
/// Replicas at rest.
const AT_REST: i32 = 1;
/// Syncs of the HPA for which a count must hold.
const HELD_SYNCS: u64 = 10;
/// Down-scale windows for which a count must hold.
const HELD_WINDOWS: u32 = 3;
/// Syncs of the HPA that show that it goes on.
const SOME_SYNCS: u64 = 4;

/// Applies the HPA and waits until it reads the metric and stays at one replica.
async fn apply_hpa<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<Observer> {
    cluster.apply(HPA).await?;
    let observer = Observer::start(cluster.client(), &watched(cluster), recorder);
    let reads = observer
        .until(cluster.timings().follows_within(), |seen| {
            let active = seen.condition("ScalingActive");
            seen.is_at(AT_REST) && matches!(active, Some((_, "True", _)))
        })
        .await;
    recorder.assertion("HPA reads the metric and rests at 1 replica", reads)?;
    Ok(observer)
}

/// Waits for three replicas that no limit cut off.
async fn scale_up<C: Cluster>(
    cluster: &C,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let unlimited = |seen: &crate::observe::Seen| {
        matches!(seen.condition("ScalingLimited"), Some((_, "False", _)))
    };
    let deadline = cluster.timings().follows_within();
    let reached = observer.until(deadline, |seen| seen.is_at(SCALED) && unlimited(seen)).await;
    Ok(recorder.assertion("replicas go 1 → 3, ScalingLimited False", reached)?)
}

/// What was served while the count held.
struct Held {
    mean_served: f64,
}

/// Asserts that every state seen during ten syncs and three windows is three replicas, unlimited.
async fn hold<C: Cluster>(
    cluster: &C,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<Held> {
    let timings = cluster.timings();
    let start = Instant::now();
    let syncs = syncs(cluster, HELD_SYNCS).await?;
    tokio::time::sleep_until(start + timings.downscale_window * HELD_WINDOWS).await;
    let history = observer.since(start);
    let astray = history.iter().find(|seen| !seen.is_at(SCALED));
    let seconds = start.elapsed().as_secs_f64();
    recorder.assertion(
        "replicas stay at exactly 3",
        match astray {
            None => Ok(format!("for {syncs} in {seconds:.1} s, {} states seen", history.len())),
            Some(seen) => Err(seen.describe()),
        },
    )?;
    let mean_served = mean_served(&history).context("no value was served while the count held")?;
    Ok(Held { mean_served })
}

/// Waits for some syncs of the HPA, by the controller's own count where it can be had, else by the
/// clock; says which.
async fn syncs<C: Cluster>(cluster: &C, count: u64) -> anyhow::Result<String> {
    let timings = cluster.timings();
    let Some(first) = cluster.hpa_syncs().await? else {
        tokio::time::sleep(timings.hpa_sync * u32::try_from(count)?).await;
        return Ok(format!("{count} syncs, by the clock"));
    };
    let deadline = timings.follows_within() + timings.hpa_sync * u32::try_from(count)?;
    let last = wait::until("syncs of the HPA", deadline, timings.hpa_sync / 2, async || {
        let syncs = cluster.hpa_syncs().await?.unwrap_or(first);
        anyhow::Ok(if first + count <= syncs {
            wait::Probe::Ready(syncs)
        } else {
            wait::Probe::NotYet(format!("{} of {count}", syncs.saturating_sub(first)))
        })
    })
    .await?;
    Ok(format!("{} syncs", last - first))
}

/// Waits for one replica.
async fn scale_down<C: Cluster>(
    cluster: &C,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let timings = cluster.timings();
    let deadline = timings.follows_within() + timings.downscale_window;
    let reached = observer.until(deadline, |seen| seen.is_at(AT_REST)).await;
    Ok(recorder.assertion("replicas come back 3 → 1", reached)?)
}

/// Asserts what must hold for the run as a whole: among it, that `most` replicas were wanted at one time,
/// and more at none.
async fn judge<C: Cluster>(
    cluster: &C,
    observer: &Observer,
    recorder: &Recorder,
    most: i32,
) -> anyhow::Result<()> {
    let counts = recorder.timeline().desired_counts();
    let path: Vec<String> = counts.iter().map(ToString::to_string).collect();
    let path = path.join(" → ");
    let highest = counts.into_iter().max().unwrap_or_default();
    recorder.assertion(
        format!("no more than {most} replicas were ever wanted"),
        if highest == most { Ok(path) } else { Err(path) },
    )?;
    recorder.assertion(
        "every decision follows from its value by the HPA's arithmetic",
        observer.decisions().map(|count| format!("{count} statuses explained")),
    )?;
    if let Some(bytes) = cluster.provider_peak_memory().await {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let mebibytes = bytes as f64 / 1024.0 / 1024.0;
        recorder.fact("provider's peak memory", format!("{mebibytes:.1} MiB"));
    }
    Ok(())
}

/// `Ok` where `actual` is within `tolerance` (a part of `expected`) of `expected`.
fn near(actual: f64, expected: f64, tolerance: f64, unit: &str) -> Result<String, String> {
    let deviation = (actual - expected) / expected;
    let text = format!("{actual:.2} {unit}, expected {expected:.2} ({:+.1} %)", deviation * 100.0);
    if deviation.abs() <= tolerance { Ok(text) } else { Err(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearness_is_relative_to_what_was_expected() {
        assert!(near(26.0, 25.0, 0.05, "per s").is_ok());
        assert_eq!(
            near(27.0, 25.0, 0.05, "per s"),
            Err("27.00 per s, expected 25.00 (+8.0 %)".to_owned())
        );
        assert!(near(f64::NAN, 25.0, 0.05, "per s").is_err());
    }
}
