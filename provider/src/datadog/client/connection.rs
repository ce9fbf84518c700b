//! One endpoint: its requests, in time and in size, and what became of them.

use std::{error::Error as StdError, io, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use reqwest::{Response, StatusCode, redirect};
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};
use url::{Host, Url};

use crate::{
    datadog::{
        Error, Exchange, RateLimit, Series,
        client::{BuildError, headers},
        endpoints::Endpoint,
        keys::{KeyRing, Keys},
        retry,
        wire::{self, NoSeries},
    },
    query::Query,
};

/// Most bytes of an answer, unpacked. A full one (35 queries, each with thousands of groups) has
/// some MiB.
const MOST_BYTES: usize = 32 << 20;
/// Most bytes of an error's body; its words are at the beginning.
const MOST_ERROR_BYTES: usize = 64 << 10;
/// Most characters of somebody else's words in a message.
const MOST_CHARACTERS: usize = 500;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Connection {
    http: reqwest::Client,
    /// Of `/api/v1/query`.
    url: Url,
    origin: Arc<str>,
    keys: KeyRing,
    /// The setting that says where it is.
    setting: Arc<str>,
    /// The settings to look at when it refuses the keys.
    check: Arc<str>,
    timeout: Duration,
}

/// The answer to one request, or why there is none.
struct Reply {
    result: Result<Vec<Vec<Series>>, Error>,
    rate_limit: Option<RateLimit>,
    clock_skew: Option<SignedDuration>,
}

