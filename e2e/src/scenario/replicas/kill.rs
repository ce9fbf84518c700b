//! The leader crashes, then its successor is told to end.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        SOME_SYNCS,
        replicas::{Fleet, REFRESH, asked::by_replica, lag, seconds, trial::Trial},
        syncs,
    },
};

/// How long a replica may take to end when it is told to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// A read of the harness itself may be under way on the connection that breaks.
const LOST: usize = 1;

pub(in crate::scenario) async fn run<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let fleet = Fleet::install(cluster, recorder).await?;
    let observer = fleet.at_three().await?;
    recorder.phase("followers", lag::followers(&fleet)).await?;
    fleet.memory()?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let killed = fleet.leader()?;
    let failover = async {
        trial.after_a_sync().await?;
        let at = Timestamp::now();
        fleet.process(killed)?.kill().await.context("cannot kill the leader")?;
        let failover = fleet.failover(killed, at).await?;
        recorder.fact(
            "failover after SIGKILL",
            format!("{}, {} asks", seconds(failover.took), failover.to),
        );
        recorder.fact("calls during it", by_replica(&fleet.calls(at).await?));
        syncs(fleet.cluster, SOME_SYNCS).await
    };
    recorder.phase("SIGKILL", failover).await?;
    recorder.phase("it comes back", fleet.restart(killed)).await?;
    recorder.phase("goes on", syncs(fleet.cluster, SOME_SYNCS)).await?;
    trial.judge("SIGKILL", LOST, 0).await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let ended = fleet.leader()?;
    let handover = async {
        let at = Timestamp::now();
        let process = fleet.process(ended)?;
        let (stopped, failover) =
            tokio::join!(process.stop(ENDS_WITHIN), fleet.failover(ended, at));
        stopped.context("cannot end the leader")?;
        anyhow::Ok(failover?)
    };
    let failover = recorder.phase("SIGTERM", handover).await?;
    recorder.fact(
        "failover after SIGTERM",
        format!("{}, {} between two calls", seconds(failover.took), seconds(failover.gap)),
    );
    // It knows when the metric was asked for last: half a period is the least that a busy machine leaves.
    let gap = format!("{} between the calls of both", seconds(failover.gap));
    let waited = if REFRESH / 2 <= failover.gap { Ok(gap) } else { Err(gap) };
    recorder.assertion("the next leader does not ask again what was just asked", waited)?;
    recorder.phase("it comes back", fleet.restart(ended)).await?;
    recorder.phase("goes on", syncs(fleet.cluster, SOME_SYNCS)).await?;
    trial.judge("SIGTERM", 0, 0).await
}
