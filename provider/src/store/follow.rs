//! How followers hold what the leader knows: a stream of lines ([`crate::store::known::line`]) that
//! never ends, over the port of the node agents.
//!
//! The leader keeps no queue. When a follower has read one set of changes, the next is made from
//! the store as it is then, so that a slow follower skips states and costs no memory.

use std::time::Duration;

mod client;
mod server;

pub use self::{
    client::{Access, Progress, run},
    server::routes,
};

/// Where the stream is.
pub const PATH: &str = "/replica/v1/snapshot";
/// The name that every replica's certificate for the port is for.
pub const SERVER_NAME: &str = "datadog-cluster-agent";

/// From one set of changes to the next, at least.
const PACE: Duration = Duration::from_millis(100);
/// The longest silence of a leader that lives.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The silence after which a leader counts as dead.
const SILENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
