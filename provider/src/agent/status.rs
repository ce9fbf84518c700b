//! `GET /status`: how the agent does, made by a pure function of what it knows and of `now`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, routing::get};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    agent::facts::Facts,
    api::answer,
    datadog::endpoints::EndpointStatus,
    demand::{self, MetricKey, Wanted},
    lead::{Leadership, Role},
    sample::Sample,
    store::{Asking, Entry, Snapshot},
};

/// How the agent does. Times of JSON are RFC 3339, durations are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Of the agent.
    pub version: String,
    /// When this was written.
    pub now: Timestamp,
    /// When the agent started.
    pub started: Timestamp,
    /// Its process id.
    pub pid: u32,
    /// `os/architecture`.
    pub platform: String,
    /// Its pod.
    pub pod: Option<String>,
    /// The level of its log.
    pub log_level: String,
    /// Who leads.
    pub leader_election: LeaderElection,
    /// `None` where the provider is off.
    pub external_metrics: Option<ExternalMetrics>,
}

/// Who leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaderElection {
    /// Whether there is an election at all.
    pub enabled: bool,
    /// Whether this replica leads.
    pub leads: bool,
    /// `namespace/name` of the Lease.
    pub lease: Option<String>,
    /// The pod that leads; `None` where nobody does.
    pub leader: Option<String>,
    /// When it began to.
    pub acquired: Option<Timestamp>,
    /// When it last said that it still does.
    pub renewed: Option<Timestamp>,
    /// How often the Lease has changed hands.
    pub transitions: Option<i32>,
    /// Why the Lease cannot be read or renewed.
    pub error: Option<String>,
}

/// What is wanted and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalMetrics {
    /// `namespace/name` of the ConfigMap in which values are kept.
    pub config_map: Option<String>,
    /// Whether DatadogMetrics are read.
    pub datadog_metrics: bool,
    /// Whether the autoscalers have been read.
    pub ready: bool,
    /// Metrics.
    pub total: usize,
    /// Metrics that have a value for the HPA controller.
    pub valid: usize,
    /// All of them, by namespace, name and selector.
    pub metrics: Vec<Metric>,
    /// What is wrong with autoscalers; also who wins where two of them disagree.
    pub problems: Vec<Problem>,
    /// How Datadog is asked.
    pub asking: AskingStatus,
    /// Datadog's endpoints, in the order of preference.
    pub endpoints: Vec<Endpoint>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The namespace in which it is asked for.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The selector as the HPA controller sends it.
    pub selector: String,
    /// Labels that the selector fixes.
    pub labels: BTreeMap<String, String>,
    /// Who wants it, the oldest first: that one's options hold.
    pub autoscalers: Vec<Autoscaler>,
    /// What Datadog is asked.
    pub query: Option<String>,
    /// The newest value known, fresh or not; the fallback where that is served.
    pub value: Option<f64>,
    /// The value's own time.
    pub timestamp: Option<Timestamp>,
    /// The value's age.
    pub age: Option<f64>,
    /// The age above which it is not served.
    pub max_age: f64,
    /// Whether the value is served.
    pub valid: bool,
    /// Whether the value served is the declared fallback.
    pub fallback: bool,
    /// Why there is no fresh value, in the words of the API.
    pub error: Option<String>,
    /// The last call that Datadog answered.
    pub last: Option<Call>,
}

/// What one call said of a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it was made.
    pub at: Timestamp,
    /// Why it gave no sample, in the words of the API; nothing where it gave one.
    pub error: Option<String>,
}

/// An object that wants a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autoscaler {
    /// `horizontal` or `watermark`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What is wrong with an autoscaler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Which.
    pub autoscaler: Autoscaler,
    /// The Event's reason.
    pub reason: String,
    /// The Event's sentence.
    pub note: String,
}

/// How Datadog is asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AskingStatus {
    /// Why calls fail now, when the cause is no query.
    pub trouble: Option<String>,
    /// Time between two calls for a metric.
    pub period: f64,
    /// Calls that the refreshes make in an hour.
    pub calls_per_hour: f64,
    /// The account's budget, as Datadog told it.
    pub budget: Option<Budget>,
    /// Why some metrics are not asked for.
    pub shortage: Option<String>,
    /// Queries that Datadog refuses.
    pub refused: usize,
    /// Our clock minus Datadog's.
    pub clock_skew: Option<f64>,
    /// The same in words, where it matters.
    pub clock_warning: Option<String>,
}

/// What Datadog's rate-limit headers said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Calls in one period.
    pub limit: u32,
    /// The period.
    pub period: f64,
    /// Calls left in it.
    pub remaining: u32,
    /// Time until the next one.
    pub reset: f64,
}

/// One of Datadog's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Its origin.
    pub url: String,
    /// `OK`, `Failed`, or `Unknown` before the first call.
    pub status: String,
    /// When it answered last.
    pub last_success: Option<Timestamp>,
    /// When it failed last.
    pub last_failure: Option<Timestamp>,
    /// How.
    pub last_error: Option<String>,
    /// Others are asked until then.
    pub skipped_until: Option<Timestamp>,
}

/// What does not change while the process runs.
#[derive(Debug, Clone)]
pub struct Process {
    /// When it started.
    pub started: Timestamp,
    /// Its pod.
    pub pod: Option<String>,
    /// The level of its log.
    pub log_level: String,
}

/// Where external metrics are on.
#[derive(Debug, Clone)]
pub struct Sources {
    /// All metrics.
    pub snapshot: Snapshot,
    /// What the client says.
    pub endpoints: Vec<EndpointStatus>,
    /// As in [`ExternalMetrics::config_map`].
    pub config_map: Option<String>,
    /// As in [`ExternalMetrics::datadog_metrics`].
    pub datadog_metrics: bool,
}

