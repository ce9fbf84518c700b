//! How many calls the account still allows; pure.
//!
//! Datadog counts calls in fixed windows and tells in the headers of each answer how many are left
//! and when the window ends. Others may use the same account, so every answer is believed anew.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::datadog::{Error, Exchange, RateLimit};

/// The share of what is left that refreshes may plan with. The rest is for new metrics, for asking
/// again after an error, and for whoever else uses the account.
const PLANNED: f64 = 0.9;

/// How long calls stop after a 429 that does not say when its window ends. Datadog's shorter window
/// has this length.
const BLOCKED: Duration = Duration::from_secs(60);

/// The header says whole seconds, cut off: a window may end up to a second later than it says.
const ROUNDING: Duration = Duration::from_secs(1);

/// What is known about the budget of the endpoint that answered last.
#[derive(Debug, Clone, Default)]
pub struct Budget {
    endpoint: Option<Arc<str>>,
    reading: Option<Reading>,
    /// An answer without rate-limit headers came: there is nothing to keep to.
    unlimited: bool,
    blocked_until: Option<Instant>,
    /// There are other endpoints, which may answer when the budget of this one is used up.
    has_others: bool,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    limit: RateLimit,
    resets_at: Instant,
}

/// How many calls may begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// So many beside those under way.
    Calls(usize),
    /// None before this moment.
    NotBefore(Instant),
}

impl Budget {
    /// Of one of several endpoints, or of the only one.
    pub fn new(has_others: bool) -> Self {
        Self { has_others, ..Self::default() }
    }

    /// Takes in what an answer that came at `now` says.
    pub fn observe(&mut self, exchange: &Exchange, now: Instant) {
        if self.endpoint.as_ref() != Some(&exchange.endpoint) {
            let endpoint = Some(exchange.endpoint.clone());
            *self = Self { endpoint, ..Self::new(self.has_others) };
        }
        if let Some(limit) = exchange.rate_limit {
            let resets_at = now + limit.reset + ROUNDING;
            // Answers overtake each other: within one window the lower number is the later one.
            let limit = match self.reading {
                Some(before)
                    if before.resets_at.max(resets_at) - before.resets_at.min(resets_at)
                        < Duration::from_secs(2)
                        && before.resets_at > now =>
                {
                    RateLimit { remaining: limit.remaining.min(before.limit.remaining), ..limit }
                }
                _ => limit,
            };
            self.reading = Some(Reading { limit, resets_at });
        }
        match &exchange.result {
            Err(Error::RateLimited { reset }) => {
                self.refused(reset.or(exchange.rate_limit.map(|limit| limit.reset)), now);
            }
            Ok(_) => {
                self.unlimited = exchange.rate_limit.is_none();
                self.blocked_until = self.blocked_until.filter(|until| *until > now);
            }
            Err(_) => {}
        }
    }

    /// A call was refused at `now`; `reset` is the time until the next window, if the answer says.
    pub fn refused(&mut self, reset: Option<Duration>, now: Instant) {
        let until = now + reset.unwrap_or(BLOCKED) + ROUNDING;
        self.blocked_until = self.blocked_until.max(Some(until));
    }

    /// Takes over what another replica read, as of `at`.
    pub fn resume(&mut self, limit: RateLimit, at: Instant) {
        self.reading = Some(Reading { limit, resets_at: at + limit.reset + ROUNDING });
    }

    /// Whether no answer has said anything yet.
    pub fn is_unknown(&self) -> bool {
        self.reading.is_none() && !self.unlimited && self.blocked_until.is_none()
    }

    /// How many calls may begin at `now` while `in_flight` are under way.
    ///
    /// One at a time until the budget is known, and again when a new window begins: were it used up
    /// already, ten calls at once would be ten refusals.
    pub fn allows(&self, in_flight: usize, now: Instant) -> Allowance {
        if let Some(until) = self.blocked_until.filter(|until| *until > now) {
            return Allowance::NotBefore(until);
        }
        match self.current(now) {
            // One call finds out whether another endpoint answers.
            Some(reading) if reading.limit.remaining == 0 && self.has_others => {
                Allowance::Calls(1_usize.saturating_sub(in_flight))
            }
            Some(reading) if reading.limit.remaining == 0 => {
                Allowance::NotBefore(reading.resets_at)
            }
            Some(reading) => {
                let remaining = usize::try_from(reading.limit.remaining).unwrap_or(usize::MAX);
                Allowance::Calls(remaining.saturating_sub(in_flight))
            }
            None if self.unlimited && self.blocked_until.is_none() => Allowance::Calls(usize::MAX),
            None => Allowance::Calls(1_usize.saturating_sub(in_flight)),
        }
    }

    /// Calls per second that refreshes may make so that the running window lasts; `None` where no
    /// budget is known.
    pub fn rate(&self, now: Instant) -> Option<f64> {
        let reading = self.reading?;
        let whole = f64::from(reading.limit.limit) / reading.limit.period.as_secs_f64().max(1.0);
        let left = match self.current(now) {
            Some(reading) => {
                let left = (reading.resets_at - now).as_secs_f64();
                f64::from(reading.limit.remaining) / left.max(1.0)
            }
            None => whole,
        };
        // Much may be left shortly before the end; the next window will not be so generous.
        Some(PLANNED * left.min(whole))
    }

