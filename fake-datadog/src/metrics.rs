//! What the fake tells about itself on `/metrics`.

use std::{fmt, sync::atomic::AtomicU64, time::Duration};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{
    control::{Endpoint, FaultList, Health},
    limit::LimitState,
    state::Shared,
    store::counts::{Counts, Reason},
};

/// The media type of what [`Metrics::encode`] makes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of the durations in seconds, from a quarter of a millisecond: answers come from
/// memory, and take longer only when a fault says so.
const BOUNDS: [f64; 9] = [0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 30.0];

/// The metrics that count requests. Those that describe the state are made for each scrape.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Family<Answer, Counter>,
    elapsed: Elapsed,
    unknown_paths: Counter,
    queries: Family<Outcome, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answer {
    endpoint: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct At {
    endpoint: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    fault: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Because {
    reason: &'static str,
}

/// A family of histograms over [`BOUNDS`].
struct Elapsed(Family<At, Histogram, fn() -> Histogram>);

impl Metrics {
    /// Counts one answer; `endpoint` is `None` for a path that the fake does not serve.
    pub(crate) fn answered(&self, endpoint: Option<Endpoint>, status: u16, elapsed: Duration) {
        if endpoint.is_none() {
            self.unknown_paths.inc();
        }
        let endpoint = endpoint.map_or("other", Endpoint::name);
        self.requests.get_or_create(&Answer { endpoint, status }).inc();
        self.elapsed.0.get_or_create(&At { endpoint }).observe(elapsed.as_secs_f64());
    }

    /// Counts one request for points by whether its queries could be evaluated.
    pub(crate) fn queried(&self, parsed: bool) {
        let outcome = if parsed { "parsed" } else { "refused" };
        self.queries.get_or_create(&Outcome { outcome }).inc();
    }

    /// All metrics in the `OpenMetrics` text format, with the state as it is at `now`.
    pub(crate) fn encode(&self, now: Timestamp, shared: &Shared) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("fake_datadog");
        registry.register("requests", "Requests by endpoint and status", self.requests.clone());
        registry.register(
            "request_duration_seconds",
            "Time until the answer was ready, injected delays included",
            self.elapsed.0.clone(),
        );
        registry.register(
            "unknown_paths",
            "Requests to paths that the fake does not serve",
            self.unknown_paths.clone(),
        );
        registry.register(
            "queries",
            "Requests for points whose queries were parsed, or refused: for their text or by a fault",
            self.queries.clone(),
        );
        register_health(&mut registry, &shared.health(now));
        register_points(&mut registry, shared.store().counts());
        register_limits(&mut registry, &shared.limit_states(now));
        register_faults(&mut registry, &shared.faults(now));
        let mut text = String::new();
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn register_health(registry: &mut Registry, health: &Health) {
    let mut gauge = |name: &str, help: &str, value: usize| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("series", "Submitted series held", health.series);
    gauge("points", "Submitted points held", health.points);
    gauge("scripts", "Scripted series", health.scripts);
    gauge("faults", "Faults that are in force or will be", health.faults);
}

fn register_points(registry: &mut Registry, counts: &Counts) {
    let accepted = Counter::<u64, AtomicU64>::default();
    accepted.inc_by(counts.accepted());
    registry.register("accepted_points", "Submitted points that were taken", accepted);
    let dropped = Family::<Because, Counter>::default();
    for reason in Reason::ALL {
        let because = Because { reason: reason.name() };
        dropped.get_or_create(&because).inc_by(counts.dropped(reason));
    }
    registry.register("dropped_points", "Submitted points that were refused, by reason", dropped);
}

fn register_limits(registry: &mut Registry, states: &[LimitState]) {
    let (limits, remaining) = (Family::<At, Gauge>::default(), Family::<At, Gauge>::default());
    // The first limit of an endpoint counts, so it is set last.
    for state in states.iter().rev() {
        for endpoint in &state.endpoints {
            let at = At { endpoint: endpoint.name() };
            limits.get_or_create(&at).set(state.limit.into());
            remaining.get_or_create(&at).set(state.remaining.into());
        }
    }
    registry.register("rate_limit", "Requests that an API key has in each period", limits);
    registry.register(
        "rate_limit_remaining",
        "Requests left in this period to the API key that has least left",
        remaining,
    );
}

fn register_faults(registry: &mut Registry, list: &FaultList) {
    let (hits, active) = (Family::<Named, Counter>::default(), Family::<Named, Gauge>::default());
    for state in &list.faults {
        let named = Named { fault: state.fault.name.clone() };
        hits.get_or_create(&named).inc_by(state.hits);
        active.get_or_create(&named).set(i64::from(state.active));
    }
    registry.register("fault_hits", "Requests and handshakes that a fault has hit", hits);
    registry.register("fault_active", "1 while a fault is in force", active);
}

// === impl Elapsed ===

impl Default for Elapsed {
    fn default() -> Self {
        Self(Family::new_with_constructor(|| Histogram::new(BOUNDS)))
    }
}

impl fmt::Debug for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elapsed").finish_non_exhaustive()
    }
}
