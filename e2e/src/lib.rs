//! The harness: brings up a cluster, deploys the provider as a user would, drives real load on a
//! real nginx, watches what the HPA controller makes of it, and gives a verdict.
//!
//! ```text
//! assets ─▶ cluster ─▶ deploy ─▶ scenario ─▶ timeline ─▶ outcome ─▶ report
//! programs  a running   manifests  load, fake,  what was     passed,     text for
//! to run    Kubernetes             assertions   seen, when   failed …    people
//! ```

pub mod app;
pub mod args;
pub mod backend;
pub mod interrupt;
pub mod sweep;
pub mod world;

pub mod assets;
pub mod doctor;

pub mod cluster;
pub mod forward;
pub mod guard;
pub mod image;
pub mod pki;
pub mod ports;
pub mod process;

pub mod deploy;
pub mod wait;

pub mod load;
pub mod nginx;
pub mod scenario;

pub mod observe;
pub mod oracle;
pub mod timeline;

pub mod outcome;
pub mod parity;
pub mod phase;
pub mod report;

pub mod walkthrough;
