//! The points that were submitted, in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    expr::{data::Source, scope::Scope},
    tags::Tags,
};

/// How long a point is kept, in seconds. Scripted series reach back as far.
pub const RETENTION: i64 = 4 * 3600;

/// Most points of one series: one a second for [`RETENTION`]; beyond it the oldest go.
pub const MAX_POINTS_PER_SERIES: usize = 14_400;

/// Most series; points of further ones are dropped and counted.
pub const MAX_SERIES: usize = 100_000;

/// A point older than this many seconds is refused (Datadog docs, "Submit metrics").
const MAX_AGE: i64 = 3600;

/// A point more than this many seconds ahead is refused (Datadog docs, "Submit metrics").
const MAX_AHEAD: i64 = 600;

/// Least time between two looks at every series for points to forget, in seconds.
const SWEEP_PERIOD: i64 = 60;

/// The submitted points of every series, ascending in time, one a second at most.
#[derive(Debug, Default)]
pub(crate) struct Store {
    metrics: BTreeMap<String, BTreeMap<Tags, VecDeque<(i64, f64)>>>,
    dropped: u64,
    swept_at: i64,
}

impl Store {
    /// Takes points `(Unix seconds, value)` of one series.
    ///
    /// As in Datadog, points that are too old or too far ahead are left out without an error,
    /// and of two points for the same second the later one submitted stays.
    pub(crate) fn insert(&mut self, now: i64, metric: &str, tags: &Tags, points: &[(i64, f64)]) {
        self.sweep(now);
        let fresh: Vec<_> = points
            .iter()
            .filter(|(time, _)| (now - MAX_AGE..=now + MAX_AHEAD).contains(time))
            .collect();
        self.drop_points(points.len() - fresh.len());
        if fresh.is_empty() {
            return;
        }
        if !self.has(metric, tags) && MAX_SERIES <= self.series() {
            tracing::warn!(metric, limit = MAX_SERIES, "too many series, points dropped");
            self.drop_points(fresh.len());
            return;
        }
        let series = self.metrics.entry(metric.to_owned()).or_default();
        let kept = series.entry(tags.clone()).or_default();
        for (time, value) in fresh {
            match kept.binary_search_by_key(time, |(time, _)| *time) {
                Ok(index) => kept[index].1 = *value,
                Err(index) => kept.insert(index, (*time, *value)),
            }
        }
        kept.drain(..kept.len().saturating_sub(MAX_POINTS_PER_SERIES));
    }

    /// Counts points that were refused before they got here.
    pub(crate) fn drop_points(&mut self, count: usize) {
        self.dropped = self.dropped.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// The sources of `metric` in `scope` with their points from `from` to `to`, Unix seconds,
    /// both included.
    pub(crate) fn sources(&self, metric: &str, scope: &Scope, from: i64, to: i64) -> Vec<Source> {
        let series = self.metrics.get(metric).into_iter().flatten();
        series
            .filter(|(tags, _)| scope.matches(tags))
            .map(|(tags, points)| {
                let start = points.partition_point(|(time, _)| *time < from);
                let end = points.partition_point(|(time, _)| *time <= to).max(start);
                Source::gauge(tags.clone(), points.range(start..end).copied().collect())
            })
            .collect()
    }

    /// Number of series held.
    pub(crate) fn series(&self) -> usize {
        self.metrics.values().map(BTreeMap::len).sum()
    }

    /// Number of points held.
    pub(crate) fn points(&self) -> usize {
        self.metrics.values().flat_map(BTreeMap::values).map(VecDeque::len).sum()
    }

    /// Number of points refused so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn has(&self, metric: &str, tags: &Tags) -> bool {
        self.metrics.get(metric).is_some_and(|series| series.contains_key(tags))
    }

    /// Forgets points past the retention and series that have none left.
    fn sweep(&mut self, now: i64) {
        if now < self.swept_at + SWEEP_PERIOD {
            return;
        }
        self.swept_at = now;
        self.metrics.retain(|_, series| {
            series.retain(|_, points| {
                let old = points.partition_point(|(time, _)| *time < now - RETENTION);
                points.drain(..old);
                !points.is_empty()
            });
            !series.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn points(store: &Store) -> Vec<(i64, f64)> {
        let sources = store.sources("m", &Scope::everything(), i64::MIN, i64::MAX);
        sources.into_iter().flat_map(|source| source.points).collect()
    }

    #[test]
    fn points_are_kept_in_order_and_the_last_one_of_a_second_wins() {
        let mut store = Store::default();
        let tags = Tags::default();
        store.insert(NOW, "m", &tags, &[(NOW, 1.0), (NOW - 20, 2.0), (NOW - 10, 3.0)]);
        store.insert(NOW, "m", &tags, &[(NOW - 10, 4.0)]);
        assert_eq!(points(&store), [(NOW - 20, 2.0), (NOW - 10, 4.0), (NOW, 1.0)]);
    }

    #[test]
    fn points_an_hour_old_or_ten_minutes_ahead_are_the_last_to_be_taken() {
        let mut store = Store::default();
        let times = [NOW - 3601, NOW - 3600, NOW + 600, NOW + 601, i64::MIN, i64::MAX];
        store.insert(NOW, "m", &Tags::default(), &times.map(|time| (time, 1.0)));
        assert_eq!(points(&store), [(NOW - 3600, 1.0), (NOW + 600, 1.0)]);
        assert_eq!(store.dropped(), 4);
    }

    #[test]
    fn the_range_includes_both_ends() {
        let mut store = Store::default();
        let all: Vec<_> = (0..10).map(|index| (NOW + index, 1.0)).collect();
        store.insert(NOW, "m", &Tags::default(), &all);
        let sources = store.sources("m", &Scope::everything(), NOW + 2, NOW + 4);
        assert_eq!(sources[0].points.len(), 3);
        let none = store.sources("m", &Scope::everything(), NOW + 4, NOW + 2);
        assert_eq!(none[0].points, []);
    }

    #[test]
    fn old_points_and_their_series_are_forgotten() {
        let mut store = Store::default();
        store.insert(NOW, "old", &Tags::default(), &[(NOW, 1.0)]);
        store.insert(NOW + RETENTION + 1, "m", &Tags::default(), &[(NOW + RETENTION, 1.0)]);
        assert_eq!((store.series(), store.points()), (1, 1));
    }

    #[test]
    fn a_series_keeps_only_its_newest_points() {
        let mut store = Store::default();
        let cap = i64::try_from(MAX_POINTS_PER_SERIES).unwrap();
        for start in (0..cap + 60).step_by(60) {
            let batch: Vec<_> = (start..start + 60).map(|index| (NOW + index, 1.0)).collect();
            store.insert(NOW + start, "m", &Tags::default(), &batch);
        }
        assert_eq!(points(&store).len(), MAX_POINTS_PER_SERIES);
        assert_eq!(points(&store)[0].0, NOW + 60);
    }
}
