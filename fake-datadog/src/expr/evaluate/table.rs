//! What the parts of an expression evaluate to.

use crate::expr::{Fill, grid::Grid};

/// A number, or series.
pub(super) enum Value {
    Number(f64),
    Table(Table),
}

/// The series of all groups, on one grid.
pub(super) struct Table {
    pub(super) grid: Grid,
    /// Whether groups were asked for; if not there is at most one series.
    pub(super) grouped: bool,
    /// How gaps of the sources are filled, if they are.
    pub(super) fill: Option<Fill>,
    /// Whether nulls count as zeros in arithmetic: counts and rates that are queried as such are
    /// always aligned at 0 (docs, "Interpolation", default zero).
    pub(super) zero_aligned: bool,
    /// Each with one value a bucket.
    pub(super) series: Vec<Series>,
}

/// The values of one group.
pub(super) struct Series {
    /// `key:value` of each grouping key.
    pub(super) group: Vec<String>,
    pub(super) values: Vec<Option<f64>>,
}

impl Value {
    /// The same with each number changed.
    pub(super) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Number(number) => Self::Number(change(number)),
            Self::Table(mut table) => {
                table.change(|value| finite(change(value)));
                Self::Table(table)
            }
        }
    }
}

impl Table {
    /// Changes each value by itself.
    pub(super) fn change(&mut self, change: impl Fn(f64) -> Option<f64>) {
        for value in self.series.iter_mut().flat_map(|series| &mut series.values) {
            *value = value.and_then(&change);
        }
    }

    /// Changes each series by itself.
    pub(super) fn change_series(&mut self, change: impl Fn(&mut [Option<f64>])) {
        self.series.iter_mut().for_each(|series| change(&mut series.values));
    }

    /// One series in place of all groups: what `combine` makes of each bucket's values.
    pub(super) fn merge(&mut self, combine: impl Fn(&mut dyn Iterator<Item = f64>) -> Option<f64>) {
        let series = std::mem::take(&mut self.series);
        self.grouped = false;
        if series.is_empty() {
            return;
        }
        let bucket = |bucket: usize| combine(&mut series.iter().filter_map(|it| it.values[bucket]));
        let values = (0..self.grid.len).map(bucket).collect();
        self.series.push(Series { group: Vec::new(), values });
    }

    /// Without the buckets before those of `wanted`.
    pub(super) fn trim(&mut self, wanted: Grid) {
        let before = self.grid.before(wanted.first);
        self.grid.first += i64::try_from(before).unwrap_or(0) * self.grid.interval;
        self.grid.len -= before;
        for series in &mut self.series {
            series.values.drain(..before);
        }
    }

    /// On another grid: values where one of its buckets begins together with one here.
    pub(super) fn align(&mut self, grid: Grid) {
        if self.grid == grid {
            return;
        }
        let from: Vec<_> = grid.starts().map(|start| self.grid.starting_at(start)).collect();
        for series in &mut self.series {
            let at = |bucket: &Option<usize>| bucket.and_then(|it| series.values[it]);
            series.values = from.iter().map(at).collect();
        }
        self.grid = grid;
    }
}

/// The number, unless arithmetic has none.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
