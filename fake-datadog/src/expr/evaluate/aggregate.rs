//! A query: time aggregation of each source, then space aggregation of each group.

use std::collections::BTreeMap;

use crate::{
    expr::{
        Aggregator, Fill, FillMethod, Form, Function, Query,
        aggregator::Cell,
        data::{Kind, Source},
        evaluate::{
            Context, Window, function, gap,
            table::{Series, Table},
        },
        grid::{self, Grid},
    },
    tags::Tags,
};

/// Group value of a source that lacks the key of the grouping; Datadog has `exclude_null()`
/// to remove such groups (docs, "Exclusion").
pub(crate) const NO_VALUE: &str = "N/A";

/// Most groups of one query; of further ones nothing is answered. A source that has many values
/// of several keys is in a group for each combination.
const MAX_GROUPS: usize = 10_000;

impl Context<'_> {
    /// Evaluates `query`; `rate` acts on each source before they are combined.
    pub(super) fn query(self, query: &Query, rate: Option<Function>) -> Table {
        let asked = query.rollup.interval.map(i64::from).or(self.interval);
        let grid = self.grid(grid::interval(asked, self.window));
        let sources = self.sources(query, grid);

        let counted = |source: &Source| source.kind != Kind::Gauge && query.form.is_some();
        let zero_aligned = !sources.is_empty() && sources.iter().all(counted);
        let by_default = Fill { method: FillMethod::Linear, limit: None };
        let fill = query.fill.or((!zero_aligned).then_some(by_default));
        // Aligning needs two; what `.fill` says is done to a single source as well.
        let fill_in_time = fill.filter(|_| query.fill.is_some() || 1 < sources.len());

        let mut groups = Groups::new(query, grid);
        let mut values = Vec::new();
        for source in &sources {
            if source.kind == Kind::Distribution {
                groups.pool(source);
                continue;
            }
            Rolling::of(query, source, grid.interval).fill(&mut values, grid, &source.points);
            if let Some(rate) = rate {
                function::rate(rate, &mut values, grid.interval);
            }
            if let Some(fill) = fill_in_time {
                gap::fill(&mut values, fill, grid.interval);
            }
            groups.add(&source.tags, &values);
        }
        let mut series = groups.finish();
        // Values of distributions were not in sources of their own.
        if let Some(rate) = rate.filter(|_| sources.iter().all(|it| it.kind == Kind::Distribution))
        {
            for it in &mut series {
                function::rate(rate, &mut it.values, grid.interval);
            }
        }
        Table { grid, grouped: !query.group_by.is_empty(), fill, zero_aligned, series }
    }

    /// The sources with their points in the buckets of `grid`.
    fn sources(self, query: &Query, grid: Grid) -> Vec<Source> {
        if grid.len == 0 {
            return Vec::new();
        }
        let window = Window { from: grid.first - self.shift, to: self.window.to - self.shift };
        let mut sources = self.data.sources(&query.metric, &query.scope, window);
        for source in &mut sources {
            source.points.retain(|(time, _)| (window.from..=window.to).contains(time));
            if self.shift != 0 {
                source.points.iter_mut().for_each(|(time, _)| *time += self.shift);
            }
        }
        sources
    }
}

/// How the points of one source inside a bucket become one value.
struct Rolling {
    aggregator: Aggregator,
    factor: f64,
}

impl Rolling {
    /// Docs, "Metric Type Modifiers": counts and rates that are queried as such are summed. The
    /// sum of a count is divided by the seconds for `as_rate`, unless the bucket is no longer than
    /// the time between points. A rate becomes a count by the seconds between its points; where
    /// they are not known, the bucket's mean by the bucket's seconds.
    #[expect(clippy::cast_precision_loss, reason = "a bucket is far shorter than 2^52 seconds")]
    fn of(query: &Query, source: &Source, bucket: i64) -> Self {
        let between = source.interval.map(f64::from);
        let bucket = bucket as f64;
        let asked = query.rollup.aggregator;
        let (by_default, factor) = match (source.kind, query.form, between) {
            (Kind::Count, Some(Form::Count), _) => (Aggregator::Sum, 1.0),
            (Kind::Count, Some(Form::Rate), Some(between)) if bucket <= between => {
                (Aggregator::Sum, 1.0)
            }
            (Kind::Count, Some(Form::Rate), _) => (Aggregator::Sum, 1.0 / bucket),
            (Kind::Rate, Some(Form::Count), Some(between)) => (Aggregator::Sum, between),
            (Kind::Rate, Some(Form::Count), None) => (Aggregator::Avg, bucket),
            (Kind::Rate, Some(Form::Rate), Some(between)) if asked.is_none() => {
                (Aggregator::Sum, between / bucket.max(between))
            }
            _ => (Aggregator::Avg, 1.0),
        };
        Self { aggregator: asked.unwrap_or(by_default), factor }
    }