impl Connection {
    pub(super) fn new(endpoint: Endpoint, timeout: Duration) -> Result<Self, BuildError> {
        let Endpoint { url: base, keys, setting } = endpoint;
        let unusable = || BuildError::Endpoint { url: base.clone(), setting: setting.clone() };
        if !matches!(base.scheme(), "http" | "https") {
            return Err(unusable());
        }
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| unusable())?
            .pop_if_empty()
            .extend(["api", "v1", "query"]);
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("datadog-cluster-agent/", env!("CARGO_PKG_VERSION")))
            // Three attempts to connect fit into the time of a question.
            .connect_timeout(timeout / retry::MOST)
            // A redirection would take the keys with it.
            .redirect(redirect::Policy::none());
        if is_loopback(&url) {
            // As Go's HTTP client: a proxy cannot reach our loopback.
            http = http.no_proxy();
        }
        let [api, app] = keys.settings();
        Ok(Self {
            http: http.build()?,
            origin: url.origin().ascii_serialization().into(),
            check: format!("{api}, {app} and {setting}").into(),
            setting: setting.into(),
            url,
            keys,
            timeout,
        })
    }

    pub(super) fn origin(&self) -> Arc<str> {
        self.origin.clone()
    }

    pub(super) fn keys(&self) -> KeyRing {
        self.keys.clone()
    }

    /// Asks until there is an answer, an error that will not pass by itself, or no time left, or
    /// until `may` forbids a further request.
    ///
    /// After keys were refused, their files are read: if there are others by now, those are tried.
    pub(super) async fn ask(
        &self,
        queries: &[Query],
        now: Timestamp,
        window: Duration,
        may: &(dyn Fn() -> bool + Sync),
    ) -> Exchange {
        let deadline = Instant::now() + self.timeout;
        let parameters = parameters(queries, now, window);
        let mut keys = self.keys.current();
        let mut has_new_keys = false;
        let mut requests = 0;
        let mut before: Option<Reply> = None;
        loop {
            let mut reply = self.request(&parameters, queries.len(), &keys, deadline).await;
            requests += 1;
            if let (Err(Error::Timeout { .. }), Some(before)) = (&reply.result, before.take()) {
                // It only had what was left of the time: the failure before it says more.
                reply = before;
            }
            match &reply.result {
                Err(Error::Forbidden { .. }) if !has_new_keys => {
                    self.keys.reload().await;
                    let current = self.keys.current();
                    has_new_keys = !current.same_as(&keys);
                    if has_new_keys && may() {
                        keys = current;
                        continue;
                    }
                }
                Err(error) if error.is_retriable() => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if let Some(pause) = retry::pause(requests, left, fastrand::f64()) {
                        tracing::debug!(%error, ?pause, "request failed, sending it once more");
                        sleep(pause).await;
                        if may() {
                            before = Some(reply);
                            continue;
                        }
                    }
                }
                _ => {}
            }
            let Reply { result, rate_limit, clock_skew } = reply;
            return Exchange { result, endpoint: self.origin(), requests, rate_limit, clock_skew };
        }
    }

    async fn request(
        &self,
        parameters: &[(&str, String)],
        queries: usize,
        keys: &Keys,
        deadline: Instant,
    ) -> Reply {
        let sent_at = Timestamp::now();
        let sent = self
            .http
            .get(self.url.clone())
            .query(parameters)
            .header("DD-API-KEY", keys.api.expose_secret())
            .header("DD-APPLICATION-KEY", keys.app.expose_secret())
            .timeout(deadline.saturating_duration_since(Instant::now()))
            .send()
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                let result = Err(self.transport_error(&error));
                return Reply { result, rate_limit: None, clock_skew: None };
            }
        };
        let received_at = Timestamp::now();
        Reply {
            rate_limit: headers::rate_limit(response.headers()),
            clock_skew: headers::clock_skew(response.headers(), sent_at, received_at),
            result: self.read(response, queries, keys, received_at).await,
        }
    }

    async fn read(
        &self,
        response: Response,
        queries: usize,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<Vec<Vec<Series>>, Error> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.status_error(response, keys, now).await);
        }
        let (body, is_whole) =
            body(response, MOST_BYTES).await.map_err(|error| self.transport_error(&error))?;
        if !is_whole {
            let reason = format!("it has more than {} MiB", MOST_BYTES >> 20);
            return Err(Error::Malformed { reason, endpoint: self.origin() });
        }
        let endpoint = self.origin();
        wire::series(&body, queries).map_err(|no_series| match no_series {
            NoSeries::Query(words) => {
                Error::Rejected { status: status.as_u16(), message: line(&words, keys) }
            }
            NoSeries::Failure(words) => Error::Failed { message: line(&words, keys), endpoint },
            NoSeries::Malformed(words) => Error::Malformed { reason: line(&words, keys), endpoint },
        })
    }

    async fn status_error(&self, response: Response, keys: &Keys, now: Timestamp) -> Error {
        let status = response.status().as_u16();
        let reset = headers::reset(response.headers(), now);
        let target = response.headers().get(reqwest::header::LOCATION).cloned();
        // The status says the most: a body that does not come does not hide it.
        let (body, _) = body(response, MOST_ERROR_BYTES).await.unwrap_or_default();
        let message = line(&wire::error_message(&body), keys);
        let endpoint = self.origin();
        match status {
            401 | 403 => Error::Forbidden { status, message, endpoint, check: self.check.clone() },
            429 => Error::RateLimited { reset },
            400 | 413 | 414 | 422 => Error::Rejected { status, message },
            404 | 405 => {
                Error::NotTheApi { status, message, endpoint, check: self.setting.clone() }
            }
            300..400 => {
                let target = target.as_ref().and_then(|target| target.to_str().ok());
                let target = target.and_then(|target| self.url.join(target).ok());
                let origin = target.map(|target| target.origin().ascii_serialization());
                let message = line(&format!("it leads to {}", origin.unwrap_or_default()), keys);
                Error::NotTheApi { status, message, endpoint, check: self.setting.clone() }
            }
            500..600 => Error::Server { status, message, endpoint },
            _ => Error::Status { status, message, endpoint },
        }
    }

    fn transport_error(&self, error: &reqwest::Error) -> Error {
        let endpoint = self.origin();
        if error.is_timeout() && !error.is_connect() {
            return Error::Timeout { timeout: self.timeout, endpoint };
        }
        // reqwest's own text repeats the URL with the whole query; the innermost cause says why.
        let mut cause: &(dyn StdError + 'static) = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        if is_corrupt(cause) {
            let reason = format!("it is packed in a way that cannot be unpacked: {cause}");
            return Error::Malformed { reason, endpoint };
        }
        Error::Unreachable { endpoint, cause: one_line(&cause.to_string()) }
    }
}

fn parameters(queries: &[Query], now: Timestamp, window: Duration) -> [(&'static str, String); 3] {
    let to = now.as_second();
    let from = to.saturating_sub_unsigned(window.as_secs());
    let text = queries.iter().map(Query::as_str).collect::<Vec<_>>().join(",");
    [("from", from.to_string()), ("to", to.to_string()), ("query", text)]
}

/// At most `most` bytes of a body, unpacked, and whether that is all of it.
async fn body(mut response: Response, most: usize) -> reqwest::Result<(Vec<u8>, bool)> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = most - body.len();
        body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if room < chunk.len() {
            return Ok((body, false));
        }
    }
    Ok((body, true))
}

/// Somebody else's words on one line, not too long, without the keys.
fn line(words: &str, keys: &Keys) -> String {
    one_line(&keys.hide(words))
}

fn one_line(words: &str) -> String {
    let words: Vec<&str> = words
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|it| !it.is_empty())
        .collect();
    let line = words.join(" ");
    match line.char_indices().nth(MOST_CHARACTERS) {
        _ if line.is_empty() => "no message".to_owned(),
        None => line,
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
    }
}

/// Whether a body came that is not packed as its header says.
fn is_corrupt(cause: &(dyn StdError + 'static)) -> bool {
    cause.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
    })
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests;
