//! What the provider tells about itself on `/metrics`, under Datadog's names where it has them.

use std::sync::atomic::AtomicU64;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::time::Instant;

use crate::{
    datadog::{self, Exchange},
    store::Snapshot,
};

/// The metrics and the registry that they are in.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    datadog_requests: Family<Outcome, Counter>,
    wanted: Family<Valid, Gauge>,
    api_requests: Family<Code, Counter>,
    api_elapsed: Histogram,
    freshness: Gauge<f64, AtomicU64>,
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

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let datadog_requests = Family::default();
        registry.register(
            "datadog_requests",
            "Requests to Datadog's query API by outcome",
            datadog_requests.clone(),
        );
        let wanted = Family::default();
        registry.register(
            "external_metrics",
            "Wanted external metrics, by whether there is a sample fresh enough to serve",
            wanted.clone(),
        );
        let api_requests = Family::default();
        registry.register(
            "external_metrics_api_requests",
            "Requests to the external metrics API by HTTP status",
            api_requests.clone(),
        );
        // From a tenth of a millisecond: an answer comes from memory.
        let bounds = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0];
        let api_elapsed = Histogram::new(bounds);
        registry.register(
            "external_metrics_api_elapsed_seconds",
            "Time to answer a request to the external metrics API",
            api_elapsed.clone(),
        );
        let freshness = Gauge::default();
        registry.register(
            "external_metrics_oldest_sample_seconds",
            "Age of the oldest of the last samples of all wanted metrics",
            freshness.clone(),
        );
        Self { registry, datadog_requests, wanted, api_requests, api_elapsed, freshness }
    }
}

impl Metrics {
    /// Counts what one question to Datadog took.
    pub fn datadog_request(&self, exchange: &Exchange) {
        let status = exchange.result.as_ref().err().map_or("success", datadog::Error::metric_label);
        self.datadog_requests.get_or_create(&Outcome { status }).inc();
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
