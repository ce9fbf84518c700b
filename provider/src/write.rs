//! What the provider writes to the cluster: Events about autoscalers, the status of
//! `DatadogMetric`s, and the `DatadogMetric`s that it makes itself.
//!
//! Each part decides from the newest snapshot what to write next, writes that one thing, and
//! decides anew: no queue, so that nothing grows and nothing old is written, however long
//! kube-apiserver is away and however many autoscalers are in trouble.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::store::Snapshot;

mod autogen;
mod events;
mod plan;
mod saying;
mod status;
mod statuses;
mod words;

pub(crate) use self::saying::{reason_of as reason, trouble_word as cause};

/// The reporter of Events, and the field manager of what is applied.
const MANAGER: &str = "datadog-cluster-agent";

/// What is written, and in whose name.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our namespace: where the `DatadogMetric`s that we make live.
    pub namespace: String,
    /// The name of our pod: the reporting instance of Events.
    pub pod_name: String,
    /// Whether the status of `DatadogMetric`s is written.
    pub datadog_metrics: bool,
    /// Whether a `DatadogMetric` is made for each metric that an autoscaler names by a selector;
    /// only with `datadog_metrics`.
    pub autogen: bool,
}

/// Writes what `store` calls for until `stop`, or until nobody can write to the store any more.
///
/// Only one replica may run this at a time. Leader election hooks in at the caller: it starts this
/// with a child token of `stop` when it becomes the leader, and cancels that when it is no longer.
/// Nothing is lost by a start in the middle: what was written before is read again.
pub async fn run(
    client: Client,
    config: Config,
    store: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
) {
    let events = events::Events::new(client.clone(), config.pod_name.clone());
    let statuses = config.datadog_metrics.then(|| statuses::Statuses::new(client.clone(), &config));
    let autogen = (config.datadog_metrics && config.autogen)
        .then(|| autogen::Autogen::new(client, config.namespace.clone()));
    // Boxed: the futures of requests are large, and this one lives as long as the provider.
    let all = Box::pin(async {
        tokio::join!(
            drive(Some(events), store.clone()),
            drive(statuses, store.clone()),
            drive(autogen, store),
        )
    });
    stop.run_until_cancelled(all).await;
}

/// One kind of thing that is written.
trait Writer {
    /// One write.
    type Step: Send;
    /// For messages.
    const WHAT: &'static str;
    /// The time from one write to the next.
    const PACE: Duration;

    /// What to write now, if anything.
    fn next(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Self::Step>;

    /// Writes it and remembers that; an error means that kube-apiserver is away, not that it
    /// refuses this one thing.
    fn write(
        &mut self,
        step: Self::Step,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), kube::Error>> + Send;
}

/// From one look at the store to the next, while there is nothing to write.
const REST: Duration = Duration::from_secs(1);
/// Samples grow old without a change of the store.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// For one write.
const DEADLINE: Duration = Duration::from_secs(30);

async fn drive<W: Writer>(writer: Option<W>, mut store: watch::Receiver<Arc<Snapshot>>) {
    let Some(mut writer) = writer else { return };
    let mut failures = 0;
    loop {
        let snapshot = store.borrow_and_update().clone();
        let now = Timestamp::now();
        let Some(step) = writer.next(&snapshot, now) else {
            sleep(REST).await;
            if let Ok(Err(_)) = timeout(LOOK_AGAIN, store.changed()).await {
                return;
            }
            continue;
        };
        drop(snapshot); // a newer one may need its memory while this write waits
        let error = match timeout(DEADLINE, writer.write(step, now)).await {
            Ok(Ok(())) => {
                failures = 0;
                sleep(W::PACE).await;
                continue;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {}s", DEADLINE.as_secs()),
        };
        if failures == 0 {
            tracing::warn!(error, what = W::WHAT, "kube-apiserver takes no writes, trying again");
        }
        failures += 1;
        sleep(back_off(failures)).await;
    }
}

/// The pause after the `failures`-th failure in a row: a second, doubling to a minute, with a
/// random half of it, so that replicas do not come back together.
fn back_off(failures: u32) -> Duration {
    let longest = Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST);
    longest.mul_f64(1.0 - fastrand::f64() / 2.0)
}

/// The longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(60);

/// How a write went wrong.
#[derive(Debug)]
enum Failure {
    /// There is no such object, or no such namespace.
    Gone,
    /// This one thing is refused; others may not be.
    Refused(Box<kube::core::Status>),
    /// Nothing can be written now.
    Away(kube::Error),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 | 410 => Self::Gone,
                // A token that expired is soon read anew.
                401 | 408 | 429 => Self::Away(kube::Error::Api(status)),
                400..500 => Self::Refused(status),
                _ => Self::Away(kube::Error::Api(status)),
            },
            error => Self::Away(error),
        }
    }
}

/// Says the first refusal of a row loudly: a missing right is one fact, not one for each object.
#[derive(Debug, Default)]
struct Complaint {
    said: bool,
}

impl Complaint {
    fn refused(&mut self, what: &str, object: &dyn fmt::Display, status: &kube::core::Status) {
        let error = &status.message;
        match (self.said, status.code) {
            (true, _) => tracing::debug!(what, %object, error, "write refused by kube-apiserver"),
            (false, 403) => {
                tracing::warn!(what, %object, error, "right to write is missing, see ClusterRole dca");
            }
            (false, _) => tracing::warn!(what, %object, error, "write refused by kube-apiserver"),
        }
        self.said = true;
    }

    fn accepted(&mut self) {
        self.said = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_minute() {
        for (failures, seconds) in [(1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (99, 60.0)]
        {
            let pause = back_off(failures).as_secs_f64();
            assert!(pause <= seconds && pause >= seconds / 2.0, "{failures}: {pause}");
        }
    }
}
