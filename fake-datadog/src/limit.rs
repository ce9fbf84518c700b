//! Rate limits in force: fixed windows, aligned to the clock, for each API key.

use std::collections::BTreeMap;

use crate::control::{Endpoint, InvalidRateLimit, RateLimit};

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

impl Limits {
    /// Puts these in the place of all others; every window begins anew.
    pub(crate) fn set(&mut self, limits: Vec<RateLimit>) -> Result<(), InvalidRateLimit> {
        limits.iter().try_for_each(RateLimit::validate)?;
        *self = Self { limits, used: BTreeMap::new() };
        Ok(())
    }

    pub(crate) fn list(&self) -> Vec<RateLimit> {
        self.limits.clone()
    }

    /// Counts a request at `now`, Unix seconds; `None` when it has no limit.
    pub(crate) fn take(&mut self, now: i64, endpoint: Endpoint, key: &str) -> Option<Standing> {
        let index = self.limits.iter().position(|it| it.endpoints.contains(&endpoint))?;
        let RateLimit { limit, period, name, .. } = &self.limits[index];
        let period = period.as_secs();
        let start = now - now.rem_euclid(period);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Span;

    fn limits() -> Limits {
        let mut limits = Limits::default();
        let query = RateLimit::new(Endpoint::Query, 2, Span::from_secs(60));
        limits.set(vec![query]).unwrap();
        limits
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
    fn each_key_has_its_own_and_other_endpoints_have_none() {
        let mut limits = limits();
        let remaining = |standing: Option<Standing>| standing.map(|it| it.remaining);
        assert_eq!(remaining(limits.take(0, Endpoint::Query, "a")), Some(1));
        assert_eq!(remaining(limits.take(0, Endpoint::Query, "b")), Some(1));
        assert_eq!(remaining(limits.take(0, Endpoint::Series, "a")), None);
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let mut limits = Limits::default();
        let mut refused = |endpoint, secs| {
            let limit = RateLimit::new(endpoint, 1, Span::from_secs(secs));
            limits.set(vec![limit]).unwrap_err().to_string()
        };
        let intake = "endpoint `series` has no rate limit; limit single endpoints that read data";
        assert_eq!(refused(Endpoint::Series, 1), intake);
        let period = "period `0s` must be a whole number of seconds, at least 1s";
        assert_eq!(refused(Endpoint::Query, 0), period);
    }
}
