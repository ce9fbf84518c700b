//! kube-apiserver goes away for longer than a leader may ask without a renewal, then etcd does.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;

use crate::{
    cluster::Cluster,
    observe::Observer,
    phase::Recorder,
    scenario::{
        SOME_SYNCS,
        replicas::{Fleet, LEASE, REFRESH, asked::by_replica, trial::Trial},
        syncs,
    },
};

/// How long each of them is away at least, beside the time of its start.
const AWAY: Duration = Duration::from_secs(2);

pub(in crate::scenario) async fn run<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let fleet = Fleet::install(cluster, recorder).await?;
    let observer = fleet.at_three().await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let away = async {
        fleet.cluster.stop_apiserver().await?;
        let stopped = Timestamp::now();
        // The Lease cannot be renewed: half of its time after the last renewal, nothing may be asked.
        sleep(LEASE / 2 + REFRESH).await;
        let silent = Timestamp::now();
        sleep(AWAY).await;
        let calls = fleet.calls(silent).await?;
        let text = format!(
            "{} from {:.1} s on",
            by_replica(&calls),
            silent.duration_since(stopped).as_secs_f64()
        );
        recorder.assertion(
            "without kube-apiserver nobody asks when the leader's time is over",
            if calls.is_empty() { Ok(text) } else { Err(text) },
        )?;
        fleet.cluster.start_apiserver().await
    };
    recorder.phase("kube-apiserver restarts", away).await?;
    recorder.phase("goes on", goes_on(&fleet, &observer, "kube-apiserver")).await?;
    trial.nothing_moves("kube-apiserver restarts").await?;
    trial.one_asks("kube-apiserver restarts", 0).await?;

    let trial = Trial::begin(&fleet, &observer).await?;
    let away = async {
        fleet.cluster.kill_etcd().await?;
        sleep(AWAY).await;
        fleet.cluster.start_etcd().await
    };
    recorder.phase("etcd restarts", away).await?;
    recorder.phase("goes on", goes_on(&fleet, &observer, "etcd")).await?;
    trial.nothing_moves("etcd restarts").await?;
    trial.one_asks("etcd restarts", 0).await
}

/// It is back: all replicas get new values, the HPA reads them, and from then on every sync is answered.
async fn goes_on(fleet: &Fleet<'_>, observer: &Observer, what: &str) -> anyhow::Result<()> {
    fleet
        .all_know(Timestamp::now(), &format!("{what} is back: all replicas have newer values"))
        .await?;
    let within = fleet.cluster.timings().follows_within();
    let well = observer.until(within, |seen| seen.is_active() && seen.refusal.is_none());
    let name = format!("{what} is back: the HPA reads its metric by itself");
    fleet.recorder.assertion(name, well.await)?;
    // The HPA controller waits longer and longer before it watches again.
    syncs(fleet.cluster, SOME_SYNCS).await?;
    let trial = Trial::begin(fleet, observer).await?;
    syncs(fleet.cluster, SOME_SYNCS).await?;
    trial.judge(&format!("{what} is back"), 0, 0).await
}
