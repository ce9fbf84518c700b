//! What can go wrong between us and Datadog.

use std::time::Duration;

/// Why a request to Datadog gave no series. The variants are causes that a user treats
/// differently.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// HTTP 401 or 403.
    #[error(
        "Datadog rejects the keys (HTTP {status}: {message}), check DD_API_KEY, DD_APP_KEY and DD_SITE"
    )]
    Forbidden {
        /// The HTTP status.
        status: u16,
        /// Datadog's words.
        message: String,
    },
    /// HTTP 429.
    #[error("Datadog's rate limit is used up (HTTP 429{})", reset_text(*reset))]
    RateLimited {
        /// From the header `X-RateLimit-Reset`, if it was there.
        reset: Option<Duration>,
    },
    /// The text of a query is the cause: HTTP 400, 413, 414, 422, or `status: error` in a 200.
    #[error("Datadog rejects the query: {message}")]
    Rejected {
        /// Datadog's words.
        message: String,
    },
    /// Any other status.
    #[error("Datadog answers HTTP {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// Datadog's words, or the beginning of the body.
        message: String,
    },
    /// No complete answer in time.
    #[error("Datadog does not answer within {} at {endpoint}", humantime::format_duration(*timeout))]
    Timeout {
        /// The limit for the whole exchange.
        timeout: Duration,
        /// Where it was asked.
        endpoint: String,
    },
    /// No connection, or it broke.
    #[error("Datadog cannot be reached at {endpoint}: {cause}")]
    Unreachable {
        /// Where it was asked.
        endpoint: String,
        /// The innermost cause.
        cause: String,
    },
    /// A 200 that is not what the API promises.
    #[error("Datadog's answer cannot be read: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
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
            | Self::Status { .. }
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// The value of the label `status` of the metric `datadog_requests`; Datadog's words where it
    /// has one.
    pub fn metric_label(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } | Self::Status { .. } => "other_http_error",
            Self::RateLimited { .. } => "rate_limit_error",
            Self::Rejected { .. } => "unprocessable_entity_error",
            Self::Malformed { .. } => "response_error",
            Self::Timeout { .. } | Self::Unreachable { .. } => "unknown_error",
        }
    }
}

fn reset_text(reset: Option<Duration>) -> String {
    reset.map_or_else(String::new, |reset| {
        format!(", resets in {}", humantime::format_duration(reset))
    })
}
