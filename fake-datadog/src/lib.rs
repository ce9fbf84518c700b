//! A stand-in for the Datadog metrics API: for tests, as a library or as a program.
//!
//! ```text
//! POST /api/v1/series, v2 … ─▶ intake ─▶ store ─┐
//!                                               ├─▶ expr: parse ─▶ scope ─▶ evaluate ─▶ GET /api/v1/query, v2 …
//! scenario, /fake/series ─▶ script ─────────────┘                                              ▲
//! scenario, /fake/faults ─▶ fault ─────────────────────────────────────────────────────────────┤
//! scenario, /fake/rate_limits ─▶ limit ────────────────────────────────────────────────────────┤
//! /, /fake/requests, expect ◀─ recorder ◀──────────────────────────────────────────────────────┘
//! ```
//!
//! Queries are evaluated for real over the points that were submitted and the series that were
//! scripted. What a client sees — fields, statuses, error texts — follows Datadog's documentation
//! and recorded answers; each rule names its source where it is written down.
//!
//! ```
//! use fake_datadog::{FakeDatadog, control::{Script, Shape}, keys};
//!
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let fake = FakeDatadog::start().await?;
//! fake.script(Script::new("queue.depth", ["queue:mail"], Shape::Constant(12.0)))?;
//!
//! let now = jiff::Timestamp::now().as_second();
//! let answer = reqwest::Client::new()
//!     .get(fake.url().join("api/v1/query")?)
//!     .header("DD-API-KEY", keys::DEFAULT_API_KEY)
//!     .header("DD-APPLICATION-KEY", keys::DEFAULT_APP_KEY)
//!     .query(&[("from", now - 60), ("to", now)])
//!     .query(&[("query", "avg:queue.depth{queue:mail}.rollup(1)")])
//!     .send().await?
//!     .json::<serde_json::Value>().await?;
//! let points = answer["series"][0]["pointlist"].as_array().expect("a list of points");
//! assert_eq!(points.last().expect("a point")[1], 12.0);
//!
//! assert_eq!(fake.requests().total, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In a test
//!
//! [`FakeDatadog::start`] listens on a free port of 127.0.0.1 and stops when it is dropped, so tests
//! run side by side. [`Builder`] says what it has from the start, [`Expectation`] what a test expects
//! its client to ask, [`control::Fault`] how Datadog is to misbehave, and [`Scenario`] all of it in
//! YAML.
//!
//! # As a program
//!
//! `fake-datadog serve` serves the same with a page to look at under `/` and the control API
//! ([`control`]) under `/fake`; `record` and `replay` ([`record`], [`replay`]) work with the answers
//! of a real account; `node-check` ([`node_check`]) turns nginx's status page into series.
//!
//! # What it does not do
//!
//! - Queries are a subset of Datadog's language, which [`expr`] describes; what is outside of it is
//!   refused as text that Datadog cannot parse.
//! - Of Datadog's products there are metrics alone: no logs, monitors, dashboards. Service checks and
//!   events are taken and shown, and nothing is made of them.
//! - Units are null in every answer. The agent's sketches and its columnar payload of series are not
//!   understood.
//! - What was submitted is kept for four hours, as one point a second at most: nothing is rolled up.

pub mod app;
pub mod args;
pub mod control;
pub mod exchange;
pub mod expect;
pub mod expr;
#[doc(hidden)]
pub mod fuzz;
pub mod intake;
pub mod keys;
pub mod node_check;
pub mod record;
pub mod replay;
pub mod scenario;
pub mod server;
pub mod store;
pub mod tags;

mod api;
mod clock;
mod fault;
mod limit;
mod metrics;
mod page;
mod recorder;
mod script;
mod state;

pub use crate::{
    expect::Expectation,
    keys::Keys,
    scenario::Scenario,
    server::{Builder, FakeDatadog, StartError},
};
