//! One request to `GET /api/v1/query`.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{StatusCode, header::HeaderMap};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    datadog::{
        Error, Exchange, Series,
        wire::{self, QueryResponse},
    },
    query::Query,
};

/// The keys of an account.
#[derive(Debug, Clone)]
pub struct Keys {
    /// `DD-API-KEY`.
    pub api: SecretString,
    /// `DD-APPLICATION-KEY`.
    pub app: SecretString,
}

/// A client of one Datadog endpoint; cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    keys: Keys,
    timeout: Duration,
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The endpoint is no base of an HTTP URL.
    #[error("Datadog endpoint {0} cannot be used, give a URL such as https://api.datadoghq.com")]
    Endpoint(Url),
    /// TLS or proxy settings cannot be used.
    #[error("HTTP client for Datadog cannot be made: {0}")]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client that asks `endpoint` (such as `https://api.datadoghq.com`) and gives up on an
    /// exchange after `timeout`.
    pub fn new(endpoint: &Url, keys: Keys, timeout: Duration) -> Result<Self, BuildError> {
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(BuildError::Endpoint(endpoint.clone()));
        }
        let mut url = endpoint.clone();
        url.path_segments_mut()
            .map_err(|()| BuildError::Endpoint(endpoint.clone()))?
            .pop_if_empty()
            .extend(["api", "v1", "query"]);
        let http = reqwest::Client::builder()
            .user_agent(concat!("datadog-cluster-agent/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .build()?;
        Ok(Self { http, url, keys, timeout })
    }

    /// Asks for `queries` over the `window` before `now`.
    pub async fn ask(&self, queries: &[Query], now: Timestamp, window: Duration) -> Exchange {
        let result = self.query(queries, now, window).await;
        let endpoint = self.url.origin().ascii_serialization().into();
        Exchange { result, endpoint, requests: 1, rate_limit: None, clock_skew: None }
    }

    /// Asks for `queries` over the `window` before `now` in one request; one list of series for each
    /// query, in their order, empty where there is none.
    pub async fn query(
        &self,
        queries: &[Query],
        now: Timestamp,
        window: Duration,
    ) -> Result<Vec<Vec<Series>>, Error> {
        let to = now.as_second();
        let from = to.saturating_sub_unsigned(window.as_secs());
        let text = queries.iter().map(Query::as_str).collect::<Vec<_>>().join(",");
        let response = self
            .http
            .get(self.url.clone())
            .query(&[("from", from.to_string()), ("to", to.to_string()), ("query", text)])
            .header("DD-API-KEY", self.keys.api.expose_secret())
            .header("DD-APPLICATION-KEY", self.keys.app.expose_secret())
            .send()
            .await
            .map_err(|error| self.transport_error(&error))?;
        let status = response.status();
        let reset = rate_limit_reset(response.headers());
        let body = response.bytes().await.map_err(|error| self.transport_error(&error))?;
        match status {
            StatusCode::OK => assign(&body, queries.len()),
            _ => Err(status_error(status, reset, &body)),
        }
    }

    fn transport_error(&self, error: &reqwest::Error) -> Error {
        let endpoint = self.url.origin().ascii_serialization();
        if error.is_timeout() {
            return Error::Timeout { timeout: self.timeout, endpoint };
        }
        // reqwest's own text repeats the URL with the whole query; the innermost cause says why.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        Error::Unreachable { endpoint, cause: cause.to_string() }
    }
}

fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    headers.get("x-ratelimit-reset")?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn status_error(status: StatusCode, reset: Option<Duration>, body: &[u8]) -> Error {
    let message = wire::error_message(body);
    match status.as_u16() {
        status @ (401 | 403) => Error::Forbidden { status, message },
        429 => Error::RateLimited { reset },
        400 | 413 | 414 | 422 => Error::Rejected { message },
        status => Error::Status { status, message },
    }
}

