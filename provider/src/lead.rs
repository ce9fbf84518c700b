//! Which replica leads: the only one that asks Datadog and writes to the cluster.
//!
//! ```text
//!  Lease ─▶ election (pure) ─▶ Leadership, for readers
//!  now ───▶                 └▶ Permit: until when a call may start
//! ```
//!
//! The rules are those of client-go's `leaderelection`; [`candidate`] talks to kube-apiserver. The
//! crates that do this (kube-lease-manager, kube-leader-election) tell neither when the Lease was
//! renewed last nor let it be annotated, and compare the holder's clock with ours.

use std::{net::SocketAddr, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

pub mod candidate;
mod election;
pub mod metrics;

pub use crate::lead::candidate::{Candidate, Config};

/// What this replica knows of the leadership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    /// What we are.
    pub role: Role,
    /// What the Lease says; `None` before it was read, or where there is no election.
    pub lease: Option<LeaseView>,
    /// Why the Lease cannot be read or renewed now, if so.
    pub error: Option<String>,
}

impl Leadership {
    /// That of a replica without an election: it leads.
    pub fn alone() -> Self {
        Self { role: Role::Leader, ..Self::default() }
    }
}

/// What a replica is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Role {
    /// The only one that asks Datadog; also where there is no election.
    Leader,
    /// Somebody else leads, or nobody does.
    #[default]
    Follower,
}

/// The Lease as it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// `namespace/name`.
    pub name: String,
    /// The pod that holds it; empty after a release.
    pub holder: String,
    /// Where the holder's port 5005 is, from the Lease's annotation.
    pub address: Option<SocketAddr>,
    /// When it got the Lease.
    pub acquired: Option<Timestamp>,
    /// When it last renewed it, by its own clock.
    pub renewed: Option<Timestamp>,
    /// How often the Lease has changed hands.
    pub transitions: i32,
}

/// Until when this replica may start a call, if nothing renews it: checked before each call, so that
/// a replica that was paused or cut off asks nothing that its successor asks, too.
#[derive(Debug, Clone)]
pub struct Permit(watch::Receiver<Option<Instant>>);

impl Permit {
    /// A permit that follows what `sender` says: `None` is no permit.
    pub fn following(receiver: watch::Receiver<Option<Instant>>) -> Self {
        Self(receiver)
    }

    /// One that never ends: there is no election.
    pub fn endless() -> Self {
        // A century: what is added to an `Instant` must fit into it.
        Self(watch::channel(Some(Instant::now() + Duration::from_secs(100 * 365 * 86_400))).1)
    }

    /// Waits until it is renewed or withdrawn; for ever where nobody can do that any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether a call may be started at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        self.0.borrow().is_some_and(|until| now < until)
    }
}
