//! Which point of a series is the metric's value, and whether it is fresh; pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

/// One point of a series as Datadog answers it: time in Unix milliseconds, and a value or none.
pub type Point = (f64, Option<f64>);

/// A value with the time at which it was true.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// The value; finite.
    pub value: f64,
    /// The point's own time: the start of its bucket.
    pub at: Timestamp,
}

/// Why a series gives no sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum NoSample {
    /// The series has points, all without a value.
    #[error("all {points} points are null")]
    AllNull {
        /// Number of points in the series; may be 0.
        points: usize,
    },
    /// The time or the value of the point is no usable number.
    #[error("point ({time}, {value}) is not a finite value at a valid time")]
    Unusable {
        /// Milliseconds as answered.
        #[serde(deserialize_with = "or_nan")]
        time: f64,
        /// The value as answered.
        #[serde(deserialize_with = "or_nan")]
        value: f64,
    },
}

/// JSON has `null` for what is no finite number.
fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|value| value.unwrap_or(f64::NAN))
}

/// The point to serve, of points sorted from old to new: the second newest that has a value, or
/// the only one.
///
/// The newest bucket can still move because of late points. The rule is that of Datadog's Cluster
/// Agent (`pkg/util/kubernetes/autoscalers/datadogexternal.go`).
pub fn choose(points: &[Point]) -> Result<Sample, NoSample> {
    let mut newest =
        points.iter().rev().filter_map(|(time, value)| value.map(|value| (*time, value)));
    let first = newest.next().ok_or(NoSample::AllNull { points: points.len() })?;
    let (time, value) = newest.next().unwrap_or(first);
    let unusable = || NoSample::Unusable { time, value };
    if !value.is_finite() || !time.is_finite() {
        return Err(unusable());
    }
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and then is no valid time")]
    let at = Timestamp::from_millisecond(time as i64).map_err(|_| unusable())?;
    Ok(Sample { value, at })
}

/// The age above which a sample must not be served: `max_age`, but at least three buckets, since
/// the second newest bucket is one to two buckets old when it can first be read.
pub fn age_limit(max_age: Duration, rollup: Duration) -> Duration {
    max_age.max(rollup * 3)
}

impl Sample {
    /// How old the sample is at `now`; zero where its clock is ahead of ours.
    pub fn age(&self, now: Timestamp) -> Duration {
        Duration::try_from(now.duration_since(self.at).max(SignedDuration::ZERO))
            .unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(points: &[Point], expected: (f64, i64)) {
        let sample = choose(points).unwrap();
        assert!((sample.value - expected.0).abs() < 1e-9, "{sample:?}");
        assert_eq!(sample.at.as_second(), expected.1);
    }

    // The cases of Datadog's Cluster Agent (facts/datadog.md §7.1, "Query").
    #[test]
    fn the_second_newest_value_is_taken() {
        check(
            &[(100_000.0, Some(40.0)), (300_000.0, Some(42.0)), (400_000.0, Some(43.0))],
            (42.0, 300),
        );
        check(&[(110_000.0, Some(70.0)), (120_000.0, None), (130_000.0, Some(1.0))], (70.0, 110));
    }

    #[test]
    fn a_single_value_is_taken_wherever_it_stands() {
        check(&[(100_000.0, None), (110_000.0, Some(3.0)), (120_000.0, None)], (3.0, 110));
    }

    #[test]
    fn nulls_alone_are_counted() {
        let nulls = [(1.0, None), (2.0, None), (3.0, None), (4.0, None)];
        assert_eq!(choose(&nulls), Err(NoSample::AllNull { points: 4 }));
        assert_eq!(choose(&[]), Err(NoSample::AllNull { points: 0 }));
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        assert!(matches!(choose(&[(1e300, Some(1.0))]), Err(NoSample::Unusable { .. })));
        assert!(matches!(choose(&[(1000.0, Some(f64::INFINITY))]), Err(NoSample::Unusable { .. })));
    }

    #[test]
    fn age_counts_from_the_point_and_never_below_zero() {
        let sample = Sample { value: 1.0, at: Timestamp::from_second(100).unwrap() };
        assert_eq!(sample.age(Timestamp::from_second(130).unwrap()), Duration::from_secs(30));
        assert_eq!(sample.age(Timestamp::from_second(90).unwrap()), Duration::ZERO);
    }

    #[test]
    fn the_age_limit_leaves_room_for_three_buckets() {
        let seconds = Duration::from_secs;
        assert_eq!(age_limit(seconds(120), seconds(30)), seconds(120));
        assert_eq!(age_limit(seconds(120), seconds(60)), seconds(180));
    }
}
