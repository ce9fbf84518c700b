//! How times, values and replicas are written, the same in every report.

use std::time::Duration;

use crate::outcome::{Phase, PhaseEnd};
use crate::timeline::Observation;

/// What stands for something that was never observed.
const UNKNOWN: &str = "-";

/// `4.1s`
pub(crate) fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// At most two decimals: `25.3`, `0`.
pub(crate) fn value(value: Option<f64>) -> String {
    let Some(value) = value else { return UNKNOWN.to_owned() };
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of replicas.
pub(crate) fn replicas(count: Option<i32>) -> String {
    count.map_or_else(|| UNKNOWN.to_owned(), |count| count.to_string())
}

/// `value 25.3 → desired 3 → ready 1`
pub(crate) fn state(seen: &Observation) -> String {
    let [desired, ready] = [seen.desired, seen.ready].map(replicas);
    format!("value {} → desired {desired} → ready {ready}", value(seen.value))
}

/// How long a phase took, and how it ended if not well: `4.1s`, `failed after 4.1s`.
pub(crate) fn took(phase: &Phase) -> String {
    let took = phase.took().map(seconds).unwrap_or_default();
    match phase.end {
        None => "not ended".to_owned(),
        Some((_, PhaseEnd::Done)) => took,
        Some((_, PhaseEnd::Failed)) => format!("failed after {took}"),
        Some((_, PhaseEnd::Stopped)) => format!("stopped after {took}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{seconds, state, value};
    use crate::timeline::Observation;
    use std::time::Duration;

    #[test]
    fn numbers_are_short() {
        assert_eq!(seconds(Duration::from_millis(4_140)), "4.1s");
        for (number, expected) in [(25.0, "25"), (25.3, "25.3"), (8.336, "8.34"), (0.0, "0")] {
            assert_eq!(value(Some(number)), expected);
        }
        assert_eq!(value(Some(1_200.0)), "1200");
    }

    #[test]
    fn what_was_never_observed_is_a_dash() {
        let seen = Observation { desired: Some(1), ..Observation::default() };
        assert_eq!(state(&seen), "value - → desired 1 → ready -");
    }
}
