//! External metrics for Kubernetes' Horizontal Pod Autoscaler, fed by Datadog.
//!
//! ```text
//!  HPAs      demand       query         datadog            store         api
//! (watch) ─▶ who wants ─▶ what to ask ─▶ ask (via poll) ─▶ last known ─▶ answer ─▶ HPA controller,
//!            what         (pure)         one client        (snapshots)   (TLS)     kubectl
//! ```
//!
//! The modules below are in that order. What decides (which query, which point, how old is too
//! old, what the API says) is a pure function of data and `now`; what talks to the outside
//! (`demand::watch`, `datadog::client`, `poll`, `serve`, `write`) is a thin shell around it.
//! Every piece of state has one writer; readers hold a `watch::Receiver` of a snapshot and never
//! lock.

pub mod args;

pub mod demand;
pub mod selector;

pub mod query;

pub mod datadog;
pub mod poll;

pub mod sample;
pub mod scrub;
pub mod sorted;
pub mod store;

pub mod lead;

pub mod agent;

pub mod api;
pub mod quantity;
pub mod serve;

pub mod write;

pub mod explain;

pub mod app;
pub mod cli;
pub mod fuzz;
mod hex;
pub mod metrics;
pub mod page;
mod patience;
mod said;
pub mod shutdown;
pub mod telemetry;

#[cfg(test)]
mod testing;
