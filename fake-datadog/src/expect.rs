//! Expectations: what a test expects its client to ask, checked when the fake is dropped.
//!
//! ```
//! use fake_datadog::{Expectation, FakeDatadog, keys};
//!
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let fake = FakeDatadog::builder().series("queue.depth", ["queue:mail"], 12.0).start().await?;
//! fake.expect(Expectation::query().containing("queue.depth").times(1));
//! fake.expect(Expectation::submission().never());
//!
//! // The client under test asks:
//! let now = jiff::Timestamp::now().as_second();
//! reqwest::Client::new()
//!     .get(fake.url().join("api/v1/query")?)
//!     .header("DD-API-KEY", keys::DEFAULT_API_KEY)
//!     .header("DD-APPLICATION-KEY", keys::DEFAULT_APP_KEY)
//!     .query(&[("from", now - 60), ("to", now)])
//!     .query(&[("query", "avg:queue.depth{*}")])
//!     .send().await?;
//!
//! // Dropping the fake verifies too, and panics with a report when something is amiss.
//! fake.verify();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod fake;
mod times;
mod watch;

use std::fmt;

use crate::control::{Endpoint, RecordedRequest};
pub use crate::expect::{fake::Unmet, times::Times};

pub(crate) use crate::expect::watch::Watch;

/// Requests that a test expects, and how many of them.
///
/// An expectation is made from what all of its requests have in common, and narrowed by
/// conditions. Without a number it is met by one request or more.
///
/// ```
/// use fake_datadog::{Expectation, control::Endpoint};
///
/// let polls = Expectation::query().containing("avg:nginx.net.request_per_s").times(2..);
/// assert_eq!(
///     polls.to_string(),
///     "GET /api/v1/query with `avg:nginx.net.request_per_s` in the query"
/// );
/// let signed = Expectation::on(Endpoint::Validate).header("user-agent", "agent/1");
/// let gone = Expectation::request("DELETE", "/api/v1/metrics/m").never();
/// # let _ = (signed, gone);
/// ```
#[derive(Clone, Debug)]
#[must_use = "give it to `FakeDatadog::expect`"]
pub struct Expectation {
    name: Option<String>,
    method: Option<String>,
    endpoint: Endpoint,
    paths: Vec<String>,
    conditions: Vec<Condition>,
    times: Times,
}

/// What narrows an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    /// The text is in the query: the parameter `query`, or the body of a request of version 2.
    Query(String),
    Param(String, String),
    Header(String, String),
    Body(String),
    Status(u16),
}

impl Expectation {
    /// Any request to Datadog's API.
    pub fn any() -> Self {
        let times = Times::from(1..);
        Self {
            name: None,
            method: None,
            endpoint: Endpoint::Any,
            paths: Vec::new(),
            conditions: Vec::new(),
            times,
        }
    }

    /// Queries of metrics: `GET /api/v1/query`.
    pub fn query() -> Self {
        Self::request("GET", "/api/v1/query")
    }

    /// Submissions of points: `POST /api/v1/series` and `POST /api/v2/series`.
    pub fn submission() -> Self {
        let paths = vec!["/api/v1/series".to_owned(), "/api/v2/series".to_owned()];
        Self { method: Some("POST".to_owned()), paths, ..Self::any() }
    }

    /// Requests to one of the fake's endpoints, with any method.
    pub fn on(endpoint: Endpoint) -> Self {
        Self { endpoint, ..Self::any() }
    }

    /// Requests with a method, in capitals, to a path without parameters.
    pub fn request(method: impl Into<String>, path: impl Into<String>) -> Self {
        Self { method: Some(method.into()), paths: vec![path.into()], ..Self::any() }
    }

    /// Gives it a name that the report calls it by.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Only with this text in the query; of a request of version 2, in the body.
    pub fn containing(self, text: impl Into<String>) -> Self {
        self.with(Condition::Query(text.into()))
    }

    /// Only with this parameter, decoded.
    pub fn param(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Condition::Param(name.into(), value.into()))
    }

    /// Only with this header; the name in any case. Keys are known by their fingerprints, see
    /// [`crate::keys::fingerprint`]: `<key ba7816bf>`.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Condition::Header(name.into().to_ascii_lowercase(), value.into()))
    }

    /// Only with this text in the unpacked body. Of a long body only the first 64 KiB are known.
    pub fn body_containing(self, text: impl Into<String>) -> Self {
        self.with(Condition::Body(text.into()))
    }

    /// Only those that were answered with this status.
    pub fn answered(self, status: u16) -> Self {
        self.with(Condition::Status(status))
    }

    /// Expects so many: a number for exactly that many, or a range such as `1..`, `..=3`, `2..=4`.
    pub fn times(self, times: impl Into<Times>) -> Self {
        Self { times: times.into(), ..self }
    }

    /// Expects none.
    pub fn never(self) -> Self {
        self.times(0)
    }

    fn with(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// True for a request to the right path, whatever else may be amiss with it.
    fn is_near(&self, request: &RecordedRequest) -> bool {
        let is_endpoint =
            self.endpoint == Endpoint::Any || Endpoint::of(&request.path) == Some(self.endpoint);
        is_endpoint && (self.paths.is_empty() || self.paths.contains(&request.path))
    }

    /// What a request near this one lacks.
    fn misses(&self, request: &RecordedRequest) -> Vec<String> {
        let method = self.method.iter().filter(|method| **method != request.method);
        let method = method.map(|method| format!("the method is not {method}"));
        let conditions = self.conditions.iter().filter_map(|it| it.miss(request));
        method.chain(conditions).collect()
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        let paths = self.paths.join(" or ");
        match (&self.method, self.paths.is_empty()) {
            (Some(method), false) => write!(f, "{method} {paths}")?,
            (None, false) => write!(f, "{paths}")?,
            (Some(method), true) => write!(f, "{method} of any path")?,
            (None, true) if self.endpoint == Endpoint::Any => write!(f, "any request")?,
            (None, true) => write!(f, "a request to endpoint `{}`", self.endpoint.name())?,
        }
        for (index, condition) in self.conditions.iter().enumerate() {
            write!(f, "{} {condition}", if index == 0 { " with" } else { " and" })?;
        }
        Ok(())
    }
}

// === impl Condition ===

impl Condition {
    /// What the request lacks; `None` when it meets this.
    fn miss(&self, request: &RecordedRequest) -> Option<String> {
        let text = || request.query.get("query").map_or(request.body(), String::as_str);
        let found = match self {
            Self::Query(part) => text().contains(part.as_str()),
            Self::Param(name, value) => request.query.get(name) == Some(value),
            Self::Header(name, value) => request.header(name) == Some(value),
            Self::Body(part) => request.body().contains(part.as_str()),
            Self::Status(status) => request.status == *status,
        };
        if found {
            return None;
        }
        let quoted =
            |it: Option<&str>| it.map_or("none".to_owned(), |it| format!("`{}`", brief(it)));
        let found = match self {
            Self::Query(_) => quoted(Some(text())),
            Self::Param(name, _) => quoted(request.query.get(name).map(String::as_str)),
            Self::Header(name, _) => quoted(request.header(name)),
            Self::Body(_) => quoted(Some(request.body())),
            Self::Status(_) => request.status.to_string(),
        };
        Some(format!("not {self}, but {found}"))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(part) => write!(f, "`{part}` in the query"),
            Self::Param(name, value) => write!(f, "parameter `{name}` = `{value}`"),
            Self::Header(name, value) => write!(f, "header `{name}: {value}`"),
            Self::Body(part) => write!(f, "`{part}` in the body"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

/// The head of a long text.
fn brief(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