/// All of it at `now`.
pub fn status(
    process: Process,
    election: bool,
    leadership: &Leadership,
    external: Option<&Sources>,
    now: Timestamp,
) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now,
        started: process.started,
        pid: std::process::id(),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        pod: process.pod,
        log_level: process.log_level,
        leader_election: LeaderElection::of(election, leadership),
        external_metrics: external.map(|sources| ExternalMetrics::of(sources, now)),
    }
}

impl LeaderElection {
    /// What is known of the Lease.
    pub fn of(enabled: bool, leadership: &Leadership) -> Self {
        let lease = leadership.lease.as_ref();
        let holder = lease.map(|lease| lease.holder.clone());
        Self {
            enabled,
            leads: leadership.role == Role::Leader,
            lease: lease.map(|lease| lease.name.clone()),
            leader: holder.filter(|holder| !holder.is_empty()),
            acquired: lease.and_then(|lease| lease.acquired),
            renewed: lease.and_then(|lease| lease.renewed),
            transitions: lease.map(|lease| lease.transitions),
            error: leadership.error.clone(),
        }
    }
}

impl ExternalMetrics {
    fn of(sources: &Sources, now: Timestamp) -> Self {
        let Sources { snapshot, endpoints, config_map, datadog_metrics } = sources;
        let asking = &snapshot.asking;
        let metrics: Vec<_> = snapshot
            .iter()
            .map(|(key, wanted, entry)| Metric::of(key, wanted, entry, asking, now))
            .collect();
        let problems = snapshot.demand().problems.iter().map(|(by, problem)| Problem {
            autoscaler: by.into(),
            reason: problem.reason.to_owned(),
            note: problem.note.clone(),
        });
        Self {
            config_map: config_map.clone(),
            datadog_metrics: *datadog_metrics,
            ready: snapshot.ready,
            total: metrics.len(),
            valid: metrics.iter().filter(|metric| metric.valid).count(),
            metrics,
            problems: problems.collect(),
            asking: asking.as_ref().into(),
            endpoints: endpoints.iter().map(Into::into).collect(),
        }
    }
}

impl Metric {
    fn of(
        key: &MetricKey,
        wanted: &Wanted,
        entry: &Entry,
        asking: &Asking,
        now: Timestamp,
    ) -> Self {
        let fresh = entry.fresh(now);
        let fallback = entry.fallback_at(now).map(|value| Sample { value, at: now });
        let words = || {
            let status = answer::without_value(entry, asking, now);
            status.unwrap_or_else(|| answer::not_asked_yet(key)).message().to_owned()
        };
        let sample = fallback.or(entry.sample);
        let last = entry.last.as_ref().map(|(at, _)| Call {
            at: *at,
            error: answer::last_trouble(entry, now).map(|status| status.message().to_owned()),
        });
        Self {
            last,
            namespace: key.namespace.clone(),
            name: wanted.name.clone(),
            selector: key.selector.to_string(),
            labels: key.selector.labels(),
            autoscalers: wanted.by.iter().map(Into::into).collect(),
            query: entry.ask.as_ref().ok().map(|ask| ask.query.to_string()),
            value: sample.map(|sample| sample.value),
            timestamp: sample.map(|sample| sample.at),
            age: sample.map(|sample| sample.age(now).as_secs_f64()),
            max_age: entry.age_limit.as_secs_f64(),
            valid: answer::value(key, wanted, entry, now).is_some(),
            fallback: fallback.is_some(),
            error: fresh.is_none().then(words),
        }
    }
}

impl From<&demand::Autoscaler> for Autoscaler {
    fn from(autoscaler: &demand::Autoscaler) -> Self {
        let kind = match autoscaler.kind {
            demand::Kind::Hpa => "horizontal",
            demand::Kind::Wpa => "watermark",
        };
        Self {
            kind: kind.to_owned(),
            namespace: autoscaler.namespace.clone(),
            name: autoscaler.name.clone(),
        }
    }
}

impl From<&Asking> for AskingStatus {
    fn from(asking: &Asking) -> Self {
        Self {
            trouble: asking.trouble.as_ref().map(ToString::to_string),
            period: asking.period.as_secs_f64(),
            calls_per_hour: asking.calls_per_hour,
            budget: asking.budget.map(|budget| Budget {
                limit: budget.limit,
                period: budget.period.as_secs_f64(),
                remaining: budget.remaining,
                reset: budget.reset.as_secs_f64(),
            }),
            shortage: asking.shortage.as_ref().map(ToString::to_string),
            refused: asking.refused,
            clock_skew: asking.clock_skew.map(|skew| skew.as_secs_f64()),
            clock_warning: asking.clock_skew_text(),
        }
    }
}

impl From<&EndpointStatus> for Endpoint {
    fn from(endpoint: &EndpointStatus) -> Self {
        let failed = endpoint.last_failure.as_ref().map(|(at, _)| *at);
        let status = match (endpoint.last_success, failed) {
            (None, None) => "Unknown",
            (success, failure) if success < failure => "Failed",
            _ => "OK",
        };
        Self {
            url: endpoint.url.to_string(),
            status: status.to_owned(),
            last_success: endpoint.last_success,
            last_failure: failed,
            last_error: endpoint.last_failure.as_ref().map(|(_, error)| error.clone()),
            skipped_until: endpoint.skipped_until,
        }
    }
}

/// The path.
pub fn routes(facts: Arc<Facts>) -> Router {
    Router::new().route("/status", get(async move || Json(facts.status(Timestamp::now()))))
}

#[cfg(test)]
pub(crate) mod tests;
