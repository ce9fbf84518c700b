//! When a request that failed is sent once more; pure.

use std::time::Duration;

/// Requests of one question to one endpoint at most.
pub(super) const MOST: u32 = 3;

/// The first pause, on average, and what each further one is longer by: those of Datadog's agent
/// (the defaults of `cenkalti/backoff`).
const FIRST: Duration = Duration::from_millis(500);
const FACTOR: f64 = 1.5;
/// The share of a pause by which it may be shorter or longer, so that many clients that failed
/// together do not come back together.
const JITTER: f64 = 0.5;

/// How long to wait after `sent` requests that failed for a reason that may pass; `None` when
/// there should be no other one, because of their number or because it would come after `left`,
/// the time that there is. `random` is from 0 to 1.
pub(super) fn pause(sent: u32, left: Duration, random: f64) -> Option<Duration> {
    if sent == 0 || MOST <= sent {
        return None;
    }
    let exponent = i32::try_from(sent - 1).unwrap_or(i32::MAX);
    let jitter = 1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0);
    let pause = FIRST.mul_f64(FACTOR.powi(exponent) * jitter);
    (pause < left).then_some(pause)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLENTY: Duration = Duration::from_secs(10);

    fn millis(sent: u32, random: f64) -> Option<u128> {
        pause(sent, PLENTY, random).map(|pause| pause.as_millis())
    }

    #[test]
    fn pauses_grow_by_a_half_and_end_after_the_third_request() {
        assert_eq!(millis(1, 0.5), Some(500));
        assert_eq!(millis(2, 0.5), Some(750));
        assert_eq!(millis(3, 0.5), None);
        assert_eq!((millis(1, 0.0), millis(1, 1.0)), (Some(250), Some(750)));
    }

    #[test]
    fn no_request_is_sent_after_the_deadline() {
        assert_eq!(pause(1, Duration::from_millis(500), 0.5), None);
        assert_eq!(pause(1, Duration::ZERO, 0.0), None);
    }

    proptest! {
        #[test]
        fn property_test_a_pause_is_within_its_bounds(
            sent in 0..10u32, left in 0..20_000u64, random in 0.0..=1.0
        ) {
            let left = Duration::from_millis(left);
            if let Some(pause) = pause(sent, left, random) {
                prop_assert!(pause < left);
                prop_assert!((250..=1125).contains(&pause.as_millis()));
            }
        }
    }
}
