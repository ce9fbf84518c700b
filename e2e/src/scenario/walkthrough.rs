//! The walkthrough: real load on a real nginx, real check, real HPA controller.

use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;
use url::Url;

use crate::{
    cluster::Cluster,
    load::{Config, Load, LoadReport},
    nginx,
    observe::Observer,
    phase::Recorder,
    scenario::{Held, Settings, apply_hpa, hold, judge, near, scale_down, scale_up},
};

/// Load that is forgotten ends by itself.
const LOAD_LIMIT: Duration = Duration::from_secs(300);
/// How far the served value may be from what nginx counted.
const TOLERANCE: f64 = 0.05;
/// How far the load that was sent may be from the rate that was set.
const LOAD_TOLERANCE: f64 = 0.02;

pub(super) async fn run<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    recorder.phase("provider", cluster.install_provider()).await?;
    let service = recorder.phase("nginx", cluster.install_nginx()).await?;
    let nginx = Nginx::new(&service)?;
    let observer = recorder
        .phase("HPA at rest", async {
            cluster.start_node_check().await?;
            apply_hpa(cluster, recorder).await
        })
        .await?;
    let loaded = recorder.phase("under load", async {
        let before = nginx.requests().await?;
        let load = Load::start(Config {
            url: service.clone(),
            rate_per_s: settings.rate_per_s,
            max_in_flight: 64,
            limit: LOAD_LIMIT,
        })?;
        recorder.phase("1 → 3", scale_up(&observer, recorder)).await?;
        let counted = recorder
            .phase("stays at 3", counted_hold(cluster, &nginx, &observer, recorder))
            .await?;
        let report = load.stop().await;
        let after = nginx.requests().await?;
        anyhow::Ok((counted, report, before, after))
    });
    let (counted, report, before, after) = loaded.await?;
    recorder.fact("load", report.to_string());
    recorder.phase("3 → 1", scale_down(&observer, recorder)).await?;
    judge_load(cluster, settings, recorder, &report, &before, &after)?;
    judge_value(recorder, &counted)?;
    judge(cluster, &observer, recorder)
}

/// nginx's own count, read from its status page.
struct Nginx {
    client: reqwest::Client,
    url: String,
}

/// The count at a moment.
struct Reading {
    requests: u64,
    at: Instant,
}

impl Nginx {
    fn new(service: &Url) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().build().context("HTTP client")?;
        Ok(Self { client, url: service.join("nginx_status")?.to_string() })
    }

    /// Requests that nginx has counted, this one included.
    async fn requests(&self) -> anyhow::Result<Reading> {
        let status = nginx::status(&self.client, &self.url).await?;
        Ok(Reading { requests: status.requests, at: Instant::now() })
    }
}

/// What nginx counted and what the provider served while the count held.
struct Counted {
    held: Held,
    per_second: f64,
}

async fn counted_hold<C: Cluster>(
    cluster: &C,
    nginx: &Nginx,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<Counted> {
    let before = nginx.requests().await?;
    let held = hold(cluster, observer, recorder).await?;
    let after = nginx.requests().await?;
    // The reading at the end is one request more than what came in between.
    let requests = after.requests - before.requests - 1;
    let seconds = (after.at - before.at).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred requests")]
    let per_second = requests as f64 / seconds;
    Ok(Counted { held, per_second })
}

/// What was offered was sent, and nginx counted it: without this, replicas prove nothing.
fn judge_load<C: Cluster>(
    cluster: &C,
    settings: &Settings,
    recorder: &Recorder,
    report: &LoadReport,
    before: &Reading,
    after: &Reading,
) -> anyhow::Result<()> {
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
    let counted = after.requests - before.requests;
    let elapsed = after.at - before.at;
    // Besides the load: two readings of our own while the count held, the one at the end, and the
    // check's polls, one an interval, the first and the last of them at an unknown distance.
    let polls = elapsed.as_secs_f64() / cluster.timings().check_interval.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred requests")]
    let unexplained = counted as f64 - report.counts.sent as f64 - 3.0 - polls;
    let text = format!(
        "{counted} counted = {} of load + 3 readings + {polls:.0} polls {unexplained:+.1}",
        report.counts.sent
    );
    let explained = if unexplained.abs() <= 2.0 { Ok(text) } else { Err(text) };
    Ok(recorder.assertion("nginx counted what was offered", explained)?)
}

fn judge_value(recorder: &Recorder, counted: &Counted) -> anyhow::Result<()> {
    let served = near(counted.held.mean_served, counted.per_second, TOLERANCE, "per s");
    Ok(recorder.assertion("the provider serves what nginx counted", served)?)
}
