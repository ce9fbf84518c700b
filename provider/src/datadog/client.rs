//! Asks `GET /api/v1/query`: the endpoints one after the other until one answers, each of them again
//! where that may help.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use crate::datadog::keys::Keys;
use crate::{
    datadog::{
        Error, Exchange,
        client::connection::Connection,
        endpoints::{Endpoint, EndpointStatus, Health, order, telling},
        keys::{self, KeyRing},
    },
    query::Query,
};

mod connection;
mod headers;

/// Asks the endpoints of one configuration; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Vec<Connection>,
    // A std mutex: held for a few comparisons, never across an `.await`.
    health: Mutex<Vec<Health>>,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No base of an HTTP URL.
    #[error(
        "Datadog endpoint {} ({setting}) cannot be used, give a URL such as https://api.datadoghq.com",
        crate::scrub::url(url.as_str())
    )]
    Endpoint {
        /// The URL.
        url: Url,
        /// The setting that it comes from.
        setting: String,
    },
    /// TLS or proxy settings cannot be used.
    #[error("HTTP client for Datadog cannot be made: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client of one endpoint, such as `https://api.datadoghq.com`, with keys that never change.
    pub fn new(endpoint: &Url, keys: Keys, timeout: Duration) -> Result<Self, BuildError> {
        let keys = KeyRing::fixed(keys);
        let endpoint = Endpoint { url: endpoint.clone(), keys, setting: "DD_SITE".to_owned() };
        Self::of(vec![endpoint], timeout)
    }

    /// A client of `endpoints`, the preferred ones first. `timeout` is for all that is sent to one
    /// of them for one question: a question that goes to a second one may take twice as long.
    pub fn of(endpoints: Vec<Endpoint>, timeout: Duration) -> Result<Self, BuildError> {
        let connections = endpoints
            .into_iter()
            .map(|endpoint| Connection::new(endpoint, timeout))
            .collect::<Result<Vec<_>, _>>()?;
        let health = Mutex::new(vec![Health::default(); connections.len()]);
        Ok(Self(Arc::new(Inner { connections, health })))
    }

    /// Asks for `queries` over the `window` before `now`; one list of series for each query, in
    /// their order, empty where there is none.
    ///
    /// Of several endpoints, the first that answers has the word, be it with the refusal of a
    /// query. When none does, the error is that of the first one that was asked; a rate limit only
    /// where all have theirs.
    pub async fn ask(&self, queries: &[Query], now: Timestamp, window: Duration) -> Exchange {
        self.ask_while(queries, now, window, &|| true).await
    }

    /// The same, but once `may` says no, no further request is sent for the question: neither again
    /// nor to another endpoint.
    pub async fn ask_while(
        &self,
        queries: &[Query],
        now: Timestamp,
        window: Duration,
        may: &(dyn Fn() -> bool + Sync),
    ) -> Exchange {
        let order = order(&mut self.health(), now);
        let mut requests = 0;
        let mut failures: Vec<Exchange> = Vec::new();
        for position in order {
            if 0 < requests && !may() {
                break;
            }
            let Some(connection) = self.0.connections.get(position) else { continue };
            let mut exchange = connection.ask(queries, now, window, may).await;
            requests += exchange.requests;
            exchange.requests = requests;
            if self.note(position, now, &exchange) {
                return exchange;
            }
            failures.push(exchange);
        }
        let errors: Vec<&Error> =
            failures.iter().filter_map(|it| it.result.as_ref().err()).collect();
        let position = telling(&errors).unwrap_or_default();
        match failures.into_iter().nth(position) {
            Some(exchange) => Exchange { requests, ..exchange },
            None => nobody(),
        }
    }

    /// How each endpoint has done, in the order of preference.
    pub fn endpoints(&self) -> Vec<EndpointStatus> {
        let health = self.health();
        let several = 1 < health.len();
        let all = self.0.connections.iter().zip(health.iter());
        all.map(|(connection, health)| health.status(connection.origin(), several)).collect()
    }

    /// Keeps the keys that come from files as they are there, until `stop`. An endpoint with new
    /// keys is not skipped any more.
    pub async fn watch_keys(&self, stop: CancellationToken) {
        let changed = |position: usize| {
            if let Some(health) = self.health().get_mut(position) {
                health.forgive();
            }
        };
        keys::run(self.0.connections.iter().map(Connection::keys).collect(), changed, stop).await;
    }

    /// Notes what an endpoint did; true when that is the answer to the question.
    fn note(&self, position: usize, asked: Timestamp, exchange: &Exchange) -> bool {
        let now = Timestamp::now();
        let mut all = self.health();
        let several = 1 < all.len();
        let Some(health) = all.get_mut(position) else { return true };
        let endpoint = &exchange.endpoint;
        match &exchange.result {
            Err(error) if !error.is_about_a_query() => {
                if health.failed(asked, now, error) && several {
                    tracing::warn!(%endpoint, %error, "endpoint failed, others are asked for a while");
                }
                false
            }
            _ => {
                if health.succeeded(now) && several {
                    tracing::info!(%endpoint, "endpoint answers again");
                }
                true
            }
        }
    }

    fn health(&self) -> MutexGuard<'_, Vec<Health>> {
        self.0.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of a client without endpoints.
fn nobody() -> Exchange {
    let endpoint: Arc<str> = "any endpoint".into();
    let cause = "none is configured".to_owned();
    Exchange {
        result: Err(Error::Unreachable { endpoint: endpoint.clone(), cause }),
        endpoint,
        requests: 0,
        rate_limit: None,
        clock_skew: None,
    }
}
