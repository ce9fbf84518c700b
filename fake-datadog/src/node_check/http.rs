//! The two requests of the check: one to nginx, one to Datadog.
//!
//! Neither goes through a proxy of the environment: pods and the fake are at hand, and a proxy
//! could not reach them.

use std::time::Duration;

use reqwest::{
    Client, ClientBuilder, Response, StatusCode,
    header::{HeaderValue, InvalidHeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::node_check::{
    payload::Payload,
    stub_status::{ParseError, StubStatus},
};

/// A status page has about 100 bytes; a server that sends more than this is not nginx.
const PAGE_LIMIT: usize = 64 * 1024;
/// How much of an error's body is worth a line in the log.
const EXCERPT: usize = 300;
/// A submission that takes longer is given up: the next round brings newer points.
const SUBMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads status pages.
#[derive(Clone, Debug)]
pub(crate) struct StatusReader {
    client: Client,
}

/// Sends series to Datadog.
#[derive(Clone, Debug)]
pub(crate) struct Submitter {
    client: Client,
    url: String,
    api_key: HeaderValue,
}

/// The clients cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The key has signs that no header may have. The error does not hold the key.
    #[error("the API key has characters that an HTTP header cannot carry; check DD_API_KEY")]
    ApiKey(#[source] InvalidHeaderValue),
    /// The same of the cluster agent's token. The error does not hold it.
    #[error(
        "the cluster agent's token has characters that an HTTP header cannot carry; check \
         DD_CLUSTER_AGENT_AUTH_TOKEN"
    )]
    Token(#[source] InvalidHeaderValue),
    /// No HTTP client.
    #[error("cannot set up an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// A status page was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No answer, or none in time.
    #[error("no answer from nginx")]
    Request(#[source] reqwest::Error),
    /// An answer that is none.
    #[error("nginx answered {0}; is the status page open to the address of this check?")]
    Status(StatusCode),
    /// Far more than four lines.
    #[error("the answer is longer than {PAGE_LIMIT} bytes, so it is no status page")]
    TooLong,
    /// An answer, but not this page.
    #[error(transparent)]
    Page(#[from] ParseError),
}

/// Datadog did not take the series.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// No answer, or none in time.
    #[error("no answer from Datadog")]
    Request(#[source] reqwest::Error),
    /// 403, which Datadog gives for keys that it does not know.
    #[error("Datadog rejected the API key (403); check DD_API_KEY: {body}")]
    KeyRejected {
        /// The beginning of the answer.
        body: String,
    },
    /// Any other status that is no success.
    #[error("Datadog answered {status}: {body}")]
    Status {
        /// The status.
        status: StatusCode,
        /// The beginning of the answer.
        body: String,
    },
}

// === impl StatusReader ===

impl StatusReader {
    pub(crate) fn new() -> Result<Self, SetupError> {
        Ok(Self { client: plain_client().build().map_err(SetupError::Client)? })
    }

    /// The page at `url`, which has to be complete after `timeout`.
    pub(crate) async fn read(&self, url: &Url, timeout: Duration) -> Result<StubStatus, ReadError> {
        let request = self.client.get(url.clone()).timeout(timeout);
        let response = request.send().await.map_err(ReadError::Request)?;
        if !response.status().is_success() {
            return Err(ReadError::Status(response.status()));
        }
        let body = read_up_to(response, PAGE_LIMIT).await.map_err(ReadError::Request)?;
        if body.len() > PAGE_LIMIT {
            return Err(ReadError::TooLong);
        }
        Ok(String::from_utf8_lossy(&body).parse()?)
    }
}

// === impl Submitter ===

impl Submitter {
    pub(crate) fn new(datadog: &Url, api_key: &SecretString) -> Result<Self, SetupError> {
        let mut api_key =
            HeaderValue::from_str(api_key.expose_secret()).map_err(SetupError::ApiKey)?;
        api_key.set_sensitive(true);
        let client = match datadog.scheme() {
            "https" => base_client(),
            _ => plain_client(),
        };
        Ok(Self {
            client: client.timeout(SUBMIT_TIMEOUT).build().map_err(SetupError::Client)?,
            url: format!("{}/api/v1/series", datadog.as_str().trim_end_matches('/')),
            api_key,
        })
    }

    pub(crate) async fn submit(&self, payload: &Payload<'_>) -> Result<(), SubmitError> {
        let request = self.client.post(&self.url).header("DD-API-KEY", self.api_key.clone());
        let response = request.json(payload).send().await.map_err(SubmitError::Request)?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        // The status alone says enough where the body breaks off.
        let body = read_up_to(response, EXCERPT).await.unwrap_or_default();
        let body = String::from_utf8_lossy(&body).chars().take(EXCERPT).collect();
        Err(match status {
            StatusCode::FORBIDDEN => SubmitError::KeyRejected { body },
            _ => SubmitError::Status { status, body },
        })
    }
}

fn base_client() -> ClientBuilder {
    Client::builder().no_proxy().redirect(Policy::none())
}

/// A client for `http` addresses, which works in an image without any root certificates too.
fn plain_client() -> ClientBuilder {
    base_client().tls_certs_only([])
}

/// The body, or its beginning as soon as that is longer than `limit` bytes.
async fn read_up_to(mut response: Response, limit: usize) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while body.len() <= limit {
        match response.chunk().await? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(body)
}