    /// The last reading, as of `now`, with what is left until the reset.
    pub fn reading(&self, now: Instant) -> Option<RateLimit> {
        let reading = self.reading?;
        Some(match self.current(now) {
            Some(Reading { limit, resets_at }) => RateLimit { reset: resets_at - now, ..limit },
            None => RateLimit { remaining: reading.limit.limit, ..reading.limit },
        })
    }

    /// The reading, while its window lasts.
    fn current(&self, now: Instant) -> Option<Reading> {
        self.reading.filter(|reading| reading.resets_at > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn exchange(remaining: u32, reset: u64) -> Exchange {
        Exchange {
            result: Ok(vec![]),
            endpoint: "https://api.datadoghq.com".into(),
            requests: 1,
            rate_limit: Some(RateLimit {
                limit: 1600,
                period: seconds(3600),
                remaining,
                reset: seconds(reset),
            }),
            clock_skew: None,
        }
    }

    fn refused(reset: Option<u64>) -> Exchange {
        Exchange {
            result: Err(Error::RateLimited { reset: reset.map(seconds) }),
            rate_limit: None,
            ..exchange(0, 0)
        }
    }

    fn budget(exchanges: &[Exchange], now: Instant) -> Budget {
        let mut budget = Budget::default();
        for exchange in exchanges {
            budget.observe(exchange, now);
        }
        budget
    }

    #[test]
    fn until_the_budget_is_known_one_call_goes_ahead() {
        let now = Instant::now();
        assert_eq!(Budget::default().allows(0, now), Allowance::Calls(1));
        assert_eq!(Budget::default().allows(1, now), Allowance::Calls(0));
    }

    #[test]
    fn without_headers_there_is_no_limit_to_keep() {
        let now = Instant::now();
        let budget = budget(&[Exchange { rate_limit: None, ..exchange(0, 0) }], now);
        assert_eq!(budget.allows(9, now), Allowance::Calls(usize::MAX));
        assert_eq!(budget.rate(now), None);
    }

    #[test]
    fn never_more_calls_are_under_way_than_are_left() {
        let now = Instant::now();
        let budget = budget(&[exchange(5, 100)], now);
        assert_eq!(budget.allows(2, now), Allowance::Calls(3));
        assert_eq!(budget.allows(7, now), Allowance::Calls(0));
    }

    #[test]
    fn an_empty_window_stops_calls_until_it_ends_and_then_one_goes_ahead() {
        let now = Instant::now();
        let budget = budget(&[exchange(0, 100)], now);
        assert_eq!(budget.allows(0, now), Allowance::NotBefore(now + seconds(101)));
        assert_eq!(budget.allows(0, now + seconds(101)), Allowance::Calls(1));
        assert_eq!(budget.allows(1, now + seconds(101)), Allowance::Calls(0));
    }

    #[test]
    fn with_other_endpoints_an_empty_window_lets_one_call_find_out() {
        let now = Instant::now();
        let mut budget = Budget::new(true);
        budget.observe(&exchange(0, 100), now);
        assert_eq!(budget.allows(0, now), Allowance::Calls(1));
        assert_eq!(budget.allows(1, now), Allowance::Calls(0));
        // All of them refused.
        budget.observe(&refused(Some(7)), now);
        assert_eq!(budget.allows(0, now), Allowance::NotBefore(now + seconds(8)));
    }

    #[test]
    fn a_429_stops_calls_until_its_reset_or_for_a_minute() {
        let now = Instant::now();
        let known = budget(&[refused(Some(7))], now);
        assert_eq!(known.allows(0, now), Allowance::NotBefore(now + seconds(8)));
        let unknown = budget(&[refused(None)], now);
        assert_eq!(unknown.allows(0, now), Allowance::NotBefore(now + BLOCKED + ROUNDING));
        // What was sent before the refusal and comes back after it does not lift the block.
        let mut late = budget(&[refused(Some(7))], now);
        late.observe(&exchange(3, 100), now);
        assert_eq!(late.allows(0, now), Allowance::NotBefore(now + seconds(8)));
    }

    #[test]
    fn the_rate_makes_what_is_left_last() {
        let now = Instant::now();
        let rate = |remaining, reset| budget(&[exchange(remaining, reset)], now).rate(now).unwrap();
        assert!((rate(800, 3600) - 0.9 * 800.0 / 3601.0).abs() < 1e-9);
        // Shortly before the reset, what the next window gives on average is the bound.
        assert!((rate(800, 10) - 0.9 * 1600.0 / 3600.0).abs() < 1e-9);
    }

    #[test]
    fn answers_that_overtake_each_other_do_not_give_calls_back() {
        let now = Instant::now();
        let budget = budget(&[exchange(4, 100), exchange(6, 100)], now);
        assert_eq!(budget.allows(0, now), Allowance::Calls(4));
    }

    #[test]
    fn a_new_window_and_another_endpoint_begin_anew() {
        let now = Instant::now();
        let mut budget = budget(&[exchange(4, 10)], now);
        budget.observe(&exchange(1599, 3600), now + seconds(11));
        assert_eq!(budget.allows(0, now + seconds(11)), Allowance::Calls(1599));
        let other = Exchange { endpoint: "https://api.datadoghq.eu".into(), ..refused(Some(50)) };
        budget.observe(&other, now + seconds(11));
        assert_eq!(budget.reading(now), None);
        assert_eq!(budget.allows(0, now + seconds(11)), Allowance::NotBefore(now + seconds(62)));
    }
}