/// Ties the series of a 200 to the queries by `query_index`. Expressions are not compared: Datadog
/// rewrites them. A series that says no valid position among several queries spoils the whole
/// answer: it could belong to any of them.
fn assign(body: &[u8], queries: usize) -> Result<Vec<Vec<Series>>, Error> {
    let malformed = |reason: String| Error::Malformed { reason };
    let response: QueryResponse =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    match response.status.as_str() {
        "ok" => {}
        "error" => {
            let message = response.error.unwrap_or_default();
            let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(Error::Rejected { message });
        }
        other => {
            return Err(malformed(format!("status is {other:?}, neither ok nor error")));
        }
    }
    let mut assigned = vec![Vec::new(); queries];
    for series in response.series {
        let position = match series.query_index {
            None if queries == 1 => Some(0),
            None => None,
            Some(position) => usize::try_from(position).ok(),
        };
        let slot = position.and_then(|position| assigned.get_mut(position)).ok_or_else(|| {
            malformed(format!(
                "a series has query_index {:?} though {queries} queries were asked",
                series.query_index
            ))
        })?;
        slot.push(Series {
            points: series.pointlist,
            scope: series.scope.unwrap_or_default(),
            tags: series.tag_set.unwrap_or_default(),
        });
    }
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_tied_to_queries_by_their_index() {
        let body = br#"{"status":"ok","series":[
            {"query_index":1,"scope":"a:b","pointlist":[[1000,1.5],[2000.0,null]]}]}"#;
        let series = assign(body, 2).unwrap();
        assert!(series[0].is_empty());
        assert_eq!(
            series[1],
            [Series {
                points: vec![(1000.0, Some(1.5)), (2000.0, None)],
                scope: "a:b".into(),
                tags: vec![]
            }]
        );
    }

    #[test]
    fn a_lone_query_needs_no_index() {
        let body = br#"{"status":"ok","series":[{"pointlist":[[1000,1]]}]}"#;
        assert_eq!(assign(body, 1).unwrap()[0].len(), 1);
    }

    #[test]
    fn an_index_that_fits_no_query_spoils_the_answer() {
        for index in ["", r#""query_index":null,"#, r#""query_index":-1,"#, r#""query_index":2,"#] {
            let body = format!(r#"{{"status":"ok","series":[{{{index}"pointlist":[]}}]}}"#);
            let error = assign(body.as_bytes(), 2).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{index}: {error}");
        }
    }

    #[test]
    fn an_error_in_a_200_is_the_querys_fault() {
        let body = br#"{"status":"error","error":"Error parsing query:\n x"}"#;
        let error = assign(body, 1).unwrap_err();
        assert_eq!(error.to_string(), "Datadog rejects the query: Error parsing query: x");
        assert!(error.is_about_a_query());
    }

    #[test]
    fn bodies_that_are_none_are_malformed() {
        for body in ["", "{}", "null", "[]", "{\"status\":\"ok\",\"series\":[{\"pointlist\":7}]}"] {
            assert!(matches!(assign(body.as_bytes(), 1), Err(Error::Malformed { .. })), "{body}");
        }
    }

    #[test]
    fn statuses_are_told_apart() {
        let error = |status| {
            status_error(
                StatusCode::from_u16(status).unwrap(),
                Some(Duration::from_secs(7)),
                br#"{"errors":["words"]}"#,
            )
        };
        assert!(matches!(error(403), Error::Forbidden { .. }));
        assert_eq!(
            error(429).to_string(),
            "Datadog's rate limit is used up (HTTP 429, resets in 7s)"
        );
        assert!(error(422).is_about_a_query() && error(414).is_about_a_query());
        assert_eq!(error(503).to_string(), "Datadog answers HTTP 503: words");
    }

    #[test]
    fn keys_are_in_no_debug_output() {
        let keys = Keys { api: "canary-api".into(), app: "canary-app".into() };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let endpoint = Url::parse("http://127.0.0.1:1").unwrap();
        let client = Client::new(&endpoint, keys, Duration::from_secs(1)).unwrap();
        assert!(!format!("{client:?}").contains("canary"));
    }
}
