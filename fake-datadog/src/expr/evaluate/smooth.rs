//! Functions of a value and of those shortly before it.

use crate::expr::aggregator::{Aggregator, Cell};

/// Exponentially weighted moving average of span n: the weight of each value is that of the next
/// one times 1 - 2 / (n + 1), and all weights make 1, as in pandas, which Datadog took it from
/// (`gist.github.com/alq666/3174101`).
pub(super) fn ewma(values: &mut [Option<f64>], span: u8) {
    let decay = 1.0 - 2.0 / (f64::from(span) + 1.0);
    let (mut sum, mut weights) = (0.0, 0.0);
    for value in values.iter_mut().flatten() {
        sum = *value + decay * sum;
        weights = 1.0 + decay * weights;
        *value = sum / weights;
    }
}

/// Median of the last `span` values, of as many as there are at the start.
pub(super) fn median(values: &mut [Option<f64>], span: u8) {
    let mut last: Vec<f64> = Vec::with_capacity(usize::from(span));
    let mut sorted = last.clone();
    for value in values.iter_mut().flatten() {
        if last.len() == usize::from(span) {
            last.remove(0);
        }
        last.push(*value);
        sorted.clone_from(&last);
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        *value = match sorted.len() % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
    }
}

/// What `aggregator` makes of the values of the last `seconds`, the bucket's own included; of the
/// buckets that begin in that time.
///
/// Buckets are taken in blocks as long as that time. Any such time is the end of one block and
/// the start of the next, and both are at hand: no bucket is looked at more than twice.
pub(super) fn moving(
    values: &mut [Option<f64>],
    seconds: u32,
    aggregator: Aggregator,
    interval: i64,
) {
    let span = (i64::from(seconds) - 1) / interval + 1;
    let span = usize::try_from(span).unwrap_or(usize::MAX).min(values.len().max(1));
    let cell = |value: Option<f64>| {
        let mut cell = Cell::default();
        if let Some(value) = value {
            aggregator.add(&mut cell, value);
        }
        cell
    };
    // Of each bucket, all of its block up to it, and all of its block from it on.
    let mut up_to: Vec<Cell> = values.iter().map(|it| cell(*it)).collect();
    let mut from = up_to.clone();
    for block in up_to.chunks_mut(span) {
        for index in 1..block.len() {
            block[index] = aggregator.merge(block[index - 1], block[index]);
        }
    }
    for block in from.chunks_mut(span) {
        for index in (1..block.len()).rev() {
            block[index - 1] = aggregator.merge(block[index - 1], block[index]);
        }
    }
    for (bucket, value) in values.iter_mut().enumerate() {
        let first = (bucket + 1).saturating_sub(span);
        let all = match bucket % span {
            // A whole block, or the start of the first one.
            _ if first / span == bucket / span => up_to[bucket],
            _ => aggregator.merge(from[first], up_to[bucket]),
        };
        *value = aggregator.finish(all);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(act: impl Fn(&mut [Option<f64>]), given: &[f64], expected: &[f64]) {
        let mut values: Vec<_> =
            given.iter().map(|it| Some(*it).filter(|it| !it.is_nan())).collect();
        act(&mut values);
        let found: Vec<_> = values.iter().map(|it| it.unwrap_or(f64::NAN)).collect();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn ewma_weighs_newer_values_more_and_passes_over_nulls() {
        let no = f64::NAN;
        check(|it| ewma(it, 3), &[4.0, no, 1.0, 0.0], &[4.0, no, 2.0, 6.0 / 7.0]);
        check(|it| ewma(it, 20), &[5.0, 5.0], &[5.0, 5.0]);
    }

    #[test]
    fn a_median_is_of_the_last_values() {
        let no = f64::NAN;
        check(|it| median(it, 3), &[5.0, 1.0, no, 3.0, 9.0, 2.0], &[5.0, 3.0, no, 3.0, 3.0, 3.0]);
    }

    proptest! {
        #[test]
        fn property_test_moving_agrees_with_looking_at_every_bucket(
            given in prop::collection::vec(prop::option::of(-9_i32..9), 0..30),
            seconds in 1_u32..200,
            interval in 1_i64..30,
            aggregator in prop::sample::select(&Aggregator::IN_TIME[..]),
        ) {
            let given: Vec<_> = given.into_iter().map(|it| it.map(f64::from)).collect();
            let mut found = given.clone();
            moving(&mut found, seconds, aggregator, interval);
            for (bucket, found) in found.iter().enumerate() {
                let near = |other: &usize| {
                    let steps = i64::try_from(bucket - other).unwrap();
                    steps * interval < i64::from(seconds)
                };
                let inside = (0..=bucket).filter(near).filter_map(|other| given[other]);
                prop_assert_eq!(*found, aggregator.combine(inside));
            }
        }
    }
}
