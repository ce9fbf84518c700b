//! What a load has sent and what came back.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Requests so far. A request is offered when its time comes; it is then either sent or dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Sent to the server.
    pub sent: u64,
    /// Answered with a 2xx.
    pub succeeded: u64,
    /// Not answered in time, or with another status, or not at all.
    pub failed: u64,
    /// Offered, but not sent, because too many were unanswered.
    pub dropped: u64,
}

impl Counts {
    /// Requests whose time has come.
    pub fn offered(self) -> u64 {
        self.sent + self.dropped
    }

    /// Requests that are sent and not answered.
    pub fn in_flight(self) -> u64 {
        self.sent - self.succeeded - self.failed
    }
}

/// What a load came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// All requests.
    pub counts: Counts,
    /// The rate that was asked for, in requests per second.
    pub target_rate: f64,
    /// How long was sent.
    pub duration: Duration,
    /// Of the requests that succeeded, from their intended time; `None` when there are none.
    pub latency: Option<Latency>,
    /// The first thing that went wrong.
    pub first_error: Option<String>,
}

/// Latencies, exact to three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of the requests were as quick as this.
    pub p50: Duration,
    /// 99 of 100 requests were as quick as this.
    pub p99: Duration,
    /// The slowest request.
    pub max: Duration,
}

impl LoadReport {
    /// Requests sent per second while sending.
    pub fn achieved_rate(&self) -> f64 {
        rate(self.counts.sent, self.duration)
    }
}

/// One to three lines for people.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { sent, succeeded, failed, dropped } = self.counts;
        let seconds = self.duration.as_secs_f64();
        let (achieved, target) = (self.achieved_rate(), self.target_rate);
        write!(f, "{sent} requests in {seconds:.1}s, {achieved:.1}/s of {target}/s: ")?;
        write!(f, "{succeeded} succeeded, {failed} failed")?;
        if 0 < dropped {
            write!(f, ", {dropped} more dropped: too many were unanswered")?;
        }
        if let Some(Latency { p50, p99, max }) = self.latency {
            let [p50, p99, max] = [p50, p99, max].map(|latency| latency.as_secs_f64() * 1e3);
            write!(f, "\nlatency p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")?;
        }
        match &self.first_error {
            Some(error) => write!(f, "\nfirst error: {error}"),
            None => Ok(()),
        }
    }
}

/// The running count, shared by the sender and its requests.
#[derive(Debug)]
pub(crate) struct Record {
    target_rate: f64,
    start: Instant,
    /// A std lock: held for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    counts: Counts,
    stopped: Option<Instant>,
    /// In microseconds.
    latencies: Histogram<u64>,
    first_error: Option<String>,
}

impl Record {
    pub(crate) fn new(target_rate: f64, start: Instant) -> Record {
        let state = State {
            counts: Counts::default(),
            stopped: None,
            latencies: histogram(),
            first_error: None,
        };
        Record { target_rate, start, state: Mutex::new(state) }
    }

    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn sent(&self) {
        self.state().counts.sent += 1;
    }

    pub(crate) fn dropped(&self) {
        self.state().counts.dropped += 1;
    }

    pub(crate) fn succeeded(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let mut state = self.state();
        state.counts.succeeded += 1;
        state.latencies.saturating_record(micros);
    }

    pub(crate) fn failed(&self, problem: &str) {
        let mut state = self.state();
        state.counts.failed += 1;
        state.first_error.get_or_insert_with(|| problem.to_owned());
    }

    /// The sender itself failed, not one of its requests.
    pub(crate) fn broke_down(&self, problem: String) {
        self.state().first_error.get_or_insert(problem);
    }

    pub(crate) fn stopped_sending(&self, at: Instant) {
        self.state().stopped = Some(at);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(crate) fn report(&self) -> LoadReport {
        let state = self.state();
        let end = state.stopped.unwrap_or_else(Instant::now);
        let duration = end.saturating_duration_since(self.start);
        let latencies = &state.latencies;
        let at = |quantile| Duration::from_micros(latencies.value_at_quantile(quantile));
        LoadReport {
            counts: state.counts,
            target_rate: self.target_rate,
            duration,
            latency: (!latencies.is_empty()).then(|| Latency {
                p50: at(0.5),
                p99: at(0.99),
                max: Duration::from_micros(latencies.max()),
            }),
            first_error: state.first_error.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Three digits, up to ten minutes in microseconds; what is slower counts as ten minutes.
fn histogram() -> Histogram<u64> {
    #[expect(clippy::expect_used, reason = "the bounds are in order and 3 is a number of digits")]
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("valid bounds")
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 requests")]
fn rate(count: u64, duration: Duration) -> f64 {
    if duration.is_zero() { 0.0 } else { count as f64 / duration.as_secs_f64() }
}
