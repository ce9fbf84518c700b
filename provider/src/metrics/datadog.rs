//! What the leader asks of Datadog, and what is wanted of it, under the names of Datadog's agent
//! where it has them, and with its label `join_leader`.
//!
//! Written down at each scrape from the snapshot of that moment: nothing is kept for each metric but
//! a count, and a follower tells nothing of it.

use std::{
    fmt,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{TypedMetric, counter::Counter, family::Family, histogram::Histogram},
};
use tokio::sync::watch;

use crate::{
    datadog::{self, Exchange, RateLimit},
    lead::{Leadership, Role},
    metrics::{
        datadog::{lowest::Lowest, updates::Updates},
        told::Told,
    },
    query::Ask,
    store::{Asking, Snapshot},
    write,
};

mod detail;
mod lowest;
mod updates;

pub use self::detail::SHOWN;

/// On what only the leader tells.
pub(super) const JOIN_LEADER: (&str, &str) = ("join_leader", "true");
/// The endpoint whose budget it is.
const ENDPOINT: (&str, &str) = ("endpoint", "/api/v1/query");

/// The causes of trouble that is no query's, with the reasons of their Events.
const TROUBLES: [(&str, &str); 3] = [
    ("keys_rejected", "KeysRejected"),
    ("budget_exhausted", "BudgetExhausted"),
    ("datadog_unavailable", "DatadogUnavailable"),
];

/// The metrics of the engine.
#[derive(Debug)]
pub(super) struct Datadog {
    requests: Family<Outcome, Counter>,
    http_requests: Counter,
    elapsed: Histogram,
    // Std locks: held for a moment, never across an await.
    updates: Mutex<Updates>,
    lowest: Mutex<Lowest>,
    scraped: Mutex<Option<(Snapshot, Timestamp)>>,
    leadership: OnceLock<watch::Receiver<Leadership>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    status: &'static str,
    join_leader: &'static str,
}

/// Those of Datadog's agent for a round of its retriever; here, of one question.
const ELAPSED: [f64; 9] = [0.5, 1.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

impl Default for Datadog {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            http_requests: Counter::default(),
            elapsed: Histogram::new(ELAPSED),
            updates: Mutex::default(),
            lowest: Mutex::default(),
            scraped: Mutex::default(),
            leadership: OnceLock::new(),
        }
    }
}

impl Datadog {
    /// Notes that one question took `took` and brought `exchange`.
    pub(super) fn request<'a>(
        &self,
        exchange: &Exchange,
        asks: impl Iterator<Item = &'a Ask>,
        took: Duration,
        now: Timestamp,
    ) {
        let status = exchange.result.as_ref().err().map_or("success", datadog::Error::metric_label);
        self.requests.get_or_create(&Outcome { status, join_leader: JOIN_LEADER.1 }).inc();
        self.http_requests.inc_by(exchange.requests.into());
        self.elapsed.observe(took.as_secs_f64());
        if exchange.result.is_ok() {
            self.updates.lock().unwrap_or_else(PoisonError::into_inner).answered(asks);
        }
        if let Some(limit) = exchange.rate_limit {
            let mut lowest = self.lowest.lock().unwrap_or_else(PoisonError::into_inner);
            lowest.observe(limit.remaining, now);
        }
    }

    /// From now on, only while `leadership` says that we lead.
    pub(super) fn follow(&self, leadership: watch::Receiver<Leadership>) {
        // Who sets it twice is a bug that costs nothing.
        _ = self.leadership.set(leadership);
    }

    /// What the next scrape describes.
    pub(super) fn set(&self, snapshot: &Snapshot, now: Timestamp) {
        let mut scraped = self.scraped.lock().unwrap_or_else(PoisonError::into_inner);
        *scraped = Some((snapshot.clone(), now));
    }

    fn leads(&self) -> bool {
        self.leadership.get().is_none_or(|it| it.borrow().role == Role::Leader)
    }
}

impl Collector for Datadog {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let scraped = self.scraped.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut told = Told(encoder);
        if let Some((snapshot, now)) = &scraped {
            replica(&mut told, snapshot, *now)?;
        }
        if !self.leads() {
            return Ok(());
        }
        self.questions(&mut told)?;
        let Some((snapshot, now)) = scraped else { return Ok(()) };
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        wanted(&mut told, &snapshot, now)?;
        detail::encode(&mut told, &snapshot, &updates, now)?;
        drop(updates);
        self.asking(&mut told, &snapshot.asking, now)
    }
}

