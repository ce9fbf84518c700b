//! Rate limits in force: fixed windows, aligned to the clock, for each API key.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::control::{Endpoint, RateLimit};

/// The limits and what has been used of them.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    limits: Vec<RateLimit>,
    /// By position of the limit and fingerprint of the key; of the current windows only.
    used: BTreeMap<(usize, String), Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    /// Unix seconds.
    start: i64,
    used: u32,
}

/// How one request stands to its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) limit: u32,
    /// Seconds.
    pub(crate) period: i64,
    pub(crate) remaining: u32,
    /// Seconds until the window ends, at least one.
    pub(crate) reset: i64,
    pub(crate) name: Option<String>,
    /// False when the request must be refused.
    pub(crate) within: bool,
}

/// How a limit stands for the key that has used most of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LimitState {
    /// Datadog's name of it, else its endpoints.
    pub(crate) name: String,
    #[serde(skip)]
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) limit: u32,
    pub(crate) remaining: u32,
}

impl Limits {
    /// These limits, which have been validated, with nothing used yet.
    pub(crate) fn new(limits: Vec<RateLimit>) -> Self {
        Self { limits, used: BTreeMap::new() }
    }

    pub(crate) fn list(&self) -> Vec<RateLimit> {
        self.limits.clone()
    }

    /// Counts a request at `now`, Unix seconds; `None` when it has no limit.
    pub(crate) fn take(&mut self, now: i64, endpoint: Endpoint, key: &str) -> Option<Standing> {
        let index = self.limits.iter().position(|it| it.endpoints.contains(&endpoint))?;
        let RateLimit { limit, period, name, .. } = &self.limits[index];
        let period = period.as_secs();
        let start = window_start(now, period);
        let fresh = Window { start, used: 0 };
        let window = self.used.entry((index, key.to_owned())).or_insert(fresh);
        if window.start != start {
            *window = fresh;
        }
        let within = window.used < *limit;
        window.used += u32::from(within);
        Some(Standing {
            limit: *limit,
            period,
            remaining: limit - window.used,
            reset: start + period - now,
            name: name.clone(),
            within,
        })
    }

    /// How every limit stands at `now`, Unix seconds; nothing is counted.
    pub(crate) fn states(&self, now: i64) -> Vec<LimitState> {
        let state = |(index, limit): (usize, &RateLimit)| {
            let start = window_start(now, limit.period.as_secs());
            let windows = self.used.iter().filter(|((of, _), _)| *of == index);
            let current = windows.filter(|(_, window)| window.start == start);
            let used = current.map(|(_, window)| window.used).max().unwrap_or_default();
            let endpoints = limit.endpoints.iter().map(|it| it.name());
            LimitState {
                name: limit.name.clone().unwrap_or_else(|| endpoints.collect::<Vec<_>>().join("+")),
                endpoints: limit.endpoints.clone(),
                limit: limit.limit,
                remaining: limit.limit - used,
            }
        };
        self.limits.iter().enumerate().map(state).collect()
    }
}

/// The first second of the window that `now` is in.
fn window_start(now: i64, period: i64) -> i64 {
    now - now.rem_euclid(period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Span;

    fn limits() -> Limits {
        Limits::new(vec![RateLimit::new(Endpoint::Query, 2, Span::from_secs(60))])
    }

    #[test]
    fn windows_are_aligned_to_the_clock_and_begin_full() {
        let mut limits = limits();
        let mut take = |now| {
            let standing = limits.take(now, Endpoint::Query, "key").unwrap();
            (standing.within, standing.remaining, standing.reset)
        };
        assert_eq!(take(110), (true, 1, 10));
        assert_eq!(take(119), (true, 0, 1));
        assert_eq!(take(119), (false, 0, 1));
        assert_eq!(take(120), (true, 1, 60));
    }

    #[test]
    fn a_clock_that_goes_back_finds_a_whole_window_and_a_reset_within_it() {
        let mut limits = limits();
        let mut take = |now| {
            let standing = limits.take(now, Endpoint::Query, "key").unwrap();
            (standing.within, standing.remaining, standing.reset)
        };
        assert_eq!(take(120), (true, 1, 60));
        assert_eq!(take(119), (true, 1, 1));
        assert_eq!(take(60), (true, 0, 60));
        assert_eq!(take(60), (false, 0, 60));
        assert_eq!(take(-1), (true, 1, 1));
    }

    #[test]
    fn a_limit_stands_as_for_the_key_that_used_most_of_it() {
        let mut limits = limits();
        let remaining = |limits: &Limits, now| limits.states(now)[0].remaining;
        assert_eq!(remaining(&limits, 0), 2);
        for key in ["a", "b", "b"] {
            limits.take(59, Endpoint::Query, key);
        }
        assert_eq!(remaining(&limits, 59), 0);
        assert_eq!(remaining(&limits, 60), 2);
        assert_eq!(limits.states(0)[0].name, "query");
    }

    #[test]
    fn each_key_has_its_own_and_other_endpoints_have_none() {
        let mut limits = limits();
        let remaining = |standing: Option<Standing>| standing.map(|it| it.remaining);
        assert_eq!(remaining(limits.take(0, Endpoint::Query, "a")), Some(1));
        assert_eq!(remaining(limits.take(0, Endpoint::Query, "b")), Some(1));
        assert_eq!(remaining(limits.take(0, Endpoint::Series, "a")), None);
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let refused = |endpoint, secs| {
            RateLimit::new(endpoint, 1, Span::from_secs(secs)).validate().unwrap_err().to_string()
        };
        let intake = "endpoint `series` has no rate limit; limit single endpoints that read data";
        assert_eq!(refused(Endpoint::Series, 1), intake);
        let period = "period `0s` must be a whole number of seconds, at least 1s";
        assert_eq!(refused(Endpoint::Query, 0), period);
        let mut nothing = RateLimit::new(Endpoint::Query, 1, Span::from_secs(1));
        nothing.endpoints.clear();
        let endpoints = "endpoints must name at least one, such as `query`";
        assert_eq!(nothing.validate().unwrap_err().to_string(), endpoints);
    }
}
