//! Numbers for a query: buckets, then time aggregation, then space aggregation.

use std::collections::BTreeMap;

use crate::{
    expr::{
        Aggregator, Query,
        data::{Data, Source},
    },
    tags::Tags,
};

/// Most points in one answer (docs, "Rollup interval: enforced vs. custom").
const MAX_POINTS: i64 = 1500;

/// Longest gap in seconds that is bridged when sources are combined: Datadog interpolates
/// gauges for five minutes (docs, "Interpolation").
const MAX_INTERPOLATED_GAP: i64 = 300;

/// Group value of a source that lacks the key of the grouping; Datadog has `exclude_null()`
/// to remove such groups (docs, "Exclusion").
const NO_VALUE: &str = "N/A";

/// The time asked for, Unix seconds, both ends included, `from < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Oldest second.
    pub from: i64,
    /// Newest second.
    pub to: i64,
}

/// The buckets of one query: they start at multiples of `interval`, from the first multiple
/// that is not before the window to the last one that is not after it
/// (recorded answers of `GET /api/v1/query`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Start of the first bucket, Unix seconds.
    pub first: i64,
    /// Bucket length in seconds.
    pub interval: i64,
    /// Number of buckets; may be 0 when the window is shorter than the interval.
    pub len: usize,
}

/// One series of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `key:value` of each grouping key, in the order of the query; empty without grouping.
    pub group_tags: Vec<String>,
    /// One value a bucket, `None` where no source has a point. At least one is `Some`.
    pub values: Vec<Option<f64>>,
}

/// Evaluates `query` over the sources that `data` has for its metric and scope.
///
/// 1. The points of each source inside a bucket and inside the window become one value
///    (`.rollup`'s aggregator, else `avg`).
/// 2. Sources are put into groups by their values of the `by` keys. A source with several
///    values of a key is in several groups, one without any in the group `N/A`.
/// 3. Where several sources meet in a group, a source's empty buckets between two of its own
///    values are filled in linearly, if the two are at most 300 s apart. Nothing is carried
///    beyond the first and last value of a source, nor in from outside of the window.
/// 4. Per bucket the sources' values become one (the query's aggregator, else `avg`).
///
/// Groups come in ascending order of their tags; a group without any value is left out.
pub fn evaluate(query: &Query, window: Window, data: &dyn Data) -> (Grid, Vec<Answer>) {
    let sources = data.sources(&query.metric, &query.scope, window);
    let grid = Grid::new(window, interval(query.rollup.interval, window));
    let in_time = query.rollup.aggregator.unwrap_or(Aggregator::Avg);
    let in_space = query.aggregator.unwrap_or(Aggregator::Avg);

    let mut groups: BTreeMap<Vec<String>, Vec<Vec<Option<f64>>>> = BTreeMap::new();
    for Source { tags, points, .. } in &sources {
        let values = grid.aggregate(in_time, window.to, points);
        for group_tags in groups_of(tags, &query.group_by) {
            groups.entry(group_tags).or_default().push(values.clone());
        }
    }

    let answers = groups.into_iter().filter_map(|(group_tags, mut members)| {
        if 1 < members.len() {
            for values in &mut members {
                interpolate(values, grid.interval);
            }
        }
        let combine = |bucket| in_space.combine(members.iter().filter_map(|values| values[bucket]));
        let values: Vec<_> = (0..grid.len).map(combine).collect();
        values.iter().any(Option::is_some).then_some(Answer { group_tags, values })
    });
    let answers = answers.collect();
    (grid, answers)
}

/// Bucket length in seconds: what `.rollup` asks for, unless that makes more than 1 500 points
/// (docs, "Rollup interval: enforced vs. custom"); without it, by the length of the window.
fn interval(asked: Option<u32>, window: Window) -> i64 {
    let length = window.to - window.from;
    let least = i64::from(asked.unwrap_or(0));
    if 0 < least && length / least <= MAX_POINTS { least } else { default_interval(length) }
}

/// The step that Datadog's API takes for a window of `length` seconds: 20 s up to an hour and
/// so on (docs, same table, column "API"); longer than its last row, whole days.
fn default_interval(length: i64) -> i64 {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    const STEPS: [(i64, i64); 8] = [
        (HOUR, 20),
        (4 * HOUR, 60),
        (DAY, 300),
        (2 * DAY, 600),
        (7 * DAY, HOUR),
        (31 * DAY, 4 * HOUR),
        (93 * DAY, 12 * HOUR),
        (MAX_POINTS * DAY, DAY),
    ];
    STEPS
        .iter()
        .find(|(longest, _)| length <= *longest)
        .map_or_else(|| (length / (MAX_POINTS * DAY) + 1) * DAY, |(_, step)| *step)
}

// === impl Grid ===

impl Grid {
    fn new(window: Window, interval: i64) -> Self {
        let first = window.from.div_euclid(interval) * interval;
        let first = if first < window.from { first + interval } else { first };
        let len = if first <= window.to { (window.to - first) / interval + 1 } else { 0 };
        Self { first, interval, len: usize::try_from(len).unwrap_or(0) }
    }

    /// Start of every bucket, Unix seconds, ascending.
    pub fn starts(self) -> impl Iterator<Item = i64> {
        (self.first..).step_by(usize::try_from(self.interval).unwrap_or(1)).take(self.len)
    }

    fn aggregate(self, aggregator: Aggregator, to: i64, points: &[(i64, f64)]) -> Vec<Option<f64>> {
        let mut buckets: Vec<Vec<f64>> = vec![Vec::new(); self.len];
        for (time, value) in points.iter().filter(|(time, _)| *time <= to) {
            let bucket = usize::try_from((time - self.first).div_euclid(self.interval));
            if let Some(bucket) = bucket.ok().and_then(|index| buckets.get_mut(index)) {
                bucket.push(*value);
            }
        }
        buckets.into_iter().map(|bucket| aggregator.combine(bucket.into_iter())).collect()
    }
}

/// Every combination of the values that a source has for the keys.
fn groups_of(tags: &Tags, keys: &[String]) -> Vec<Vec<String>> {
    let mut groups = vec![Vec::new()];
    for key in keys {
        let mut values: Vec<&str> = tags.values_of(key).collect();
        if values.is_empty() {
            values.push(NO_VALUE);
        }
        groups = groups
            .iter()
            .flat_map(|group| {
                let with = |value: &&str| {
                    group.iter().cloned().chain([format!("{key}:{value}")]).collect::<Vec<_>>()
                };
                values.iter().map(with).collect::<Vec<_>>()
            })
            .collect();
    }
    groups
}

/// Fills the empty buckets between two values that are at most 300 s apart, linearly.
#[expect(clippy::cast_precision_loss, reason = "an answer has at most some thousand buckets")]
fn interpolate(values: &mut [Option<f64>], interval: i64) {
    let mut last: Option<(usize, f64)> = None;
    for index in 0..values.len() {
        let Some(right) = values[index] else { continue };
        if let Some((left_index, left)) = last {
            let steps = index - left_index;
            if i64::try_from(steps).is_ok_and(|it| it * interval <= MAX_INTERPOLATED_GAP) {
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
mod tests;
