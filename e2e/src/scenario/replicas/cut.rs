//! No replica reaches Datadog for a while: the samples from before are served, one replica goes on trying,
//! and all have new values when it is over.

use std::time::Duration;

use fake_datadog::control::{Effect, Fault};
use jiff::Timestamp;
use tokio::time::sleep;

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        SOME_SYNCS,
        replicas::{Fleet, asked::by_replica, trial::Trial},
        syncs,
    },
};

/// Shorter than the maximal age of a sample, which is 30 s.
const CUT: Duration = Duration::from_secs(8);
/// An outage is probed sooner than after a period at first, and a call is tried again at once.
const PROBES: usize = 12;

pub(in crate::scenario) async fn run<C: Cluster>(
    cluster: &C,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let fleet = Fleet::install(cluster, recorder).await?;
    let observer = fleet.at_three().await?;
    let trial = Trial::begin(&fleet, &observer).await?;
    let cut = async {
        let at = Timestamp::now();
        fleet.cluster.fake().fault(&Fault::new("cut", Effect::ConnectionReset)).await?;
        sleep(CUT).await;
        fleet.cluster.fake().clear_faults().await?;
        recorder.fact("calls while it is cut", by_replica(&fleet.calls(at).await?));
        anyhow::Ok(Timestamp::now())
    };
    let over = recorder.phase("cut", cut).await?;
    let know = fleet.all_know(over, "all replicas have newer values");
    recorder.phase("over", know).await?;
    recorder.phase("goes on", syncs(fleet.cluster, SOME_SYNCS)).await?;
    trial.judge("cut", 0, PROBES).await
}
