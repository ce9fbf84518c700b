//! What the control API says of rate limits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control::{Endpoint, Span};

/// A number of requests that an API key has in each period. Periods are aligned to the clock, not
/// to the first request (Datadog API, "Rate limits").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Endpoints that share it.
    pub endpoints: Vec<Endpoint>,
    /// Requests in a period.
    pub limit: u32,
    /// Length of a period in real time, whole seconds, at least one.
    pub period: Span,
    /// What `X-RateLimit-Name` says; without it, that header is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Why a rate limit is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRateLimit {
    /// It limits nothing.
    #[error("endpoints must name at least one, such as `query`")]
    Nothing,
    /// It limits what Datadog does not limit.
    #[error("endpoint `{0}` has no rate limit; limit single endpoints that read data")]
    Endpoint(&'static str),
    /// Not even a second, or not a whole number of them.
    #[error("period `{0}` must be a whole number of seconds, at least 1s")]
    Period(Span),
}

impl RateLimit {
    /// A limit for one endpoint.
    pub fn new(endpoint: Endpoint, limit: u32, period: impl Into<Span>) -> Self {
        Self { endpoints: vec![endpoint], limit, period: period.into(), name: None }
    }

    /// Datadog's limits as recorded: 1 600 queries and 1 000 lists of metrics an hour (test
    /// recordings of `DataDog/datadog-api-client-go`, 2021).
    pub fn datadog() -> Vec<Self> {
        let hour = Span::from_secs(3600);
        vec![Self::new(Endpoint::Query, 1600, hour), Self::new(Endpoint::Metrics, 1000, hour)]
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidRateLimit> {
        if self.endpoints.is_empty() {
            return Err(InvalidRateLimit::Nothing);
        }
        let unlimited = |it: &&Endpoint| **it == Endpoint::Any || it.is_intake();
        if let Some(endpoint) = self.endpoints.iter().find(unlimited) {
            return Err(InvalidRateLimit::Endpoint(endpoint.name()));
        }
        let period = self.period.as_duration();
        if period.is_zero() || period.subsec_nanos() != 0 {
            return Err(InvalidRateLimit::Period(self.period));
        }
        Ok(())
    }
}
