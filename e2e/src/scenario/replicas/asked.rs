//! Who asked Datadog, and whether it was their turn.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::scenario::replicas::{REFRESH, lease::Tenure};

/// Calls that are shown when they should not have been.
const SHOWN: usize = 3;

/// A call to Datadog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// When it came in.
    pub(super) at: Timestamp,
    /// The replica.
    pub(super) by: String,
    /// Status of its answer.
    pub(super) status: u16,
}

/// Whether each call was made by the replica that held the Lease at that moment.
pub(super) fn one_at_a_time(calls: &[Call], tenures: &[Tenure]) -> Result<String, String> {
    let astray: Vec<&Call> = calls
        .iter()
        .filter(|call| holder(tenures, call.at).is_none_or(|holder| holder != call.by))
        .collect();
    match astray.as_slice() {
        [] if calls.is_empty() => Err("nobody asked".to_owned()),
        [] => Ok(format!("{}, each by who held the Lease", by_replica(calls))),
        astray => {
            let shown = astray.iter().take(SHOWN).map(|call| {
                let holder = holder(tenures, call.at).filter(|holder| !holder.is_empty());
                format!(
                    "{} at {} ({} held the Lease)",
                    call.by,
                    call.at,
                    holder.unwrap_or("nobody")
                )
            });
            let shown = shown.collect::<Vec<_>>().join("; ");
            Err(format!("{} of {}: {shown}", astray.len(), by_replica(calls)))
        }
    }
}

fn holder(tenures: &[Tenure], at: Timestamp) -> Option<&str> {
    tenures.iter().rfind(|tenure| tenure.since <= at).map(|tenure| tenure.holder.as_str())
}

/// Whether there are no more calls than one replica makes in this time, with `more` beside them.
pub(super) fn as_by_one(calls: &[Call], time: Duration, more: usize) -> Result<String, String> {
    let most = one_makes(time) + more;
    let text = format!("{} in {:.1} s, {most} at most", by_replica(calls), time.as_secs_f64());
    if calls.len() <= most { Ok(text) } else { Err(text) }
}

/// How many calls one replica makes in this time: one a period, and one for each of its ends.
pub(super) fn one_makes(time: Duration) -> usize {
    usize::try_from(time.as_millis() / REFRESH.as_millis()).unwrap_or(usize::MAX).saturating_add(2)
}

/// Such as `12 calls: 9 by a, 3 by b`.
pub(super) fn by_replica(calls: &[Call]) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    for call in calls {
        *counts.entry(&call.by).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(by, count)| format!("{count} by {by}")).collect();
    format!("{} calls: {}", calls.len(), counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn call(by: &str, second: i64) -> Call {
        Call { at: at(second), by: by.to_owned(), status: 200 }
    }

    fn tenure(holder: &str, second: i64) -> Tenure {
        Tenure { holder: holder.to_owned(), since: at(second) }
    }

    #[test]
    fn calls_of_the_holder_are_fine_and_those_of_its_predecessor_are_not() {
        let tenures = [tenure("a", 0), tenure("", 4), tenure("b", 5)];
        let good = [call("a", 1), call("a", 3), call("b", 5), call("b", 6)];
        let text = "4 calls: 2 by a, 2 by b, each by who held the Lease";
        assert_eq!(one_at_a_time(&good, &tenures), Ok(text.to_owned()));
        let resumed = [call("a", 1), call("b", 5), call("a", 6)];
        let error = one_at_a_time(&resumed, &tenures).unwrap_err();
        assert!(error.starts_with("1 of 3 calls: 2 by a, 1 by b: a at "), "{error}");
        assert!(error.ends_with("(b held the Lease)"), "{error}");
        assert!(one_at_a_time(&[call("a", 4)], &tenures).unwrap_err().contains("nobody held"));
    }

    #[test]
    fn without_a_lease_whoever_asks_asks_too_much() {
        let three = [call("a", 1), call("b", 1), call("c", 1)];
        let error = one_at_a_time(&three, &[]).unwrap_err();
        assert!(error.starts_with("3 of 3 calls: 1 by a, 1 by b, 1 by c"), "{error}");
        assert!(one_at_a_time(&[], &[tenure("a", 0)]).is_err());
    }

    #[test]
    fn two_that_ask_make_too_many_calls() {
        let time = Duration::from_secs(10);
        let both: Vec<Call> =
            (0..10).flat_map(|second| [call("a", second), call("b", second)]).collect();
        assert!(as_by_one(&both[..12], time, 0).is_ok());
        assert!(as_by_one(&both, time, 0).is_err());
    }
}
