//! What stands in a source's empty buckets.

use crate::expr::{Fill, FillMethod};

/// Fills the empty buckets of one source, up to the limit after a real value
/// (docs, "Interpolation and the Fill Modifier").
pub(super) fn fill(values: &mut [Option<f64>], fill: Fill, interval: i64) {
    match fill.method {
        FillMethod::Null => {}
        FillMethod::Zero => after(values, fill.limit(), interval, |_| 0.0),
        FillMethod::Last => after(values, fill.limit(), interval, |last| last),
        FillMethod::Linear => between(values, fill.limit(), interval),
    }
}

/// Zeros in all empty buckets, after what `fill` has to say. As in the documented example of
/// `default_zero`, interpolation carries the value before a gap on up to its limit.
pub(super) fn zeros(values: &mut [Option<f64>], fill: Option<Fill>, interval: i64) {
    if let Some(fill) = fill
        && matches!(fill.method, FillMethod::Linear | FillMethod::Last)
    {
        if fill.method == FillMethod::Linear {
            between(values, fill.limit(), interval);
        }
        after(values, fill.limit(), interval, |last| last);
    }
    for value in values {
        value.get_or_insert(0.0);
    }
}

/// Fills up to `limit` seconds after a value with what `from_last` makes of it.
fn after(values: &mut [Option<f64>], limit: i64, interval: i64, from_last: impl Fn(f64) -> f64) {
    let mut last: Option<(f64, i64)> = None;
    for value in values {
        match (*value, &mut last) {
            (Some(real), _) => last = Some((real, 0)),
            (None, None) => {}
            (None, Some((real, since))) => {
                *since += interval;
                if *since <= limit {
                    *value = Some(from_last(*real));
                }
            }
        }
    }
}

/// Fills between two values that are at most `limit` seconds apart, linearly.
#[expect(clippy::cast_precision_loss, reason = "an answer has at most some thousand buckets")]
fn between(values: &mut [Option<f64>], limit: i64, interval: i64) {
    let mut last: Option<(usize, f64)> = None;
    for index in 0..values.len() {
        let Some(right) = values[index] else { continue };
        if let Some((left_index, left)) = last {
            let steps = index - left_index;
            if i64::try_from(steps).is_ok_and(|it| it.saturating_mul(interval) <= limit) {
                for step in 1..steps {
                    let share = step as f64 / steps as f64;
                    values[left_index + step] = Some(left + (right - left) * share);
                }
            }
        }
        last = Some((index, right));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: FillMethod, limit: u32, expected: [f64; 8]) {
        let none = f64::NAN;
        let given = [none, 2.0, none, 8.0, none, none, none, 0.0];
        let mut values = given.map(|it| Some(it).filter(|it| !it.is_nan()));
        fill(&mut values, Fill { method, limit: Some(limit) }, 10);
        let found = values.map(|it| it.unwrap_or(none));
        assert!(
            found.iter().zip(&expected).all(|(l, r)| l.total_cmp(r).is_eq()),
            "{method:?} {limit}: {found:?}"
        );
    }

    #[test]
    fn gaps_are_filled_up_to_the_limit_after_a_real_value() {
        let no = f64::NAN;
        check(FillMethod::Null, 600, [no, 2.0, no, 8.0, no, no, no, 0.0]);
        check(FillMethod::Zero, 20, [no, 2.0, 0.0, 8.0, 0.0, 0.0, no, 0.0]);
        check(FillMethod::Last, 10, [no, 2.0, 2.0, 8.0, 8.0, no, no, 0.0]);
        check(FillMethod::Linear, 20, [no, 2.0, 5.0, 8.0, no, no, no, 0.0]);
        check(FillMethod::Linear, 40, [no, 2.0, 5.0, 8.0, 6.0, 4.0, 2.0, 0.0]);
    }

    /// The table in docs, "Interpolation", default zero: one point of a gauge, in minutes.
    #[test]
    fn default_zero_carries_a_gauge_on_for_five_minutes() {
        let mut values = [None; 12];
        values[2] = Some(1.0);
        zeros(&mut values, Some(Fill { method: FillMethod::Linear, limit: None }), 60);
        let found: Vec<_> = values.iter().map(|it| it.unwrap_or(-1.0)).collect();
        assert_eq!(found, [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
