//! The points that were submitted, in bounded memory.
//!
//! ```text
//! metric ─▶ tag ─▶ series ─▶ runs of points
//! ```
//!
//! A point of a regular series takes 8 bytes and a share of its run's 64; `docs/benchmarks.md`
//! has what was measured.

mod catalog;
pub(crate) mod counts;
mod metadata;
mod metric;
mod plot;
mod points;
mod reports;

use std::collections::BTreeMap;

use crate::{
    expr::{
        data::{Kind, Source},
        scope::Scope,
    },
    store::{
        counts::{Counts, Reason},
        metric::{Metric, Series},
        reports::Reports,
    },
    tags::Tags,
};

pub(crate) use metadata::Metadata;

/// How long a point is kept at least, in seconds. Scripted series reach back as far.
pub const RETENTION: i64 = 4 * 3600;

/// Most points of one series: one a second for [`RETENTION`]; beyond it the oldest go.
pub const MAX_POINTS_PER_SERIES: usize = 14_400;

/// Most series; points of further ones are dropped and counted.
pub const MAX_SERIES: usize = 100_000;

/// Most points of all series: about 300 MB when they are regular. Beyond it the oldest go, down
/// to the last hour; when that does not help, new ones are dropped and counted.
pub const MAX_POINTS: usize = 32_000_000;

/// Most values of a distribution in one second; further ones are dropped and counted.
pub const MAX_VALUES_PER_SECOND: usize = 1000;

/// Most metrics of which anything but points is known; a metric has a series at least.
const MAX_METADATA: usize = MAX_SERIES;

/// A point older than this many seconds is refused (Datadog docs, "Submit metrics").
const MAX_AGE: i64 = 3600;

/// A point more than this many seconds ahead is refused (Datadog docs, "Submit metrics").
const MAX_AHEAD: i64 = 600;

/// Least time between two looks at every series for points to forget, in seconds.
const SWEEP_PERIOD: i64 = 60;

/// The submitted points of every series.
#[derive(Debug)]
pub struct Store {
    metrics: BTreeMap<String, Metric>,
    series: usize,
    points: usize,
    counts: Counts,
    swept_at: i64,
    limits: Limits,
    /// By metric.
    metadata: BTreeMap<String, Metadata>,
    reports: Reports,
}

/// What bounds the memory; the public constants, but less in tests.
#[derive(Clone, Copy, Debug)]
struct Limits {
    series: usize,
    points: usize,
    points_per_series: usize,
}

/// Points of one series as they come in.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The normalised name of the metric.
    pub metric: &'a str,
    /// Its tags, normalised.
    pub tags: &'a Tags,
    /// What its values are.
    pub kind: Kind,
    /// Seconds between two points, if it was said.
    pub interval: Option<u32>,
    /// `(Unix seconds, value)`; a distribution may have several of one second.
    pub points: &'a [(i64, f64)],
}

impl Store {
    /// Takes points of one series.
    ///
    /// As in Datadog, points that are too old or too far ahead are left out without an error,
    /// and of two points for the same second the later one submitted stays, except in a
    /// distribution, which keeps all values of a second.
    pub fn insert(&mut self, now: i64, submission: &Submission<'_>) {
        self.sweep(now);
        let Submission { metric, tags, kind, interval, points } = *submission;
        let old = points.iter().filter(|(time, _)| *time < now.saturating_sub(MAX_AGE)).count();
        let fresh = points.iter().filter(|(time, _)| is_fresh(now, *time)).copied();
        // In order, so that points of one body in any order make regular runs.
        let mut fresh: Vec<_> = fresh.collect();
        fresh.sort_by_key(|(time, _)| *time);
        self.drop_points(Reason::TooOld, old);
        self.drop_points(Reason::TooFarAhead, points.len() - fresh.len() - old);
        if fresh.is_empty() || !self.has_room(metric, tags, &fresh) {
            return;
        }

        // Looked up before it is inserted, because the name is there nearly always.
        if !self.metrics.contains_key(metric) {
            self.metrics.insert(metric.to_owned(), Metric::default());
        }
        let Some(of_metric) = self.metrics.get_mut(metric) else { return };
        let series_before = of_metric.len();
        let series = of_metric.series_of(tags);
        let points_before = series.points.len();
        let refused = series.take(kind, interval, &fresh);
        series.points.forget_beyond(self.limits.points_per_series);
        self.points = self.points + series.points.len() - points_before;
        self.series += of_metric.len() - series_before;
        self.drop_points(Reason::SecondIsFull, refused);
        self.counts.accept(fresh.len() - refused);
    }

