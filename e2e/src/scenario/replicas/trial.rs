//! What must hold while something happens to the replicas.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::{Cluster, syncs::Asked},
    observe::{Observer, Seen},
    scenario::{
        NGINX_HPA, SCALED,
        replicas::{
            Fleet, LOOK_EVERY,
            asked::{as_by_one, one_at_a_time},
        },
    },
    wait::{self, Probe},
};

/// What the HPA controller calls it when it gets no value.
const REASONS: [&str; 2] = ["FailedGetExternalMetric", "FailedComputeMetricsReplicas"];
/// A sync follows the one before within half a second.
const SYNC_WITHIN: Duration = Duration::from_secs(20);

/// A time in which something happens, from its beginning on.
pub(super) struct Trial<'a> {
    fleet: &'a Fleet<'a>,
    observer: &'a Observer,
    start: Instant,
    /// The same by the clock of the logs.
    pub(super) since: Timestamp,
    asked: Asked,
    complaints: i32,
}

impl<'a> Trial<'a> {
    pub(super) async fn begin(
        fleet: &'a Fleet<'a>,
        observer: &'a Observer,
    ) -> anyhow::Result<Self> {
        let (asked, complaints) = (fleet.cluster.asked().await?, complaints(fleet).await?);
        let (start, since) = (Instant::now(), Timestamp::now());
        Ok(Self { fleet, observer, start, since, asked, complaints })
    }

    /// Waits until the HPA controller has just got a value: what breaks now breaks between two syncs.
    pub(super) async fn after_a_sync(&self) -> anyhow::Result<()> {
        let before = self.fleet.cluster.asked().await?.all;
        wait::until("a sync of the HPA", SYNC_WITHIN, Duration::from_millis(10), async || {
            let now = self.fleet.cluster.asked().await?.all;
            let not_yet = || Probe::NotYet(format!("{now} so far"));
            anyhow::Ok(if before < now { Probe::Ready(()) } else { not_yet() })
        })
        .await?;
        Ok(())
    }

    /// Asserts all of it: `lost` of the harness's own reads may have been under way on a connection that
    /// broke, and `more` calls to Datadog than one replica makes in this time are fine.
    pub(super) async fn judge(&self, name: &str, lost: usize, more: usize) -> anyhow::Result<()> {
        self.every_sync_is_answered(name, lost).await?;
        self.one_asks(name, more).await
    }

    /// Asserts that the HPA controller got a value each time that it asked, and three replicas stayed.
    async fn every_sync_is_answered(&self, name: &str, lost: usize) -> anyhow::Result<()> {
        let Self { fleet, observer, .. } = self;
        let recorder = fleet.recorder;
        let (all, failed) = self.syncs().await?;
        let text = format!("{all} asked for, {failed} without an answer");
        let answered = 0 < all && failed == 0;
        recorder.assertion(
            format!("{name}: every sync of the HPA gets its value"),
            if answered { Ok(text) } else { Err(text) },
        )?;
        let complaints = complaints(fleet).await? - self.complaints;
        recorder.assertion(
            format!("{name}: the HPA controller complains in no Event"),
            if complaints == 0 { Ok("none".to_owned()) } else { Err(complaints.to_string()) },
        )?;
        let history = observer.since(self.start);
        let bad = |seen: &&Seen| !seen.is_active() || !seen.is_at(SCALED);
        let refused: Vec<&Seen> = history.iter().filter(|seen| seen.refusal.is_some()).collect();
        let states = match (history.iter().find(bad), refused.as_slice()) {
            (Some(seen), _) => Err(seen.describe()),
            (None, refused) if refusals(refused) > lost => {
                Err(format!("{} reads in vain: {}", refusals(refused), refused[0].describe()))
            }
            (None, _) => Ok(format!("{} states seen", history.len())),
        };
        recorder.assertion(format!("{name}: three replicas and a value all the while"), states)?;
        Ok(())
    }

    /// Asserts that three replicas stayed, whatever the HPA controller got.
    pub(super) async fn nothing_moves(&self, name: &str) -> anyhow::Result<()> {
        let history = self.observer.since(self.start);
        let (all, failed) = self.syncs().await?;
        let recorder = self.fleet.recorder;
        recorder.fact(
            format!("{name}: syncs"),
            format!("{all} asked for a value, {failed} without an answer"),
        );
        let states = match history.iter().find(|seen| !seen.is_at(SCALED)) {
            Some(seen) => Err(seen.describe()),
            None => Ok(format!("{} states seen", history.len())),
        };
        Ok(recorder.assertion(format!("{name}: no replica moves"), states)?)
    }

    /// Asserts that nobody asked Datadog but the holder of the Lease, and not too often.
    pub(super) async fn one_asks(&self, name: &str, more: usize) -> anyhow::Result<()> {
        let fleet = self.fleet;
        let time = self.start.elapsed();
        let calls = fleet.calls(self.since).await?;
        // The Lease is read ten times a second: let it have seen what these calls were made under.
        sleep(LOOK_EVERY * 4).await;
        let one = one_at_a_time(&calls, &fleet.leases.tenures());
        let recorder = fleet.recorder;
        recorder.assertion(format!("{name}: one replica at a time asks Datadog"), one)?;
        let few = as_by_one(&calls, time, more);
        recorder.assertion(format!("{name}: no more calls than one replica makes"), few)?;
        Ok(())
    }

    /// How often the HPA controller has asked since the beginning, and in vain.
    async fn syncs(&self) -> anyhow::Result<(u64, u64)> {
        let now = self.fleet.cluster.asked().await?;
        Ok((now.all - self.asked.all, now.failed - self.asked.failed))
    }
}

/// How many reads were in vain: the states between two reads show the last refusal again.
fn refusals(refused: &[&Seen]) -> usize {
    let mut texts: Vec<&str> = refused.iter().filter_map(|seen| seen.refusal.as_deref()).collect();
    texts.dedup();
    texts.len()
}

/// How often the HPA controller has said in Events that it got no value.
async fn complaints(fleet: &Fleet<'_>) -> anyhow::Result<i32> {
    let cluster = fleet.cluster;
    let events = Api::<Event>::namespaced(cluster.client().clone(), cluster.namespace());
    let of = format!("involvedObject.kind=HorizontalPodAutoscaler,involvedObject.name={NGINX_HPA}");
    let events = events.list(&ListParams::default().fields(&of)).await?.items.into_iter();
    let complaints = events
        .filter(|event| event.reason.as_deref().is_some_and(|reason| REASONS.contains(&reason)));
    Ok(complaints.map(|event| event.count.unwrap_or(1)).sum())
}
