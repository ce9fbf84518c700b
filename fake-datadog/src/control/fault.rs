//! What the control API and scenario files say of faults.

mod effect;
mod invalid;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::control::fault::{
    effect::{Effect, Handshake, Latency, Quantile, Skew, StatusEffect, Which},
    invalid::InvalidFault,
};
use crate::control::{Endpoint, Span};

/// A fault: what to do to which requests, when, and to how many of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Name by which it is replaced and lifted.
    pub name: String,
    /// Requests that it hits. Effects on points, such as `query_error` or `stale`, only ever hit
    /// queries.
    #[serde(default)]
    pub endpoint: Endpoint,
    /// Beginning of the paths that it hits, such as `/api/v2/`; without it, all of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// When it begins: time since the scenario's start, or since it was set through the control
    /// API.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub at: Span,
    /// How long it is in force; without it, until it is lifted.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub length: Option<Span>,
    /// How many requests it hits; without it, all until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Chance of each request to be hit, above 0 and at most 1; drawn from the scenario's seed.
    /// Without it, every one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// What it does.
    pub effect: Effect,
}

/// A fault and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultState {
    /// As it was set.
    pub fault: Fault,
    /// True when it would hit a request now.
    pub active: bool,
    /// Requests that it has hit.
    pub hits: u64,
    /// Requests that it will still hit; `null` without a limit.
    pub remaining: Option<u32>,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends; `null` when it has to be lifted.
    pub until: Option<Timestamp>,
}

/// Every fault that is set, oldest first, over and spent ones too until they are lifted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultList {
    /// The faults.
    pub faults: Vec<FaultState>,
}

impl Fault {
    /// A fault that hits every request it can, from now on.
    pub fn new(name: impl Into<String>, effect: Effect) -> Self {
        Self {
            name: name.into(),
            endpoint: Endpoint::Any,
            path: None,
            at: Span::default(),
            length: None,
            times: None,
            probability: None,
            effect,
        }
    }

    /// The same for one endpoint.
    #[must_use]
    pub fn on(self, endpoint: Endpoint) -> Self {
        Self { endpoint, ..self }
    }

    /// The same for paths that begin with `prefix`.
    #[must_use]
    pub fn on_path(self, prefix: impl Into<String>) -> Self {
        Self { path: Some(prefix.into()), ..self }
    }

    /// The same for a number of requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// The same, beginning that long after it is set.
    #[must_use]
    pub fn starting_at(self, at: impl Into<Span>) -> Self {
        Self { at: at.into(), ..self }
    }

    /// The same, ending that long after it began.
    #[must_use]
    pub fn lasting(self, length: impl Into<Span>) -> Self {
        Self { length: Some(length.into()), ..self }
    }

    /// The same with a chance for each request to be hit.
    #[must_use]
    pub fn with_probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }

    /// True when a request is meant; `endpoint` is `None` for a path that the fake does not know.
    pub(crate) fn means(&self, endpoint: Option<Endpoint>, path: &str) -> bool {
        let reachable =
            self.effect.query_only().is_none() || endpoint.is_some_and(Endpoint::is_query);
        reachable
            && self.effect.handshake().is_none()
            && (self.endpoint == Endpoint::Any || Some(self.endpoint) == endpoint)
            && self.path.as_ref().is_none_or(|prefix| path.starts_with(prefix))
    }

    pub(crate) fn validate(&self) -> Result<(), InvalidFault> {
        if self.name.trim().is_empty() {
            return Err(InvalidFault::NoName);
        }
        if self.times == Some(0) {
            return Err(InvalidFault::ZeroTimes);
        }
        if self.length.is_some_and(|length| length.is_zero()) {
            return Err(InvalidFault::ZeroSpan("for"));
        }
        if let Some(probability) = self.probability
            && !(0.0 < probability && probability <= 1.0)
        {
            return Err(InvalidFault::Probability(probability));
        }
        if let Some(path) = &self.path
            && !path.starts_with('/')
        {
            return Err(InvalidFault::Path(path.clone()));
        }
        if let Some(effect) = self.effect.query_only()
            && self.endpoint != Endpoint::Any
            && !self.endpoint.is_query()
        {
            return Err(InvalidFault::NotForEndpoint(effect));
        }
        if self.effect.handshake().is_some()
            && (self.endpoint != Endpoint::Any || self.path.is_some())
        {
            return Err(InvalidFault::BeforeRequests);
        }
        self.effect.validate()
    }
}
