//! nginx's status page: the text of `ngx_http_stub_status_module`, and the rates between two reads.
//!
//! The format is nginx's own (<https://nginx.org/en/docs/http/ngx_http_stub_status_module.html>);
//! the rule for rates is the one of the Datadog agent's aggregator (`pkg/metrics/rate.go`).

use std::{str::FromStr, time::Duration};

#[cfg(test)]
mod tests;

/// What one status page says: three counters since nginx's start, and four gauges of now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StubStatus {
    /// Client connections open now, waiting ones included.
    pub active: u64,
    /// Connections accepted since the start.
    pub accepts: u64,
    /// Connections handled since the start; less than `accepts` only when nginx ran into a limit.
    pub handled: u64,
    /// Requests received since the start, reads of the status page included.
    pub requests: u64,
    /// Connections whose request header is being read now.
    pub reading: u64,
    /// Connections to which nginx writes a response now.
    pub writing: u64,
    /// Idle connections that wait for a request now.
    pub waiting: u64,
}

/// A line of a status page is not what nginx writes there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} of the status page should read {expected:?} (# a number) but is {found:?}; \
     does the address lead to a location with the directive stub_status?"
)]
pub struct ParseError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line's layout, `#` standing for a number.
    pub expected: &'static str,
    /// The beginning of what is there; empty where the page ends too early.
    pub found: String,
}

/// A status page and when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was read, on a monotonic clock, since any moment that the samples have in common.
    pub at: Duration,
    /// What it said.
    pub status: StubStatus,
}

/// Rates between two samples, each per second; `None` for a counter that went backwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Connections accepted per second.
    pub conn_opened: Option<f64>,
    /// Connections accepted but not handled, per second.
    pub conn_dropped: Option<f64>,
    /// Requests per second.
    pub requests: Option<f64>,
}

/// Two samples give no rate at all, because no time lies between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rate from a sample at {previous:?} to one at {current:?}: the second must be later")]
pub struct NoTimeBetween {
    /// When the first sample was read.
    pub previous: Duration,
    /// When the second sample was read.
    pub current: Duration,
}

/// The rates from one sample to a later one: `(v2 - v1) / (t2 - t1)`.
///
/// A counter that went backwards was reset by a restart of nginx. Its rate is dropped, as the agent
/// does, and each metric is judged on its own.
pub fn rates(previous: &Sample, current: &Sample) -> Result<Rates, NoTimeBetween> {
    let seconds = current
        .at
        .checked_sub(previous.at)
        .filter(|elapsed| !elapsed.is_zero())
        .ok_or(NoTimeBetween { previous: previous.at, current: current.at })?
        .as_secs_f64();
    let rate = |counter: fn(&StubStatus) -> u64| {
        let increase = counter(&current.status).checked_sub(counter(&previous.status))?;
        Some(to_f64(increase) / seconds)
    };
    Ok(Rates {
        conn_opened: rate(|status| status.accepts),
        conn_dropped: rate(StubStatus::dropped),
        requests: rate(|status| status.requests),
    })
}

// === impl StubStatus ===

impl StubStatus {
    /// Connections accepted but not handled since the start.
    pub fn dropped(&self) -> u64 {
        self.accepts.saturating_sub(self.handled)
    }
}

impl FromStr for StubStatus {
    type Err = ParseError;

    /// Reads the four lines; blanks around and between their words, and whatever follows, are
    /// ignored.
    fn from_str(page: &str) -> Result<Self, ParseError> {
        let mut lines = page.lines();
        let [active] = numbers(1, "Active connections: #", lines.next())?;
        let [] = numbers(2, "server accepts handled requests", lines.next())?;
        let [accepts, handled, requests] = numbers(3, "# # #", lines.next())?;
        let [reading, writing, idle] =
            numbers(4, "Reading: # Writing: # Waiting: #", lines.next())?;
        Ok(Self { active, accepts, handled, requests, reading, writing, waiting: idle })
    }
}

/// The `N` numbers of a line that is laid out as `expected`.
fn numbers<const N: usize>(
    line: usize,
    expected: &'static str,
    text: Option<&str>,
) -> Result<[u64; N], ParseError> {
    let text = text.unwrap_or_default();
    match_words(expected, text).ok_or_else(|| ParseError {
        line,
        expected,
        found: text.chars().take(60).collect(),
    })
}

fn match_words<const N: usize>(expected: &str, text: &str) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    let mut slots = numbers.iter_mut();
    let mut words = text.split_whitespace();
    for expected_word in expected.split_whitespace() {
        let word = words.next()?;
        if expected_word == "#" {
            *slots.next()? = parse_digits(word)?;
        } else if word != expected_word {
            return None;
        }
    }
    words.next().is_none().then_some(numbers)
}

/// `u64::from_str` alone would take a plus sign too.
fn parse_digits(word: &str) -> Option<u64> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
}

/// A count as the number that Datadog keeps.
#[expect(
    clippy::cast_precision_loss,
    reason = "metrics are doubles on the wire; above 2^53 the last digits mean nothing"
)]
pub(crate) fn to_f64(count: u64) -> f64 {
    count as f64
}
