//! Ways to make one number out of several.

use std::fmt;

/// A way to make one number out of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregator {
    /// Arithmetic mean.
    Avg,
    /// Sum.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Number of values. Over sources it belongs to distributions.
    Count,
    /// `p99`; only over sources, and only of distributions.
    Percentile(Percentile),
}

/// A percentile with up to two decimals, in hundredths of a percent
/// (docs, "Distributions": any percentile with up to two decimal points).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentile(u16);

/// What is known of the values that were combined so far.
///
/// Small and without an allocation: there is one a bucket.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cell {
    count: u32,
    /// Sum, smallest or largest, by the aggregator.
    value: f64,
}

// === impl Aggregator ===

impl Aggregator {
    /// Those that take part in a rollup (docs, "Rollup").
    pub const IN_TIME: [Self; 5] = [Self::Avg, Self::Sum, Self::Min, Self::Max, Self::Count];

    /// The time aggregator that queries call `name`.
    pub fn in_time(name: &str) -> Option<Self> {
        Self::IN_TIME.into_iter().find(|it| it.to_string() == name)
    }

    /// The space aggregator that queries call `name`.
    pub fn in_space(name: &str) -> Option<Self> {
        Self::in_time(name).or_else(|| Percentile::from_name(name).map(Self::Percentile))
    }

    /// Takes one more value.
    pub(crate) fn add(self, cell: &mut Cell, value: f64) {
        cell.value = match self {
            _ if cell.count == 0 => value,
            Self::Avg | Self::Sum => cell.value + value,
            Self::Min => cell.value.min(value),
            Self::Max => cell.value.max(value),
            Self::Count | Self::Percentile(_) => cell.value,
        };
        cell.count = cell.count.saturating_add(1);
    }

    /// What is known of the values of both.
    pub(crate) fn merge(self, left: Cell, right: Cell) -> Cell {
        let mut cell = left;
        if 0 < right.count {
            self.add(&mut cell, right.value);
            cell.count = left.count.saturating_add(right.count);
        }
        cell
    }

    /// The one number; `None` when there was none, and for a percentile, which needs them all.
    pub(crate) fn finish(self, cell: Cell) -> Option<f64> {
        if cell.count == 0 {
            return None;
        }
        match self {
            Self::Avg => Some(cell.value / f64::from(cell.count)),
            Self::Sum | Self::Min | Self::Max => Some(cell.value),
            Self::Count => Some(f64::from(cell.count)),
            Self::Percentile(_) => None,
        }
    }

    /// Combines `values`; `None` when there are none.
    pub fn combine(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        if let Self::Percentile(percentile) = self {
            let mut values: Vec<f64> = values.collect();
            values.sort_by(f64::total_cmp);
            return percentile.of_sorted(values.len(), |index| values[index]);
        }
        let mut cell = Cell::default();
        values.for_each(|value| self.add(&mut cell, value));
        self.finish(cell)
    }
}

impl fmt::Display for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Avg => f.write_str("avg"),
            Self::Sum => f.write_str("sum"),
            Self::Min => f.write_str("min"),
            Self::Max => f.write_str("max"),
            Self::Count => f.write_str("count"),
            Self::Percentile(percentile) => percentile.fmt(f),
        }
    }
}

// === impl Percentile ===

impl Percentile {
    /// More than none and less than all of the values, in hundredths of a percent.
    pub fn new(hundredths: u16) -> Option<Self> {
        (1..10_000).contains(&hundredths).then_some(Self(hundredths))
    }

    /// The percentile that queries call `name`: `p`, one or two digits, and maybe decimals.
    fn from_name(name: &str) -> Option<Self> {
        let number = name.strip_prefix('p')?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| {
            let fits = (1..=2).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
            fits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let hundredths = digits(decimals)? * if decimals.len() == 1 { 10 } else { 1 };
        Self::new(digits(whole)? * 100 + hundredths)
    }

    /// The value at this percentile of `len` values in ascending order.
    ///
    /// The rank is that of the sketches that Datadog's agents send (`rank` in
    /// `DataDog/datadog-agent`, `pkg/util/quantile`): of n values the one at q × (n - 1), halves
    /// to the even neighbour. A sketch adds its relative error of about 1 %, which is left out.
    #[expect(clippy::cast_precision_loss, reason = "there are less than 2^52 points")]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 <= rank < len")]
    pub(crate) fn of_sorted(self, len: usize, at: impl Fn(usize) -> f64) -> Option<f64> {
        let last = len.checked_sub(1)?;
        let rank = (f64::from(self.0) / 10_000.0 * last as f64).round_ties_even() as usize;
        Some(at(rank.min(last)))
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 100, self.0 % 100);
        match (decimals, decimals % 10) {
            (0, _) => write!(f, "p{whole}"),
            (_, 0) => write!(f, "p{whole}.{}", decimals / 10),
            _ => write!(f, "p{whole}.{decimals:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_have_up_to_two_decimals() {
        let check = |name: &str, expected: Option<&str>| {
            let found = Aggregator::in_space(name).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        };
        check("p99", Some("p99"));
        check("p05", Some("p5"));
        check("p99.9", Some("p99.9"));
        check("p99.90", Some("p99.9"));
        check("p99.99", Some("p99.99"));
        check("p0.01", Some("p0.01"));
        for name in ["p", "p0", "p0.0", "p100", "p99.", "p99.999", "p+9", "pavg", "99"] {
            check(name, None);
        }
    }

    #[test]
    fn the_rank_is_that_of_the_agents_sketches() {
        let p = |name: &str, len: i32| {
            Aggregator::in_space(name).unwrap().combine((1..=len).map(f64::from).rev())
        };
        assert_eq!(p("p50", 0), None);
        assert_eq!(p("p50", 1), Some(1.0));
        assert_eq!(p("p50", 4), Some(3.0));
        assert_eq!(p("p50", 5), Some(3.0));
        assert_eq!(p("p99", 100), Some(99.0));
        assert_eq!(p("p99.9", 100), Some(100.0));
    }
}