    /// Service checks and events.
    pub(crate) fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Service checks and events, to add to them.
    pub(crate) fn reports_mut(&mut self) -> &mut Reports {
        &mut self.reports
    }

    /// Counts points that were refused before they got here.
    pub(crate) fn drop_points(&mut self, reason: Reason, count: usize) {
        self.counts.drop(reason, count);
    }

    /// How many points were taken and dropped.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The sources of `metric` in `scope` with their points from `from` to `to`, Unix seconds,
    /// both included.
    pub fn sources(&self, metric: &str, scope: &Scope, from: i64, to: i64) -> Vec<Source> {
        let Some(metric) = self.metrics.get(metric) else { return Vec::new() };
        let source = |series: &Series| Source {
            tags: series.tags.clone(),
            kind: series.kind,
            interval: series.interval,
            points: series.points.copy(from, to),
        };
        metric.matching(scope).into_iter().map(source).collect()
    }

    /// Number of series held.
    pub fn series(&self) -> usize {
        self.series
    }

    /// Number of points held.
    pub fn points(&self) -> usize {
        self.points
    }

    /// Number of points refused so far.
    pub fn dropped(&self) -> u64 {
        self.counts.all_dropped()
    }

    /// Whether the limits allow for points of this series; counts them as dropped if not.
    fn has_room(&mut self, metric: &str, tags: &Tags, points: &[(i64, f64)]) -> bool {
        let known = self.metrics.get(metric).is_some_and(|series| series.has(tags));
        if !known && self.limits.series <= self.series {
            tracing::warn!(metric, limit = self.limits.series, "too many series, points dropped");
            self.drop_points(Reason::SeriesLimit, points.len());
            return false;
        }
        if self.limits.points < self.points + points.len() {
            tracing::warn!(metric, limit = self.limits.points, "too many points, points dropped");
            self.drop_points(Reason::PointsLimit, points.len());
            return false;
        }
        true
    }

    /// Forgets points past the retention and series that have none left; more of them while
    /// there are nearly as many as may be.
    fn sweep(&mut self, now: i64) {
        if now < self.swept_at.saturating_add(SWEEP_PERIOD) {
            return;
        }
        self.swept_at = now;
        let mut keep = RETENTION;
        self.forget_before(now.saturating_sub(keep));
        while self.limits.points / 10 * 9 < self.points && MAX_AGE < keep {
            keep = (keep - keep / 4).max(MAX_AGE);
            self.forget_before(now.saturating_sub(keep));
        }
    }

    fn forget_before(&mut self, time: i64) {
        for metric in self.metrics.values_mut() {
            self.points -= metric.forget_before(time);
        }
        self.metrics.retain(|_, metric| 0 < metric.len());
        self.series = self.metrics.values().map(Metric::len).sum();
    }
}

impl Default for Store {
    fn default() -> Self {
        let limits = Limits {
            series: MAX_SERIES,
            points: MAX_POINTS,
            points_per_series: MAX_POINTS_PER_SERIES,
        };
        Self {
            metrics: BTreeMap::new(),
            series: 0,
            points: 0,
            counts: Counts::default(),
            swept_at: 0,
            limits,
            metadata: BTreeMap::new(),
            reports: Reports::default(),
        }
    }
}

fn is_fresh(now: i64, time: i64) -> bool {
    (now.saturating_sub(MAX_AGE)..=now.saturating_add(MAX_AHEAD)).contains(&time)
}

#[cfg(test)]
mod tests;