    /// Writes one value a bucket into `values`, whose allocation is used again.
    fn fill(&self, values: &mut Vec<Option<f64>>, grid: Grid, points: &[(i64, f64)]) {
        let mut cells = vec![Cell::default(); grid.len];
        for (time, value) in points {
            if let Some(bucket) = grid.bucket(*time) {
                self.aggregator.add(&mut cells[bucket], *value);
            }
        }
        values.clear();
        let finish = |cell| self.aggregator.finish(cell).map(|it| it * self.factor);
        values.extend(cells.into_iter().map(finish));
    }
}

/// The groups of a query, as far as its sources are known.
struct Groups<'a> {
    query: &'a Query,
    grid: Grid,
    aggregator: Aggregator,
    by_tags: BTreeMap<Vec<String>, Group>,
}

/// What is known of one group.
#[derive(Default)]
struct Group {
    /// One a bucket.
    cells: Vec<Cell>,
    /// `(bucket, value)` of distributions, for percentiles.
    pool: Vec<(usize, f64)>,
    /// Whether values of distributions are in it.
    pooled: bool,
}

impl<'a> Groups<'a> {
    fn new(query: &'a Query, grid: Grid) -> Self {
        let aggregator = query.aggregator.unwrap_or(Aggregator::Avg);
        Self { query, grid, aggregator, by_tags: BTreeMap::new() }
    }

    /// Takes a source's values. `count` and percentiles are there for distributions only
    /// (docs, "Distributions"): of other metrics they have no answer.
    fn add(&mut self, tags: &Tags, values: &[Option<f64>]) {
        let aggregator = self.aggregator;
        if matches!(aggregator, Aggregator::Count | Aggregator::Percentile(_)) {
            return;
        }
        self.each(tags, |group| {
            for (cell, value) in group.cells.iter_mut().zip(values) {
                if let Some(value) = value {
                    aggregator.add(cell, *value);
                }
            }
        });
    }

    /// Takes all values of a distribution, each by itself.
    fn pool(&mut self, source: &Source) {
        let (aggregator, grid) = (self.aggregator, self.grid);
        let percentile = matches!(aggregator, Aggregator::Percentile(_));
        self.each(&source.tags, |group| {
            group.pooled = true;
            for (time, value) in &source.points {
                match grid.bucket(*time) {
                    None => {}
                    Some(bucket) if percentile => group.pool.push((bucket, *value)),
                    Some(bucket) => aggregator.add(&mut group.cells[bucket], *value),
                }
            }
        });
    }

    fn each(&mut self, tags: &Tags, mut act: impl FnMut(&mut Group)) {
        for group_tags in groups_of(tags, &self.query.group_by) {
            if !self.by_tags.contains_key(&group_tags) && MAX_GROUPS <= self.by_tags.len() {
                tracing::warn!(query = %self.query, limit = MAX_GROUPS, "too many groups, some left out");
                return;
            }
            let group = self.by_tags.entry(group_tags).or_default();
            group.cells.resize(self.grid.len, Cell::default());
            act(group);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a bucket is far shorter than 2^52 seconds")]
    fn finish(self) -> Vec<Series> {
        let (aggregator, grid) = (self.aggregator, self.grid);
        // A sum or a number of values per second; a mean or a percentile is one already.
        let per_second = self.query.form == Some(Form::Rate)
            && matches!(aggregator, Aggregator::Count | Aggregator::Sum);
        let finish = |(tags, group): (Vec<String>, Group)| {
            let mut values = match aggregator {
                Aggregator::Percentile(_) => percentiles(aggregator, group.pool, grid.len),
                _ => group.cells.iter().map(|cell| aggregator.finish(*cell)).collect(),
            };
            if per_second && group.pooled {
                values.iter_mut().flatten().for_each(|it| *it /= grid.interval as f64);
            }
            Series { group: tags, values }
        };
        self.by_tags.into_iter().map(finish).collect()
    }
}

fn percentiles(
    aggregator: Aggregator,
    mut pool: Vec<(usize, f64)>,
    buckets: usize,
) -> Vec<Option<f64>> {
    let Aggregator::Percentile(percentile) = aggregator else { return vec![None; buckets] };
    pool.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    let mut rest = pool.as_slice();
    let bucket = |bucket| {
        let (inside, after) = rest.split_at(rest.partition_point(|(it, _)| *it <= bucket));
        rest = after;
        percentile.of_sorted(inside.len(), |index| inside[index].1)
    };
    (0..buckets).map(bucket).collect()
}

/// Every combination of the values that a source has for the keys, up to [`MAX_GROUPS`].
fn groups_of(tags: &Tags, keys: &[String]) -> Vec<Vec<String>> {
    let mut groups = vec![Vec::new()];
    for key in keys {
        let mut values: Vec<&str> = tags.values_of(key).collect();
        if values.is_empty() {
            values.push(NO_VALUE);
        }
        let with_each = groups.iter().flat_map(|group: &Vec<String>| {
            values.iter().map(move |value| {
                let mut group = group.clone();
                group.push(format!("{key}:{value}"));
                group
            })
        });
        groups = with_each.take(MAX_GROUPS).collect();
    }
    groups
}
