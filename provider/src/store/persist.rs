//! What outlives all replicas: the last samples, in ConfigMaps of our namespace.
//!
//! ```text
//!  snapshot ─▶ what each ConfigMap should hold (entry, split) ─▶ keeper ─▶ kube-apiserver
//!                     what it holds, as kube-apiserver last said ─┘
//! ```
//!
//! Only the leader writes, at most once in a refresh period, and only what is not there yet. The
//! format is that of Datadog's Cluster Agent with some fields more, see `docs/state.md`.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{entry::Found, keeper::Keeper};
use crate::{
    lead::{Leadership, Role},
    patience::Patience,
    store::{Snapshot, known::News},
};

mod entry;
mod keeper;
mod piece;
mod split;

pub use self::split::PIECES;

/// Where it is kept, and how often it is written.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our namespace.
    pub namespace: String,
    /// The first ConfigMap; the others have `-1` to `-9` after its name.
    pub name: String,
    /// From one write to the next, at least.
    pub period: Duration,
}

/// For one request.
const DEADLINE: Duration = Duration::from_secs(10);
/// For the last write when the process stops.
const LAST_WRITE: Duration = Duration::from_secs(3);
/// The first write of a leader that finds nothing: not before the first answers are there.
const FIRST_WRITE: Duration = Duration::from_secs(2);
/// Entries that cannot be used, each of which gets a line of the log.
const MOST_TOLD: usize = 100;

/// The name of the ConfigMap at this place.
fn name_of(name: &str, index: usize) -> String {
    if index == 0 { name.to_owned() } else { format!("{name}-{index}") }
}

/// What the ConfigMaps hold. While kube-apiserver cannot be reached this waits for it; what it
/// refuses is said once and counts as nothing.
pub async fn read(client: &Client, namespace: &str, name: &str) -> News {
    let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
    let mut found = Found::default();
    for index in 0..PIECES {
        let name = name_of(name, index);
        match read_one(&api, &name).await {
            Ok(Some(map)) => {
                for (key, text) in map.data.iter().flatten() {
                    found.take(key, text, Timestamp::now());
                }
            }
            // Somebody may have deleted the first alone.
            Ok(None) if index == 0 => {}
            Ok(None) => break,
            Err(error) => {
                tell_unreadable(namespace, &name, index, &error);
                break;
            }
        }
    }
    found.tell(namespace, name, MOST_TOLD);
    News { complete: true, known: found.known(), asking: None }
}

/// Asks until there is an answer.
async fn read_one(
    api: &Api<ConfigMap>,
    name: &str,
) -> Result<Option<ConfigMap>, Box<kube::core::Status>> {
    let mut patience = Patience::default();
    loop {
        let error = match timeout(DEADLINE, api.get_opt(name)).await {
            Ok(Ok(map)) => return Ok(map),
            Ok(Err(kube::Error::Api(status))) if !is_passing(status.code) => return Err(status),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {}s", DEADLINE.as_secs()),
        };
        tracing::debug!(name, error, "ConfigMap cannot be read now, trying again");
        sleep(patience.next().unwrap_or(DEADLINE)).await;
    }
}

/// Whether kube-apiserver may say something else a moment later.
fn is_passing(code: u16) -> bool {
    matches!(code, 401 | 408 | 429 | 500..)
}

fn tell_unreadable(namespace: &str, name: &str, index: usize, status: &kube::core::Status) {
    let error = &status.message;
    // Further ones are there in large clusters only, and so is the right to read them.
    if index > 0 && status.code == 403 {
        tracing::debug!(namespace, name, error, "ConfigMap cannot be read");
    } else {
        tracing::warn!(
            namespace,
            name,
            error,
            "ConfigMap cannot be read, metrics start without a sample; see Role dca"
        );
    }
}

/// Writes what `store` knows whenever we lead, until `stop`; then once more, so that an orderly
/// restart loses nothing. What fails is said once and tried again a period later.
pub async fn run(
    client: Client,
    config: Config,
    store: watch::Receiver<Arc<Snapshot>>,
    leadership: watch::Receiver<Leadership>,
    stop: CancellationToken,
) {
    let mut keeper = Keeper::new(client, config.clone());
    let keep = keep(&mut keeper, &config, store.clone(), leadership.clone());
    // Boxed: the futures of requests are large, and this one lives as long as the provider.
    if stop.run_until_cancelled(Box::pin(keep)).await.is_some() {
        return;
    }
    let snapshot = store.borrow().clone();
    if leadership.borrow().role == Role::Leader && snapshot.ready && keeper.has_written() {
        let last = Box::pin(keeper.round(&snapshot, Timestamp::now()));
        if timeout(LAST_WRITE, last).await.is_err() {
            tracing::warn!("kube-apiserver does not take the last samples in time");
        }
    }
}

async fn keep(
    keeper: &mut Keeper,
    config: &Config,
    mut store: watch::Receiver<Arc<Snapshot>>,
    mut leadership: watch::Receiver<Leadership>,
) {
    loop {
        if leadership.wait_for(|it| it.role == Role::Leader).await.is_err()
            || store.wait_for(|snapshot| snapshot.ready).await.is_err()
        {
            return;
        }
        let lead = async {
            keeper.forget();
            let pause = keeper.look(Timestamp::now()).await.ok().flatten();
            sleep(pause.unwrap_or(FIRST_WRITE).min(config.period)).await;
            loop {
                let snapshot = store.borrow().clone();
                keeper.round(&snapshot, Timestamp::now()).await;
                drop(snapshot); // a newer one may need its memory
                sleep(config.period).await;
            }
        };
        let lost = async {
            // Where nobody can tell of another leader we stay it.
            if leadership.wait_for(|it| it.role != Role::Leader).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = lead => {}
            () = lost => {}
        }
    }
}

#[cfg(test)]
mod tests;
