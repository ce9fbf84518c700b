//! Asks kube-apiserver whose a token is and what somebody may do, as seldom as can be.
//!
//! A review takes a round trip to kube-apiserver, and the HPA controller asks for each metric every
//! 15 seconds. [`tokens`] and [`rights`] remember what was answered; `cache` is what both remember
//! by, `ask` is the round trip.

pub mod metrics;
pub mod rights;
pub mod tokens;

mod ask;
mod cache;

pub use ask::Failure;

#[cfg(test)]
pub(super) mod testing;
