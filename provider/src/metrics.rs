//! What the provider tells about itself on `/metrics`, under Datadog's names where it has them.

use std::{sync::atomic::AtomicU64, time::Duration};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry},
};
use tokio::time::Instant;

use crate::{
    datadog::{self, Exchange, RateLimit},
    store::{Asking, Snapshot},
};

/// The metrics and the registry that they are in.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    datadog_requests: Family<Outcome, Counter>,
    datadog_http_requests: Counter,
    wanted: Family<Valid, Gauge>,
    api_requests: Family<Code, Counter>,
    api_elapsed: Histogram,
    freshness: Float,
    budget: Budget,
    period: Float,
    calls_per_hour: Float,
    shed: Gauge,
    refused: Gauge,
    clock_skew: Float,
}

type Float = Gauge<f64, AtomicU64>;

/// The rate-limit headers, under the names of Datadog's agent.
#[derive(Debug)]
struct Budget {
    limit: Family<Path, Gauge>,
    period: Family<Path, Gauge>,
    remaining: Family<Path, Gauge>,
    reset: Family<Path, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Valid {
    valid: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    endpoint: &'static str,
}

const QUERY: Path = Path { endpoint: "/api/v1/query" };

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        // From a tenth of a millisecond: an answer comes from memory.
        let api_elapsed = Histogram::new([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0]);
        registry.register(
            "external_metrics_api_elapsed_seconds",
            "Time to answer a request to the external metrics API",
            api_elapsed.clone(),
        );
        let all = &mut registry;
        Self {
            datadog_requests: add(
                all,
                "datadog_requests",
                "Questions to Datadog's query API by outcome",
            ),
            datadog_http_requests: add(
                all,
                "datadog_http_requests",
                "HTTP requests that those took, retries and other endpoints included",
            ),
            wanted: add(
                all,
                "external_metrics",
                "Wanted external metrics, by whether there is a sample fresh enough to serve",
            ),
            api_requests: add(
                all,
                "external_metrics_api_requests",
                "Requests to the external metrics API by HTTP status",
            ),
            freshness: add(
                all,
                "external_metrics_oldest_sample_seconds",
                "Age of the oldest of the last samples of all wanted metrics",
            ),
            budget: Budget {
                limit: add(
                    all,
                    "rate_limit_queries_limit",
                    "Calls that Datadog allows in a period",
                ),
                period: add(all, "rate_limit_queries_period", "Length of that period in seconds"),
                remaining: add(all, "rate_limit_queries_remaining", "Calls left in it"),
                reset: add(all, "rate_limit_queries_reset", "Seconds until the next one"),
            },
            period: add(
                all,
                "external_metrics_refresh_period_seconds",
                "Time between two calls for a metric, stretched where the budget is short",
            ),
            calls_per_hour: add(
                all,
                "external_metrics_calls_per_hour",
                "Calls to Datadog that the refreshes make in an hour at that period",
            ),
            shed: add(
                all,
                "external_metrics_left_out",
                "Queries that are not asked because the budget is too small",
            ),
            refused: add(
                all,
                "external_metrics_refused",
                "Queries that Datadog refuses, which are asked alone and rarely",
            ),
            clock_skew: add(
                all,
                "datadog_clock_skew_seconds",
                "Our clock minus Datadog's, exact to a second",
            ),
            api_elapsed,
            registry,
        }
    }
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Where others put their metrics, to be shown with these.
    pub fn registry_mut(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// Counts what one question to Datadog took.
    pub fn datadog_request(&self, exchange: &Exchange) {
        let status = exchange.result.as_ref().err().map_or("success", datadog::Error::metric_label);
        self.datadog_requests.get_or_create(&Outcome { status }).inc();
        self.datadog_http_requests.inc_by(exchange.requests.into());
    }

    /// Sets the gauges that describe the store as it is at `now`.
    pub fn set_external_metrics(&self, snapshot: &Snapshot, now: Timestamp) {
        let valid = snapshot.iter().filter(|(_, _, entry)| entry.fresh(now).is_some()).count();
        let invalid = snapshot.len() - valid;
        for (label, count) in [("true", valid), ("false", invalid)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.wanted.get_or_create(&Valid { valid: label }).set(count);
        }
        let ages = snapshot.iter().filter_map(|(_, _, entry)| entry.sample);
        let oldest = ages.map(|sample| sample.age(now)).max().unwrap_or_default();
        self.freshness.set(oldest.as_secs_f64());
        self.set_asking(&snapshot.asking);
    }

    fn set_asking(&self, asking: &Asking) {
        if let Some(RateLimit { limit, period, remaining, reset }) = asking.budget {
            let seconds =
                |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
            self.budget.limit.get_or_create(&QUERY).set(limit.into());
            self.budget.period.get_or_create(&QUERY).set(seconds(period));
            self.budget.remaining.get_or_create(&QUERY).set(remaining.into());
            self.budget.reset.get_or_create(&QUERY).set(seconds(reset));
        }
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let left_out = asking.shortage.as_ref().map_or(0, |it| it.queries - it.fitting);
        self.shed.set(count(left_out));
        self.refused.set(count(asking.refused));
        self.period.set(asking.period.as_secs_f64());
        self.calls_per_hour.set(asking.calls_per_hour);
        self.clock_skew.set(asking.clock_skew.map_or(0.0, |skew| skew.as_secs_f64()));
    }

    /// Starts to time a request to the API.
    pub fn time_api_request(&self) -> Timer<'_> {
        Timer { metrics: self, started: Instant::now() }
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn encode(&self) -> Response {
        let mut text = String::new();
        match text::encode(&mut text, &self.registry) {
            Ok(()) => (
                [(
                    header::CONTENT_TYPE,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                )],
                text,
            )
                .into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}

/// A request under way.
#[derive(Debug)]
pub struct Timer<'a> {
    metrics: &'a Metrics,
    started: Instant,
}

impl Timer<'_> {
    /// The answer went out with this HTTP status.
    pub fn answered(self, code: u16) {
        self.metrics.api_elapsed.observe(self.started.elapsed().as_secs_f64());
        self.metrics.api_requests.get_or_create(&Code { code }).inc();
    }
}