fn valid(snapshot: &Snapshot, now: Timestamp) -> [(&'static str, usize); 2] {
    let valid = snapshot.iter().filter(|(_, _, entry)| entry.fresh(now).is_some()).count();
    [("true", valid), ("false", snapshot.len() - valid)]
}

/// What every replica tells: what it would answer itself.
fn replica(told: &mut Told<'_>, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    told.gauge(
        "external_metrics_replica",
        "Wanted external metrics as this replica knows them, by whether it has a sample fresh enough to serve",
        valid(snapshot, now).map(|(valid, count)| ([("valid", valid)], number(count))),
    )
}

fn wanted(told: &mut Told<'_>, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    told.gauge(
        "external_metrics",
        "Wanted external metrics, by whether there is a sample fresh enough to serve",
        valid(snapshot, now).map(|(it, count)| ([("valid", it), JOIN_LEADER], number(count))),
    )?;
    let ages = snapshot.iter().filter_map(|(_, _, entry)| entry.sample);
    let oldest = ages.map(|sample| sample.age(now)).max().unwrap_or_default();
    told.one(
        "external_metrics_oldest_sample_seconds",
        "Age of the oldest of the last samples of all wanted metrics",
        oldest.as_secs_f64(),
    )
}

impl Datadog {
    fn questions(&self, told: &mut Told<'_>) -> fmt::Result {
        // A family without a member has no line.
        drop(
            self.requests.get_or_create(&Outcome { status: "success", join_leader: JOIN_LEADER.1 }),
        );
        let questions = "Questions to Datadog's query API by outcome";
        told.metric("datadog_requests", questions, self.requests.metric_type(), &self.requests)?;
        let http = "HTTP requests that those took, retries and other endpoints included";
        let type_ = Counter::<u64>::TYPE;
        told.metric("datadog_http_requests", http, type_, &self.http_requests)?;
        let elapsed = "Time that one question to Datadog took, with its retries";
        told.metric("external_metrics_retriever_elapsed", elapsed, Histogram::TYPE, &self.elapsed)
    }

    fn asking(&self, told: &mut Told<'_>, asking: &Asking, now: Timestamp) -> fmt::Result {
        let labels = [ENDPOINT, JOIN_LEADER];
        if let Some(RateLimit { limit, period, remaining, reset }) = asking.budget {
            for (name, help, value) in [
                ("limit", "Calls that Datadog allows in a period", limit.into()),
                ("period", "Length of that period in seconds", period.as_secs_f64()),
                ("remaining", "Calls left in it", remaining.into()),
                ("reset", "Seconds until the next one", reset.as_secs_f64()),
            ] {
                told.gauge(&format!("rate_limit_queries_{name}"), help, [(labels, value)])?;
            }
        }
        let memory = asking.period.saturating_mul(2);
        let lowest = self.lowest.lock().unwrap_or_else(PoisonError::into_inner).of(memory, now);
        told.gauge(
            "rate_limit_queries_remaining_min",
            "Fewest calls left that an answer of the last two refresh periods told",
            lowest.map(|lowest| (labels, lowest.into())),
        )?;
        told.gauge(
            "external_metrics_trouble",
            "1 for the cause that no query gets an answer now, as an Event would name it",
            TROUBLES.map(|(cause, word)| {
                let is_it = asking.trouble.as_deref().is_some_and(|it| write::cause(it) == word);
                ([("cause", cause), JOIN_LEADER], f64::from(u8::from(is_it)))
            }),
        )?;
        let left_out = asking.shortage.as_ref().map_or(0, |it| it.queries - it.fitting);
        for (name, help, value) in [
            (
                "external_metrics_refresh_period_seconds",
                "Time between two calls for a metric, stretched where the budget is short",
                asking.period.as_secs_f64(),
            ),
            (
                "external_metrics_calls_per_hour",
                "Calls to Datadog that the refreshes make in an hour at that period",
                asking.calls_per_hour,
            ),
            (
                "external_metrics_left_out",
                "Queries that are not asked because the budget is too small",
                number(left_out),
            ),
            (
                "external_metrics_refused",
                "Queries that Datadog refuses, which are asked alone and rarely",
                number(asking.refused),
            ),
            (
                "datadog_clock_skew_seconds",
                "Our clock minus Datadog's, exact to a second",
                asking.clock_skew.map_or(0.0, |skew| skew.as_secs_f64()),
            ),
        ] {
            told.one(name, help, value)?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
