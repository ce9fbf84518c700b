//! The leader stands still and goes on when another one leads; then the replica stands still to which
//! kube-apiserver's one connection leads.

use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::{
    cluster::{Cluster, local::direct::Direct},
    phase::Recorder,
    scenario::{
        SOME_SYNCS,
        api::metric_path,
        replicas::{Fleet, REFRESH, asked::by_replica, seconds, trial::Trial},
        syncs,
    },
    wait::{self, Probe},
};

/// How often kube-apiserver's connection is moved before the leader does not have it.
const MOVES: usize = 8;
/// Requests by which the replica is known that answers kube-apiserver.
const REQUESTS: usize = 5;
/// How long the resumed replica is watched.
const RESUMED: Duration = Duration::from_secs(3);
/// How long kube-apiserver may hold on to a connection on which nothing is answered: its transport asks after
/// 30 s and waits for 15 s (k8s.io/apimachinery/pkg/util/net: `readIdleTimeoutSeconds`, `pingTimeoutSeconds`).
const OUTAGE: Duration = Duration::from_secs(45);
/// What a busy machine may need beyond that.
const MORE: Duration = Duration::from_secs(20);

pub(in crate::scenario) async fn run<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let fleet = Fleet::install(cluster, recorder).await?;
    // Before there is an HPA, since requests fail while the connection is moved.
    recorder.phase("a follower answers", elsewhere(&fleet)).await?;
    let observer = fleet.at_three().await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let paused = fleet.leader()?;
    let failover = async {
        let at = Timestamp::now();
        fleet.process(paused)?.pause().context("cannot pause the leader")?;
        let failover = fleet.failover(paused, at).await?;
        recorder.fact(
            "failover after SIGSTOP",
            format!("{}, {} asks", seconds(failover.took), failover.to),
        );
        recorder.fact("calls during it", by_replica(&fleet.calls(at).await?));
        syncs(fleet.cluster, SOME_SYNCS).await
    };
    recorder.phase("SIGSTOP", failover).await?;
    let resumed = async {
        let at = Timestamp::now();
        fleet.process(paused)?.resume().context("cannot resume the replica")?;
        sleep(RESUMED).await;
        fleet.calls(at).await
    };
    let calls = recorder.phase("SIGCONT", resumed).await?;
    let asked = calls.iter().any(|call| call.by == paused.pod);
    recorder.assertion(
        "the resumed replica asks nothing without the Lease",
        if asked { Err(by_replica(&calls)) } else { Ok(by_replica(&calls)) },
    )?;
    trial.judge("SIGSTOP", 0, 0).await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let holder = served_by(&fleet).await?;
    let paused = &fleet.provider.replicas()[holder];
    let outage = async {
        fleet.process(paused)?.pause().context("cannot pause the replica")?;
        outage(&fleet).await
    };
    let outage = recorder.phase("kube-apiserver's replica stands still", outage).await?;
    let text = seconds(outage);
    recorder.fact("outage when kube-apiserver's replica stands still", &text);
    recorder.assertion(
        "kube-apiserver finds another replica by itself",
        if outage <= OUTAGE + MORE { Ok(text) } else { Err(text) },
    )?;
    trial.nothing_moves("kube-apiserver's replica stands still").await?;
    fleet.process(paused)?.resume().context("cannot resume the replica")?;
    let well = observer.until(fleet.cluster.timings().follows_within(), |seen| {
        seen.is_active() && seen.refusal.is_none()
    });
    recorder.assertion("the HPA reads its metric again", well.await)?;
    sleep(REFRESH * 2).await;
    trial.one_asks("kube-apiserver's replica stands still", 0).await
}

