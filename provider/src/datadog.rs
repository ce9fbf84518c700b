//! Asks Datadog: the only outgoing HTTP of the provider.
//!
//! [`client`] puts a question to one of the [`endpoints`], with retries and the [`keys`] of the
//! moment; [`batch`] (pure) says which queries share one; [`ask`] isolates a query that Datadog
//! refuses, so that it does not take the others of its request with it.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{metrics::Metrics, query::Query, sample::Point};

pub mod batch;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// What came back for one query: its series, or why there are none.
pub type Answer = (Query, Result<Vec<Series>, Arc<Error>>);

/// Asks for `queries` over the last `window` in one request; where Datadog refuses the request for
/// the text of a query, asks for the halves, so that only the guilty query ends with the error.
///
/// One answer for each query, in the order of `queries`.
pub async fn ask(
    client: &Client,
    queries: Vec<Query>,
    now: Timestamp,
    window: Duration,
    metrics: &Metrics,
) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(queries.len());
    let mut pending = vec![queries];
    while let Some(mut batch) = pending.pop() {
        if batch.is_empty() {
            continue;
        }
        let result = client.ask(&batch, now, window).await.result;
        metrics.datadog_request(result.as_ref().err());
        match result {
            Ok(series) => answers.extend(batch.into_iter().zip(series.into_iter().map(Ok))),
            Err(error) if error.is_about_a_query() && batch.len() > 1 => {
                tracing::debug!(%error, queries = batch.len(), "request refused, asking for its halves");
                let second = batch.split_off(batch.len() / 2);
                pending.push(second);
                pending.push(batch);
            }
            Err(error) => {
                let error = Arc::new(error);
                answers.extend(batch.into_iter().map(|query| (query, Err(error.clone()))));
            }
        }
    }
    answers
}
