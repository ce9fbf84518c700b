//! What the control API and scenario files say of faults.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::control::Span;

/// A fault: what to do to which requests, and to how many of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Name by which it is replaced and lifted.
    pub name: String,
    /// Requests that it hits. `query_error`, `empty` and `stale` only ever hit queries.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// How many requests it hits; without it, all until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What it does.
    pub effect: Effect,
}

/// A family of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Every path but the control API.
    #[default]
    Any,
    /// `GET /api/v1/query`.
    Query,
    /// `POST /api/v1/series`.
    Series,
    /// `GET /api/v1/validate`.
    Validate,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Answer with a status of its own, before keys are looked at.
    Status(StatusEffect),
    /// Wait, then go on as usual.
    Delay(Span),
    /// Answer that the query is wrong, with this text; when blank, with the usual one.
    QueryError(String),
    /// Answer 200 without any series.
    Empty,
    /// Move every point this far into the past, so that the newest is that old.
    Stale(Span),
}

/// The answer of [`Effect::Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusEffect {
    /// Status code, 200 to 599.
    pub code: u16,
    /// Body; without it, what Datadog sends with this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Headers to add, such as `x-ratelimit-remaining`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

/// Why a fault is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFault {
    /// Nothing to call it by.
    #[error("a fault needs a name that is not blank")]
    NoName,
    /// It would hit nothing.
    #[error("times `0` hits no request, leave it out for all requests")]
    ZeroTimes,
    /// Not a final status.
    #[error("status code `{0}` must be from 200 to 599")]
    Code(u16),
    /// A header that HTTP does not allow.
    #[error("header `{0}` is no valid HTTP header")]
    Header(String),
    /// The effect needs the query endpoint.
    #[error("effect `{0}` works on queries, not on the endpoint given")]
    NotForEndpoint(&'static str),
    /// The fake has as many faults as it takes.
    #[error("already {0} faults, lift some by `DELETE /fake/faults`")]
    TooMany(usize),
}

impl Fault {
    /// A fault that hits every request it can.
    pub fn new(name: impl Into<String>, effect: Effect) -> Self {
        Self { name: name.into(), endpoint: Endpoint::Any, times: None, effect }
    }

    /// The same for one endpoint.
    #[must_use]
    pub fn on(self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self }
    }

    /// The same for a number of requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// True when a request to `endpoint` is hit; `None` is a path that the fake does not know.
    pub(crate) fn hits(&self, endpoint: Option<Endpoint>) -> bool {
        let reachable = self.effect.query_only().is_none() || endpoint == Some(Endpoint::Query);
        reachable && (self.endpoint == Endpoint::Any || Some(self.endpoint) == endpoint)
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidFault> {
        if self.name.trim().is_empty() {
            return Err(InvalidFault::NoName);
        }
        if self.times == Some(0) {
            return Err(InvalidFault::ZeroTimes);
        }
        if let Some(effect) = self.effect.query_only()
            && !matches!(self.endpoint, Endpoint::Any | Endpoint::Query)
        {
            return Err(InvalidFault::NotForEndpoint(effect));
        }
        let Effect::Status(status) = &self.effect else { return Ok(()) };
        if !(200..600).contains(&status.code) {
            return Err(InvalidFault::Code(status.code));
        }
        for (name, value) in &status.headers {
            let name_is_good = axum::http::HeaderName::try_from(name).is_ok();
            if !name_is_good || axum::http::HeaderValue::try_from(value).is_err() {
                return Err(InvalidFault::Header(name.clone()));
            }
        }
        Ok(())
    }
}

impl Effect {
    /// A status with Datadog's own body.
    pub fn status(code: u16) -> Self {
        Self::Status(StatusEffect { code, body: None, headers: BTreeMap::new() })
    }

    /// The name of an effect that only makes sense for a query.
    fn query_only(&self) -> Option<&'static str> {
        match self {
            Self::Status(_) | Self::Delay(_) => None,
            Self::QueryError(_) => Some("query_error"),
            Self::Empty => Some("empty"),
            Self::Stale(_) => Some("stale"),
        }
    }
}
