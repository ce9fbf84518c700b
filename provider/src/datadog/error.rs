//! What can go wrong between us and Datadog.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

/// Why a request to Datadog gave no series. The variants are causes that a user treats
/// differently. No text has more than one line, and none has a key in it.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    /// HTTP 401 or 403.
    #[error("Datadog rejects the keys at {endpoint} (HTTP {status}: {message}), check {check}")]
    Forbidden {
        /// The HTTP status.
        status: u16,
        /// Datadog's words.
        message: String,
        /// Where it was asked.
        endpoint: Arc<str>,
        /// The settings that say the keys and the endpoint.
        check: Arc<str>,
    },
    /// HTTP 429.
    #[error("Datadog's rate limit is used up (HTTP 429{})", reset_text(*reset))]
    RateLimited {
        /// Time until there are calls again, from the header `X-RateLimit-Reset` or `Retry-After`;
        /// at most a day.
        reset: Option<Duration>,
    },
    /// The text of a query is the cause: HTTP 400, 413, 414, 422, or `status: error` in a 200.
    #[error("Datadog rejects the query: {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// Datadog's words.
        message: String,
    },
    /// `status: error` in a 200 for a reason that is no query's.
    #[error("Datadog cannot answer at {endpoint}: {message}")]
    Failed {
        /// Datadog's words.
        message: String,
        /// Where it was asked.
        endpoint: Arc<str>,
    },
    /// HTTP 404, 405 or a redirection: something else answers.
    #[error("there is no Datadog API at {endpoint} (HTTP {status}: {message}), check {check}")]
    NotTheApi {
        /// The HTTP status.
        status: u16,
        /// The answer's words.
        message: String,
        /// Where it was asked.
        endpoint: Arc<str>,
        /// The setting that says the endpoint.
        check: Arc<str>,
    },
    /// HTTP 5xx.
    #[error("Datadog fails at {endpoint} (HTTP {status}: {message})")]
    Server {
        /// The HTTP status.
        status: u16,
        /// Datadog's words, or the beginning of the body.
        message: String,
        /// Where it was asked.
        endpoint: Arc<str>,
    },
    /// Any other status.
    #[error("Datadog answers HTTP {status} at {endpoint}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// Datadog's words, or the beginning of the body.
        message: String,
        /// Where it was asked.
        endpoint: Arc<str>,
    },
    /// No complete answer in time.
    #[error("Datadog does not answer within {} at {endpoint}", humantime::format_duration(*timeout))]
    Timeout {
        /// The limit for the whole exchange.
        timeout: Duration,
        /// Where it was asked.
        endpoint: Arc<str>,
    },
    /// No connection, or it broke before the answer was complete.
    #[error("Datadog cannot be reached at {endpoint}: {cause}")]
    Unreachable {
        /// Where it was asked.
        endpoint: Arc<str>,
        /// The innermost cause.
        cause: String,
    },
    /// A 200 that is not what the API promises.
    #[error("Datadog's answer at {endpoint} cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
        /// Where it was asked.
        endpoint: Arc<str>,
    },
}

impl Error {
    /// Whether the text of one of the queries is the cause, so that asking for fewer of them helps.
    /// Never so for keys, limits, Datadog's own failures or the network: asking again in halves
    /// would only multiply the calls.
    pub fn is_about_a_query(&self) -> bool {
        match self {
            Self::Rejected { .. } => true,
            Self::Forbidden { .. }
            | Self::RateLimited { .. }
            | Self::Failed { .. }
            | Self::NotTheApi { .. }
            | Self::Server { .. }
            | Self::Status { .. }
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether the same request may succeed a moment later. A timeout is none of those: no time is
    /// left then.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Server { .. } | Self::Unreachable { .. } => true,
            Self::Forbidden { .. }
            | Self::RateLimited { .. }
            | Self::Rejected { .. }
            | Self::Failed { .. }
            | Self::NotTheApi { .. }
            | Self::Status { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// The value of the label `status` of the metric `datadog_requests`, in Datadog's agent's words:
    /// an error in a 200 is a `response_error`, a transport error an `unknown_error`.
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limit_error",
            Self::Rejected { status: 422, .. } => "unprocessable_entity_error",
            Self::Rejected { status: 200, .. } | Self::Failed { .. } | Self::Malformed { .. } => {
                "response_error"
            }
            Self::Rejected { .. }
            | Self::Forbidden { .. }
            | Self::NotTheApi { .. }
            | Self::Server { .. }
            | Self::Status { .. } => "other_http_error",
            Self::Timeout { .. } | Self::Unreachable { .. } => "unknown_error",
        }
    }
}

/// "Within", since the text is still shown when a part of that time is over.
fn reset_text(reset: Option<Duration>) -> String {
    reset.map_or_else(String::new, |reset| {
        format!(", resets within {}", humantime::format_duration(reset))
    })
}
