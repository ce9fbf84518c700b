//! What was asked of Datadog, and what is wanted of it, under the names of Datadog's agent where it
//! has them.

use std::{sync::atomic::AtomicU64, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    datadog::{self, Exchange, RateLimit},
    metrics::add,
    store::{Asking, Snapshot},
};

/// The metrics of the engine.
#[derive(Debug)]
pub(super) struct Datadog {
    requests: Family<Outcome, Counter>,
    http_requests: Counter,
    wanted: Family<Valid, Gauge>,
    oldest: Float,
    budget: Budget,
    period: Float,
    calls_per_hour: Float,
    shed: Gauge,
    refused: Gauge,
    clock_skew: Float,
}

type Float = Gauge<f64, AtomicU64>;

/// The rate-limit headers.
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
struct Path {
    endpoint: &'static str,
}

const QUERY: Path = Path { endpoint: "/api/v1/query" };

impl Datadog {
    pub(super) fn register(all: &mut Registry) -> Self {
        Self {
            requests: add(all, "datadog_requests", "Questions to Datadog's query API by outcome"),
            http_requests: add(
                all,
                "datadog_http_requests",
                "HTTP requests that those took, retries and other endpoints included",
            ),
            wanted: add(
                all,
                "external_metrics",
                "Wanted external metrics, by whether there is a sample fresh enough to serve",
            ),
            oldest: add(
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
        }
    }

    pub(super) fn request(&self, exchange: &Exchange) {
        let status = exchange.result.as_ref().err().map_or("success", datadog::Error::metric_label);
        self.requests.get_or_create(&Outcome { status }).inc();
        self.http_requests.inc_by(exchange.requests.into());
    }

    pub(super) fn set(&self, snapshot: &Snapshot, now: Timestamp) {
        let valid = snapshot.iter().filter(|(_, _, entry)| entry.fresh(now).is_some()).count();
        let invalid = snapshot.len() - valid;
        for (label, count) in [("true", valid), ("false", invalid)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.wanted.get_or_create(&Valid { valid: label }).set(count);
        }
        let ages = snapshot.iter().filter_map(|(_, _, entry)| entry.sample);
        let oldest = ages.map(|sample| sample.age(now)).max().unwrap_or_default();
        self.oldest.set(oldest.as_secs_f64());
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
}
