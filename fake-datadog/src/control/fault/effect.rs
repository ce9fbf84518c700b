//! What faults can do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::{InvalidFault, Span};

/// What a fault does. Spans in here are real time: a client waits for them or sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Answer with a status of its own, before keys are looked at.
    Status(StatusEffect),
    /// Wait, then go on as usual.
    Delay(Span),
    /// Wait for a time that is drawn anew for each request, then go on as usual.
    Latency(Latency),
    /// Send the body in chunks, this many bytes per second.
    SlowBody(u32),
    /// Announce the whole body, send this many bytes of it, and close the connection.
    TruncatedBody(u64),
    /// Send only the first half of the body, announced as whole: JSON that ends too early.
    MalformedJson,
    /// Say that the body is of this type, such as `text/html`.
    ContentType(String),
    /// Answer `NaN` in place of the values of these points. That is no JSON, yet some clients
    /// read it.
    NanPoints(Which),
    /// Answer `null` in place of the values of these points.
    NullPoints(Which),
    /// Close the connection with a reset (RST) in place of an answer.
    ConnectionReset,
    /// Let TLS handshakes fail.
    TlsFailure(Handshake),
    /// Refuse these keys with 403, by name or fingerprint; `*` stands for all.
    KeyRevoked(Vec<String>),
    /// Answer that the query is wrong, with this text; when blank, with the usual one.
    QueryError(String),
    /// Wait this long, then answer that the query timed out.
    QueryTimeout(Span),
    /// Answer 200 without any series.
    Empty,
    /// Move every point this far into the past, so that the newest is that old.
    Stale(Span),
    /// Let Datadog's clock differ from the client's: the `Date` header and the times of points.
    ClockSkew(Skew),
}

/// The answer of [`Effect::Status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// How the times of [`Effect::Latency`] are spread.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// Evenly between `base` and `base + jitter`.
    Jitter {
        /// The shortest.
        base: Span,
        /// What comes on top at most.
        jitter: Span,
    },
    /// Log-normal, as latencies of services mostly are.
    Lognormal {
        /// Half of the requests take no longer.
        p50: Span,
        /// Of a hundred requests, one takes longer.
        p99: Span,
    },
    /// Along straight lines between these quantiles, and level outside of them.
    Quantiles(Vec<Quantile>),
}

/// One point of [`Latency::Quantiles`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// The share of requests, 0 to 1, …
    pub share: f64,
    /// … that take no longer than this.
    pub latency: Span,
}

/// The points that an effect hits, in each series of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Which {
    /// Every one.
    All,
    /// The newest ones, this many.
    Last(u32),
    /// Every nth: the nth, the 2nth and so on.
    Every(u32),
}

/// How a TLS handshake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handshake {
    /// With the alert `handshake_failure`.
    Alert,
    /// By closing the connection without a word.
    Close,
}

/// Where Datadog's clock stands compared to the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Skew {
    /// Datadog's is ahead: its points come from the client's future.
    Ahead(Span),
    /// Datadog's is behind: its points look old.
    Behind(Span),
}

impl Effect {
    /// A status with Datadog's own body.
    pub fn status(code: u16) -> Self {
        Self::Status(StatusEffect { code, body: None, headers: BTreeMap::new() })
    }

    /// The name of an effect that only makes sense for a query.
    pub(crate) fn query_only(&self) -> Option<&'static str> {
        match self {
            Self::NanPoints(_) => Some("nan_points"),
            Self::NullPoints(_) => Some("null_points"),
            Self::QueryError(_) => Some("query_error"),
            Self::QueryTimeout(_) => Some("query_timeout"),
            Self::Empty => Some("empty"),
            Self::Stale(_) => Some("stale"),
            _ => None,
        }
    }

    /// What it does to TLS handshakes.
    pub(crate) fn handshake(&self) -> Option<Handshake> {
        if let Self::TlsFailure(handshake) = self { Some(*handshake) } else { None }
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidFault> {
        match self {
            Self::Status(status) => status.validate(),
            Self::Latency(latency) => latency.validate(),
            Self::SlowBody(0) => Err(InvalidFault::NoSpeed),
            Self::ContentType(value) if axum::http::HeaderValue::try_from(value).is_err() => {
                Err(InvalidFault::Header("content-type".to_owned()))
            }
            Self::NanPoints(Which::Last(0) | Which::Every(0))
            | Self::NullPoints(Which::Last(0) | Which::Every(0)) => Err(InvalidFault::NoPoints),
            Self::KeyRevoked(keys) if keys.is_empty() => Err(InvalidFault::NoKeys),
            _ => Ok(()),
        }
    }
}

impl StatusEffect {
    fn validate(&self) -> Result<(), InvalidFault> {
        if !(200..600).contains(&self.code) {
            return Err(InvalidFault::Code(self.code));
        }
        for (name, value) in &self.headers {
            let name_is_good = axum::http::HeaderName::try_from(name).is_ok();
            if !name_is_good || axum::http::HeaderValue::try_from(value).is_err() {
                return Err(InvalidFault::Header(name.clone()));
            }
        }
        Ok(())
    }
}

impl Latency {
    fn validate(&self) -> Result<(), InvalidFault> {
        match self {
            Self::Jitter { .. } => Ok(()),
            Self::Lognormal { p50, p99 } => {
                if p50.is_zero() || p99 < p50 {
                    Err(InvalidFault::Lognormal)
                } else {
                    Ok(())
                }
            }
            Self::Quantiles(quantiles) => {
                let mut before = Quantile { share: 0.0, latency: Span::default() };
                for quantile in quantiles {
                    let rises = (before.share..=1.0).contains(&quantile.share)
                        && before.latency <= quantile.latency;
                    if !rises {
                        return Err(InvalidFault::Quantiles(quantile.share));
                    }
                    before = *quantile;
                }
                if quantiles.is_empty() { Err(InvalidFault::Quantiles(0.0)) } else { Ok(()) }
            }
        }
    }
}
