//! Asks Datadog: the only outgoing HTTP of the provider.
//!
//! [`client`] sends one request, [`batch`] (pure) says which queries share one, [`ask`] isolates a
//! query that Datadog refuses, so that it does not take the others of its request with it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{metrics::Metrics, query::Query, sample::Point};

pub mod batch;
pub mod client;
pub mod error;
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
        let result = client.query(&batch, now, window).await;
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
