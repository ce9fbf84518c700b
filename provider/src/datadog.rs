//! Asks Datadog: the only outgoing HTTP of the provider.
//!
//! [`client`] puts a question to one of the [`endpoints`], with retries and the [`keys`] of the
//! moment. The rest is pure: [`batch`] says which queries share a question, [`coalesce`] which become
//! one query, [`budget`] how many questions the account still allows.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::sample::Point;

pub mod batch;
pub mod budget;
pub mod client;
pub mod coalesce;
pub mod endpoints;
pub mod error;
pub mod keys;
mod retry;
mod wire;

pub use client::Client;
pub use error::Error;

/// One series of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The points, sorted from old to new.
    pub points: Vec<Point>,
    /// The scope as Datadog writes it, for messages.
    pub scope: String,
    /// Of a query with `by {…}`: the tags of the group, such as `host:a`.
    pub tags: Vec<String>,
}

/// What the headers `X-RateLimit-*` of an answer say
/// (<https://docs.datadoghq.com/api/latest/rate-limits/>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Calls in one period.
    pub limit: u32,
    /// The period; its bounds are calendar-aligned.
    pub period: Duration,
    /// Calls left in the running period.
    pub remaining: u32,
    /// Time until the next period begins.
    pub reset: Duration,
}

/// One question to Datadog with all that came of it.
#[derive(Debug)]
pub struct Exchange {
    /// For each query its series, in the order of the queries.
    pub result: Result<Vec<Vec<Series>>, Error>,
    /// The origin of the endpoint that gave the result, such as `https://api.datadoghq.com`.
    pub endpoint: Arc<str>,
    /// HTTP requests that it took, retries and other endpoints included.
    pub requests: u32,
    /// The budget of the account behind `endpoint`, where the last answer told it.
    pub rate_limit: Option<RateLimit>,
    /// Our clock minus Datadog's, from the header `Date`: whole seconds, exact to one. `None` also
    /// where the exchange took too long to tell.
    pub clock_skew: Option<SignedDuration>,
}
