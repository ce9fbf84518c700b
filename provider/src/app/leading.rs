//! The election, and what only the leader does.

use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::Tasks,
    args::{self, leader_election::identity},
    lead::{self, Candidate, Leadership, Permit, Role},
    metrics::Metrics,
    poll::Seat,
    store::{Snapshot, known::News},
    write,
};

/// What we are among several replicas; the only one leads, for ever.
pub(super) struct Leading {
    /// What is known of the leadership.
    pub(super) leadership: watch::Receiver<Leadership>,
    /// Whether a call to Datadog may start.
    pub(super) permit: Permit,
    /// What the leader does; the Lease is given up after its end.
    work: TaskTracker,
}

impl Leading {
    /// Our place in the poll loop, with what others know.
    pub(super) fn seat(&self, news: mpsc::Receiver<News>) -> Seat {
        let (leadership, permit) = (self.leadership.clone(), self.permit.clone());
        Seat { leadership, permit, news, calls: self.work.clone() }
    }
}

/// Starts the election, where there is one. `namespace` is that of the Lease, `address` where our
/// port 5005 is.
///
/// Told to stop, a leader hands over at once and not when the last request was answered: it serves
/// on from what it knows, while another asks.
pub(super) fn start(
    args: &args::Run,
    kube: &kube::Client,
    namespace: &str,
    address: Option<SocketAddr>,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> Leading {
    let (election, work) = (&args.leader_election, TaskTracker::new());
    if !election.leader_election {
        let (leadership, permit) = (watch::channel(Leadership::alone()).1, Permit::endless());
        return Leading { leadership, permit, work };
    }
    if let Some(warning) = election.warning() {
        tracing::warn!("{warning}");
    }
    let config = lead::Config {
        namespace: namespace.to_owned(),
        name: election.leader_lease_name.clone(),
        identity: identity(args.external_metrics.pod_name.as_deref()),
        duration: election.leader_lease_duration,
        release: election.leader_election_release_on_shutdown,
        address,
    };
    tracing::info!(
        identity = config.identity,
        lease = format!("{namespace}/{}", config.name),
        duration = %humantime::format_duration(config.duration),
        "leader election is on"
    );
    let own = lead::metrics::Metrics::default();
    metrics.register_with(|registry| own.register(registry));
    let (candidate, leadership, permit) = Candidate::new(config, own);
    let (kube, stopping, stop) = (kube.clone(), tasks.stopping.clone(), tasks.stop.clone());
    let idle = {
        let work = work.clone();
        async move {
            work.close();
            work.wait().await;
        }
    };
    tasks.spawn("leader election", async move {
        candidate.run(kube, stopping, idle).await;
        // The first task to end ends all, and the server has requests to answer.
        stop.cancelled().await;
        Ok(())
    });
    Leading { leadership, permit, work }
}

/// Starts the writes to the cluster, which are made while we lead.
pub(super) fn start_writes(
    leading: &Leading,
    kube: &kube::Client,
    config: write::Config,
    store: &watch::Receiver<Arc<Snapshot>>,
    tasks: &mut Tasks,
) {
    let (kube, store, stop) = (kube.clone(), store.clone(), tasks.stop.clone());
    let (leadership, work) = (leading.leadership.clone(), leading.work.clone());
    tasks.spawn("writes to the cluster", async move {
        let write = |term| {
            let write = write::run(kube.clone(), config.clone(), store.clone(), term);
            work.track_future(write)
        };
        while_leading(leadership, stop, write).await;
        Ok(())
    });
}

/// Lets `work` run whenever we lead, until `stop`; the token that it gets ends with the term.
async fn while_leading<F: Future>(
    mut leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
    mut work: impl FnMut(CancellationToken) -> F,
) {
    let is = |role: Role| move |leadership: &Leadership| leadership.role == role;
    loop {
        if stop.run_until_cancelled(until(&mut leadership, is(Role::Leader))).await.is_none() {
            return;
        }
        let term = stop.child_token();
        let mut work = Box::pin(work(term.clone()));
        tokio::select! {
            // By `stop`, or by itself where nobody writes to the store any more.
            _ = &mut work => return,
            () = until(&mut leadership, is(Role::Follower)) => {
                term.cancel();
                work.await;
            }
        }
    }
}

/// Waits until `wanted` holds; for ever where nobody can change it any more.
async fn until(
    leadership: &mut watch::Receiver<Leadership>,
    wanted: impl FnMut(&Leadership) -> bool,
) {
    if leadership.wait_for(wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_in_each_term_and_ends_with_it() {
        let (sender, leadership) = watch::channel(Leadership::default());
        let (terms, mut seen) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let task = tokio::spawn(while_leading(leadership, stop.clone(), move |term| {
            let terms = terms.clone();
            async move {
                terms.send("begins").unwrap();
                term.cancelled().await;
                terms.send("ends").unwrap();
            }
        }));
        for _ in 0..2 {
            sender.send_replace(Leadership::alone());
            assert_eq!(seen.recv().await, Some("begins"));
            sender.send_replace(Leadership::default());
            assert_eq!(seen.recv().await, Some("ends"));
        }
        sender.send_replace(Leadership::alone());
        assert_eq!(seen.recv().await, Some("begins"));
        stop.cancel();
        assert_eq!(seen.recv().await, Some("ends"));
        task.await.unwrap();
    }

    #[tokio::test]
    async fn the_only_replica_works_until_it_is_stopped() {
        let leadership = watch::channel(Leadership::alone()).1;
        let stop = CancellationToken::new();
        let (stopped, stopping) = (stop.clone(), stop.clone());
        while_leading(leadership, stop, |term| {
            stopping.cancel();
            async move { term.cancelled().await }
        })
        .await;
        assert!(stopped.is_cancelled());
    }
}
