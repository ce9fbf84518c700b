//! When to ask again for what failed; pure.

use std::time::Duration;

/// Failures from which the wait does not grow any more.
pub(super) const LONGEST: u32 = 6;

/// How long a query that Datadog refuses waits after its `failures`-th refusal in a row (from 1):
/// between `refresh × 2^(n-1)` and twice that, 60 refreshes from the sixth on. With a refresh of
/// 30 s these are the times of Datadog's agent (`split_batches_with_backoff`): 30–60 s, 60–120 s …
/// 30 min. `random` is between 0 and 1.
pub(super) fn of_query(failures: u32, refresh: Duration, random: f64) -> Duration {
    let failures = failures.max(1);
    if failures >= LONGEST {
        return refresh * 60;
    }
    let shortest = refresh * 2_u32.pow(failures - 1);
    shortest + shortest.mul_f64(random.clamp(0.0, 1.0))
}

/// How many refusals in a row there have been at least when the first and the last of them are
/// `refused_for` apart: the longest pauses of [`of_query`] between fewer would not fill that time.
pub(super) fn failures_within(refused_for: Duration, refresh: Duration) -> u32 {
    // After the n-th refusal in a row `refresh × (2^(n-1) - 1)` to twice that have passed.
    let refreshes = refused_for.as_secs_f64() / refresh.as_secs_f64().max(f64::MIN_POSITIVE);
    (1..LONGEST).find(|n| refreshes < f64::from(2_u32.pow(*n) - 1)).unwrap_or(LONGEST)
}

/// How long all calls wait after the `failures`-th call in a row (from 1) that failed for no query's
/// sake: from a thirtieth of the refresh period, doubled up to the whole, less up to a half, so that
/// replicas and clusters do not come back in step.
pub(super) fn of_outage(failures: u32, refresh: Duration, random: f64) -> Duration {
    let exponent = failures.saturating_sub(1).min(LONGEST);
    let wait = (refresh / 30 * 2_u32.pow(exponent)).min(refresh);
    wait.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFRESH: Duration = Duration::from_secs(30);

    // facts of Datadog's agent: retries 1 to 5, and 1,800 s from the sixth.
    #[test]
    fn a_refused_query_waits_as_in_datadogs_agent() {
        for (failures, from, to) in
            [(1, 30, 60), (2, 60, 120), (3, 120, 240), (4, 240, 480), (5, 480, 960)]
        {
            assert_eq!(of_query(failures, REFRESH, 0.0).as_secs(), from);
            assert_eq!(of_query(failures, REFRESH, 1.0).as_secs(), to);
        }
        assert_eq!(of_query(6, REFRESH, 0.5).as_secs(), 1800);
        assert_eq!(of_query(u32::MAX, REFRESH, 0.5).as_secs(), 1800);
    }

    #[test]
    fn how_often_a_query_was_refused_follows_from_how_long_it_has_been() {
        for random in [0.0, 0.5, 0.999] {
            let mut passed = Duration::ZERO;
            for failures in 1..=6 {
                assert_eq!(failures_within(passed, REFRESH), failures, "{random}");
                passed += of_query(failures, REFRESH, random);
            }
        }
        assert_eq!(failures_within(Duration::MAX, REFRESH), 6);
    }

    #[test]
    fn an_outage_is_probed_soon_and_then_once_a_refresh() {
        let waits: Vec<_> =
            (1..=8).map(|failures| of_outage(failures, REFRESH, 0.0).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(of_outage(u32::MAX, REFRESH, 1.0).as_secs(), 15);
    }
}
