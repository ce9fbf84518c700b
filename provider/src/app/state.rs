//! What this replica knows from others: from the leader, and from those before it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};

use crate::{
    app::Tasks,
    lead::{Leadership, Role},
    store::{
        Snapshot,
        follow::{self, Access, Progress},
        known::News,
        persist,
    },
};

/// How long the start waits for what was saved; after that it is taken in when it comes.
const READ: Duration = Duration::from_secs(5);
/// How long a follower without a leader waits before it answers from what was saved.
const ALONE: Duration = Duration::from_secs(10);
/// How long one waits for what a leader that answers has begun to tell.
const REACHED: Duration = Duration::from_secs(30);

/// What it is made from. `access` is what leaders are reached with, `None` as long as there is no
/// token; `news` leads to the poll loop, and holds at least one.
pub(super) struct Parts<A> {
    pub kube: kube::Client,
    pub config: persist::Config,
    pub store: watch::Receiver<Arc<Snapshot>>,
    pub leadership: watch::Receiver<Leadership>,
    pub access: A,
    pub news: mpsc::Sender<News>,
}

/// Whether this replica knows what there is to know.
#[derive(Debug, Clone)]
pub(super) struct Known {
    started: Instant,
    leadership: watch::Receiver<Leadership>,
    progress: watch::Receiver<Progress>,
}

/// Reads what was saved, then follows leaders, and saves while we lead.
pub(super) async fn start<A>(parts: Parts<A>, tasks: &mut Tasks) -> Known
where
    A: Fn() -> Option<Access> + Send + Sync + 'static,
{
    let Parts { kube, config, store, leadership, access, news } = parts;
    let (progress_sender, progress) = watch::channel(Progress::default());
    let known = Known { started: Instant::now(), leadership: leadership.clone(), progress };
    let (read, was_read) = oneshot::channel();
    let stop = tasks.stop.clone();
    tasks.spawn("what replicas know", async move {
        let saved = async {
            // What was saved is taken in before it can be written over.
            let taken = async {
                let saved = persist::read(&kube, &config.namespace, &config.name).await;
                // A leader may have told more than that by now: nothing of it is to be forgotten.
                let saved = News { complete: false, ..saved };
                // An error is the end of the poll loop, which ends all.
                let _ = news.clone().send(saved).await;
                let _ = read.send(());
            };
            if stop.run_until_cancelled(taken).await.is_some() {
                persist::run(kube, config, store, leadership.clone(), stop.clone()).await;
            }
        };
        let followed =
            follow::run(leadership.clone(), access, news.clone(), progress_sender, stop.clone());
        tokio::join!(Box::pin(saved), followed);
        Ok(())
    });
    if timeout(READ, was_read).await.is_err() {
        tracing::warn!("what was saved cannot be read yet, metrics start without a sample");
    }
    known
}

impl Known {
    /// For `/readyz`.
    pub(super) fn look(&self) -> Result<(), String> {
        settled(&self.leadership.borrow().role, *self.progress.borrow(), self.started.elapsed())
    }
}

/// Whether a replica that started so long ago should answer. It does not wait for ever: an API
/// that says what it lacks is worth more than one that is gone.
fn settled(role: &Role, progress: Progress, since: Duration) -> Result<(), String> {
    let (waits, why) = match (role, progress) {
        (Role::Leader, _) | (Role::Follower, Progress::Synced) => return Ok(()),
        (Role::Follower, Progress::Alone) => (ALONE, "no leader is reached yet"),
        (Role::Follower, Progress::Reached) => (REACHED, "the leader has not told all yet"),
    };
    if since < waits { Err(why.to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_ready_once_it_knows_or_nobody_can_tell_it() {
        let ready = |role: &Role, progress, seconds| {
            settled(role, progress, Duration::from_secs(seconds)).is_ok()
        };
        let table = [
            (Role::Leader, Progress::Alone, 0, true),
            (Role::Follower, Progress::Synced, 0, true),
            (Role::Follower, Progress::Alone, 9, false),
            (Role::Follower, Progress::Alone, 10, true),
            (Role::Follower, Progress::Reached, 10, false),
            (Role::Follower, Progress::Reached, 30, true),
        ];
        for (role, progress, seconds, expected) in table {
            assert_eq!(
                ready(&role, progress, seconds),
                expected,
                "{role:?} {progress:?} {seconds}"
            );
        }
    }
}
