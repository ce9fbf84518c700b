//! What all faults together do to one request.

use std::time::Duration;

use crate::{
    control::{Effect, Latency, Quantile, Skew, StatusEffect},
    fault::{body::BodyEffects, draw::Draws},
};

/// `ln(p99 / p50)` of a log-normal distribution is this many of its deviations.
const P99_DEVIATIONS: f64 = 2.326_347_874;

/// In Datadog's words, as users report them (`DataDog/datadog-agent` issues 5282, 10781).
const QUERY_TIMED_OUT: &str = "Query timed out";

/// What all faults together do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effects {
    /// Names of the faults that these come from.
    pub(crate) names: Vec<String>,
    /// Time to wait before anything else.
    pub(crate) delay: Duration,
    /// Close the connection with a reset in place of an answer.
    pub(crate) reset: bool,
    /// Answer this in place of the real answer.
    pub(crate) status: Option<StatusEffect>,
    /// Refuse the keys.
    pub(crate) revoked: bool,
    /// Answer a query error; an empty text stands for the usual one.
    pub(crate) query_error: Option<String>,
    /// Answer no series.
    pub(crate) empty: bool,
    /// Move all points this many seconds into the past; into the future when negative.
    pub(crate) stale_by: i64,
    /// What Datadog's clock is ahead of ours, in seconds; behind when negative.
    pub(crate) clock_ahead: i64,
    /// What happens to the body of the answer.
    pub(crate) body: BodyEffects,
}

impl Effects {
    pub(crate) fn add(&mut self, effect: &Effect, draws: &mut Draws) {
        match effect {
            Effect::Status(status) => {
                self.status.get_or_insert_with(|| status.clone());
            }
            Effect::Delay(delay) => self.wait(delay.as_duration()),
            Effect::Latency(latency) => self.wait(latency.draw(draws)),
            Effect::SlowBody(speed) => {
                self.body.speed.get_or_insert(*speed);
            }
            Effect::TruncatedBody(bytes) => {
                self.body.truncated_to.get_or_insert(*bytes);
            }
            Effect::MalformedJson => self.body.malformed = true,
            Effect::ContentType(content_type) => {
                self.body.content_type.get_or_insert_with(|| content_type.clone());
            }
            Effect::NanPoints(which) => self.body.points.push((*which, "NaN")),
            Effect::NullPoints(which) => self.body.points.push((*which, "null")),
            Effect::ConnectionReset => self.reset = true,
            // Comes before there is a request.
            Effect::TlsFailure(_) => {}
            Effect::KeyRevoked(_) => self.revoked = true,
            Effect::QueryError(message) => {
                self.query_error.get_or_insert_with(|| message.clone());
            }
            Effect::QueryTimeout(after) => {
                self.wait(after.as_duration());
                self.query_error.get_or_insert_with(|| QUERY_TIMED_OUT.to_owned());
            }
            Effect::Empty => self.empty = true,
            Effect::Stale(shift) => self.stale_by = self.stale_by.saturating_add(shift.as_secs()),
            Effect::ClockSkew(skew) => {
                let ahead = match skew {
                    Skew::Ahead(span) => span.as_secs(),
                    Skew::Behind(span) => -span.as_secs(),
                };
                self.clock_ahead = self.clock_ahead.saturating_add(ahead);
                self.stale_by = self.stale_by.saturating_sub(ahead);
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        self.delay = self.delay.saturating_add(time);
    }
}

impl Latency {
    /// A time out of the distribution.
    fn draw(&self, draws: &mut Draws) -> Duration {
        match self {
            Self::Jitter { base, jitter } => {
                base.as_duration() + jitter.as_duration().mul_f64(draws.next())
            }
            Self::Lognormal { p50, p99 } => {
                let (p50, p99) = (p50.as_duration().as_secs_f64(), p99.as_duration().as_secs_f64());
                let deviation = (p99 / p50).ln() / P99_DEVIATIONS;
                let seconds = p50 * (deviation * draws.next_normal()).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
            Self::Quantiles(quantiles) => at_share(quantiles, draws.next()),
        }
    }
}

/// The latency that `share` of the requests do not exceed.
fn at_share(quantiles: &[Quantile], share: f64) -> Duration {
    let above = quantiles.partition_point(|it| it.share <= share);
    let low = quantiles.get(above.wrapping_sub(1));
    match (low, quantiles.get(above)) {
        (Some(low), Some(high)) => {
            let part = (share - low.share) / (high.share - low.share);
            let rise = high.latency.as_duration().saturating_sub(low.latency.as_duration());
            low.latency.as_duration() + rise.mul_f64(part)
        }
        (Some(only), None) | (None, Some(only)) => only.latency.as_duration(),
        (None, None) => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Span;

    fn millis(millis: u64) -> Span {
        Duration::from_millis(millis).into()
    }

    /// The drawn times in order.
    fn drawn(latency: &Latency) -> Vec<Duration> {
        let mut draws = Draws::new(7, "latency");
        let mut times: Vec<_> = (0..1000).map(|_| latency.draw(&mut draws)).collect();
        times.sort();
        times
    }

    #[test]
    fn jitter_stays_between_its_bounds() {
        let times = drawn(&Latency::Jitter { base: millis(100), jitter: millis(50) });
        assert!(Duration::from_millis(100) <= times[0] && times[999] < Duration::from_millis(150));
        assert!(times[0] < times[999]);
    }

    #[test]
    fn a_lognormal_latency_meets_its_quantiles() {
        let times = drawn(&Latency::Lognormal { p50: millis(100), p99: millis(1000) });
        let (p50, p99) = (times[500].as_secs_f64(), times[990].as_secs_f64());
        assert!((0.08..0.12).contains(&p50) && (0.7..1.4).contains(&p99), "{p50} {p99}");
    }

    #[test]
    fn quantiles_are_joined_by_straight_lines() {
        let quantile = |share, latency| Quantile { share, latency: millis(latency) };
        let quantiles = [quantile(0.5, 10), quantile(0.9, 50), quantile(0.9, 70)];
        let check = |share, expected| {
            assert_eq!(at_share(&quantiles, share), Duration::from_millis(expected), "{share}");
        };
        check(0.0, 10);
        check(0.5, 10);
        check(0.75, 35);
        check(0.9, 70);
        check(0.99, 70);
    }
}