/// Moves kube-apiserver's connection to a replica that does not lead.
async fn elsewhere(fleet: &Fleet<'_>) -> anyhow::Result<()> {
    for first in 0..MOVES {
        let leader = wait::until("a leader", MORE, Duration::from_millis(100), async || {
            let not_yet = |error: anyhow::Error| Probe::NotYet(format!("{error:#}"));
            anyhow::Ok(
                fleet.leader().map_or_else(not_yet, |leader| Probe::Ready(leader.pod.clone())),
            )
        })
        .await;
        let leader = leader.map_err(|timeout| timeout.to_string());
        fleet.recorder.assertion("a replica leads", leader.clone())?;
        let holder = served_by(fleet).await?;
        if Ok(&fleet.provider.replicas()[holder].pod) != leader.as_ref() {
            return Ok(());
        }
        fleet.provider.lead_to(fleet.cluster, first % fleet.provider.replicas().len()).await?;
    }
    bail!("kube-apiserver's connection always leads to the leader")
}

/// The replica to which kube-apiserver's connection leads.
async fn served_by(fleet: &Fleet<'_>) -> anyhow::Result<usize> {
    let admin = admin(fleet)?;
    // It may be that there is none yet, and that the forwarder has not looked for replicas yet.
    let connected = wait::until("an answer", MORE, Duration::from_millis(100), async || {
        let answer = admin.get(&metric_path(), &[]).await?;
        let not_yet = || Probe::NotYet(answer.describe());
        anyhow::Ok(if [200, 404].contains(&answer.status) { Probe::Ready(()) } else { not_yet() })
    });
    connected.await?;
    let before = answered(fleet).await?;
    for _ in 0..REQUESTS {
        admin.get(&metric_path(), &[]).await?;
    }
    let after = answered(fleet).await?;
    let more = after.iter().zip(&before).map(|(after, before)| after - before);
    let most = more.enumerate().max_by_key(|(_, more)| *more);
    most.filter(|(_, more)| *more >= REQUESTS as u64)
        .map(|(index, _)| index)
        .with_context(|| format!("no replica answered: {before:?}, then {after:?} requests"))
}

/// How many requests for metrics each replica has answered.
async fn answered(fleet: &Fleet<'_>) -> anyhow::Result<Vec<u64>> {
    let mut counts = Vec::new();
    for replica in fleet.provider.replicas() {
        let answer = fleet.direct(replica)?.get("/metrics", &[]).await?;
        anyhow::ensure!(answer.status == 200, "{} says {}", replica.pod, answer.describe());
        counts.push(requests(&answer.text()));
    }
    Ok(counts)
}

/// The sum over all verbs and codes.
fn requests(metrics: &str) -> u64 {
    let of_metrics = |line: &&str| {
        line.starts_with("apiserver_request_total{") && line.contains(r#"resource="metric""#)
    };
    let counts = metrics.lines().filter(of_metrics);
    counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// How long it takes from now until kube-apiserver's clients have an answer again.
async fn outage(fleet: &Fleet<'_>) -> anyhow::Result<Duration> {
    let (admin, start) = (admin(fleet)?, Instant::now());
    let answer = wait::until("an answer", OUTAGE * 2, Duration::from_millis(100), async || {
        let answer = admin.get(&metric_path(), &[]).await?;
        let not_yet = || Probe::NotYet(answer.describe());
        anyhow::Ok(if answer.status == 200 { Probe::Ready(()) } else { not_yet() })
    });
    answer.await?;
    Ok(start.elapsed())
}

/// kube-apiserver's client with all rights.
fn admin(fleet: &Fleet<'_>) -> anyhow::Result<Direct> {
    fleet.cluster.apiserver_as(Some(&fleet.cluster.plane().pki().admin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_for_metrics_count() {
        let metrics = "\
apiserver_request_total{verb=\"LIST\",resource=\"metric\",code=\"200\"} 40
apiserver_request_total{verb=\"LIST\",resource=\"metric\",code=\"404\"} 2
apiserver_request_total{verb=\"GET\",resource=\"health\",code=\"200\"} 900
";
        assert_eq!(requests(metrics), 42);
    }
}
