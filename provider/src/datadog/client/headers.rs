//! What the headers of an answer say; pure.

use std::{str::FromStr, time::Duration};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::datadog::RateLimit;

/// No period of Datadog's is longer; a header that says so must not stop us for good.
const LONGEST_RESET: Duration = Duration::from_secs(24 * 3600);

/// The longest exchange whose `Date` says something: half of it is the error.
const LONGEST_EXCHANGE: SignedDuration = SignedDuration::from_secs(2);

/// `X-RateLimit-*` (<https://docs.datadoghq.com/api/latest/rate-limits/>); `None` unless all four
/// are there and make sense.
pub(super) fn rate_limit(headers: &HeaderMap) -> Option<RateLimit> {
    let remaining = number(headers, "x-ratelimit-remaining")?;
    let period: u32 = number(headers, "x-ratelimit-period")?;
    (period != 0).then_some(RateLimit {
        limit: number(headers, "x-ratelimit-limit")?,
        period: Duration::from_secs(period.into()),
        remaining,
        reset: rate_limit_reset(headers)?,
    })
}

/// When to come back after a 429 that was received at `now`: `X-RateLimit-Reset`, else
/// `Retry-After` in either of its forms.
pub(super) fn reset(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let retry_after = || {
        let seconds = number(headers, RETRY_AFTER.as_str()).map(Duration::from_secs);
        let at = || Duration::try_from(now.until(date(headers, RETRY_AFTER.as_str())?).ok()?).ok();
        seconds.or_else(at).map(|reset| reset.min(LONGEST_RESET))
    };
    rate_limit_reset(headers).or_else(retry_after)
}

/// Our clock minus the server's, from `Date`, which has whole seconds: rounded down to seconds, so
/// that clocks that agree differ by 0. `None` without a `Date`, and when the exchange took so long
/// that nobody knows when in it the header was written.
pub(super) fn clock_skew(
    headers: &HeaderMap,
    sent: Timestamp,
    received: Timestamp,
) -> Option<SignedDuration> {
    let took = received.duration_since(sent);
    if took.is_negative() || LONGEST_EXCHANGE < took {
        return None;
    }
    let middle = sent.checked_add(took / 2).ok()?;
    let skew = middle.duration_since(date(headers, DATE.as_str())?);
    let down = i64::from(skew.subsec_nanos() < 0);
    Some(SignedDuration::from_secs(skew.as_secs() - down))
}

fn rate_limit_reset(headers: &HeaderMap) -> Option<Duration> {
    let seconds = number(headers, "x-ratelimit-reset")?;
    Some(Duration::from_secs(seconds).min(LONGEST_RESET))
}

fn number<T: FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn date(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(headers.get(name)?.to_str().ok()?.trim()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        lines.iter().map(header).collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    const NOW: &str = "2026-11-25T04:00:00Z";

    // Datadog's agent's "UpdateRateLimiting nominal" (facts/datadog.md §7.1, "Processor").
    #[test]
    fn all_four_headers_make_a_limit() {
        let limit = rate_limit(&headers(&[
            ("X-RateLimit-Limit", "12"),
            ("X-RateLimit-Period", "10"),
            ("X-RateLimit-Remaining", "200"),
            ("X-RateLimit-Reset", "30"),
        ]));
        let expected = RateLimit {
            limit: 12,
            period: Duration::from_secs(10),
            remaining: 200,
            reset: Duration::from_secs(30),
        };
        assert_eq!(limit, Some(expected));
    }

    // Its "UpdateRateLimiting missing header", where a missing one became an error about numbers
    // (DataDog/datadog-agent#8941).
    #[test]
    fn a_missing_or_odd_header_makes_none() {
        let names = ["limit", "period", "remaining", "reset"];
        for odd in names {
            for value in [None, Some(""), Some("-1"), Some("1.5"), Some("99999999999999999999")] {
                let lines: Vec<_> = names
                    .iter()
                    .filter_map(|name| {
                        let value = if *name == odd { value } else { Some("60") };
                        Some((format!("x-ratelimit-{name}"), value?))
                    })
                    .collect();
                let lines: Vec<_> =
                    lines.iter().map(|(name, value)| (name.as_str(), *value)).collect();
                assert_eq!(rate_limit(&headers(&lines)), None, "{odd} {value:?}");
            }
        }
        let zero = [("limit", "1"), ("period", "0"), ("remaining", "1"), ("reset", "1")]
            .map(|(name, value)| (format!("x-ratelimit-{name}"), value));
        let zero = zero.each_ref().map(|(name, value)| (name.as_str(), *value));
        assert_eq!(rate_limit(&headers(&zero)), None);
    }

    #[test]
    fn a_reset_comes_from_the_limit_else_from_retry_after() {
        let check = |lines: &[(&str, &str)], seconds: Option<u64>| {
            assert_eq!(
                reset(&headers(lines), at(NOW)),
                seconds.map(Duration::from_secs),
                "{lines:?}"
            );
        };
        check(&[("x-ratelimit-reset", "7"), ("retry-after", "60")], Some(7));
        check(&[("x-ratelimit-reset", "soon"), ("retry-after", "60")], Some(60));
        check(&[("retry-after", "Wed, 25 Nov 2026 04:00:30 GMT")], Some(30));
        check(&[("retry-after", "Wed, 25 Nov 2026 03:00:30 GMT")], None);
        check(&[("retry-after", "later")], None);
        check(&[], None);
        check(&[("x-ratelimit-reset", "18446744073709551615")], Some(24 * 3600));
        check(&[("retry-after", "18446744073709551615")], Some(24 * 3600));
    }

    #[test]
    fn the_skew_is_ours_minus_theirs_in_whole_seconds() {
        let skew = |date: &str, sent: &str, received: &str| {
            let skew = clock_skew(&headers(&[("date", date)]), at(sent), at(received));
            skew.map(|skew| skew.as_secs())
        };
        let date = "Wed, 25 Nov 2026 04:00:00 GMT";
        assert_eq!(skew(date, "2026-11-25T04:00:00Z", "2026-11-25T04:00:01.9Z"), Some(0));
        assert_eq!(skew(date, "2026-11-25T04:00:30.2Z", "2026-11-25T04:00:30.4Z"), Some(30));
        assert_eq!(skew(date, "2026-11-25T03:59:58.2Z", "2026-11-25T03:59:58.4Z"), Some(-2));
        assert_eq!(skew(date, "2026-11-25T04:00:00Z", "2026-11-25T04:00:03Z"), None, "slow");
        assert_eq!(skew(date, "2026-11-25T04:00:03Z", "2026-11-25T04:00:00Z"), None, "clock set");
        assert_eq!(skew("yesterday", NOW, NOW), None);
        assert_eq!(clock_skew(&headers(&[]), at(NOW), at(NOW)), None);
    }

    proptest! {
        #[test]
        fn property_test_no_header_makes_it_panic(value in "[ -~]{0,40}") {
            let names = ["date", "retry-after", "x-ratelimit-reset", "x-ratelimit-period"];
            let headers = headers(&names.map(|name| (name, value.as_str())));
            rate_limit(&headers);
            reset(&headers, at(NOW));
            clock_skew(&headers, at(NOW), at(NOW));
        }
    }
}
