//! The buckets of an answer.

use crate::expr::evaluate::Window;

/// Most points in one answer (docs, "Rollup interval: enforced vs. custom").
pub const MAX_POINTS: i64 = 1500;

/// Most buckets before the window that a function can look back on: at one a second more than
/// the four hours for which points are kept.
const MAX_LOOK_BACK: i64 = 15_000;

/// The buckets of one expression: they start at multiples of `interval`, from the first multiple
/// that is not before the window to the last one that is not after it
/// (recorded answers of `GET /api/v1/query`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Start of the first bucket, Unix seconds.
    pub first: i64,
    /// Bucket length in seconds, at least 1.
    pub interval: i64,
    /// Number of buckets; may be 0 when the window is shorter than the interval.
    pub len: usize,
}

impl Grid {
    /// The buckets of `window` and of as much before it as `look_back` seconds need.
    pub(crate) fn new(window: Window, interval: i64, look_back: i64) -> Self {
        let look_back = look_back.min(MAX_LOOK_BACK.saturating_mul(interval));
        let Window { from, to } = window.bounded();
        let from = from - look_back;
        let first = from.div_euclid(interval) * interval;
        let first = if first < from { first + interval } else { first };
        let len = if first <= to { (to - first) / interval + 1 } else { 0 };
        Self { first, interval, len: usize::try_from(len).unwrap_or(0) }
    }

    /// Start of every bucket, Unix seconds, ascending.
    pub fn starts(self) -> impl Iterator<Item = i64> {
        (self.first..).step_by(usize::try_from(self.interval).unwrap_or(1)).take(self.len)
    }

    /// The bucket that `time` is in.
    pub(crate) fn bucket(self, time: i64) -> Option<usize> {
        let offset = time.checked_sub(self.first)?;
        let bucket = usize::try_from(offset.div_euclid(self.interval)).ok()?;
        (bucket < self.len).then_some(bucket)
    }

    /// The bucket that begins at `start`.
    pub(crate) fn starting_at(self, start: i64) -> Option<usize> {
        let bucket = self.bucket(start)?;
        (start.rem_euclid(self.interval) == self.first.rem_euclid(self.interval)).then_some(bucket)
    }

    /// The starts that both have: buckets as long as the least common multiple of the two.
    pub(crate) fn common(self, other: Self) -> Self {
        if self == other {
            return self;
        }
        let product = self.interval.saturating_mul(other.interval);
        let interval = product / greatest_common_divisor(self.interval, other.interval);
        let end = |grid: Self| grid.starts().last();
        let (Some(left), Some(right)) = (end(self), end(other)) else {
            return Self { first: self.first, interval, len: 0 };
        };
        let window = Window { from: self.first.max(other.first), to: left.min(right) };
        Self::new(window, interval, 0)
    }

    /// The number of buckets that begin before `time`.
    pub(crate) fn before(self, time: i64) -> usize {
        self.starts().take_while(|start| *start < time).count()
    }
}

/// Bucket length in seconds: what is asked for, unless that makes more than 1 500 points
/// (docs, "Rollup interval: enforced vs. custom"); if nothing is, by the length of the window.
pub(crate) fn interval(asked: Option<i64>, window: Window) -> i64 {
    let Window { from, to } = window.bounded();
    let length = to - from;
    match asked {
        Some(asked) if 0 < asked && length / asked <= MAX_POINTS => asked.min(Window::LATEST),
        _ => default_interval(length),
    }
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

fn greatest_common_divisor(mut a: i64, mut b: i64) -> i64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_grows_with_the_window() {
        let check = |length: i64, asked: Option<i64>, expected: i64| {
            let window = Window { from: 0, to: length };
            assert_eq!(interval(asked, window), expected, "{length} {asked:?}");
        };
        check(300, None, 20);
        check(3600, None, 20);
        check(3601, None, 60);
        check(86_400, None, 300);
        check(7 * 86_400, None, 3600);
        check(365 * 86_400, None, 86_400);
        check(4000 * 86_400, None, 3 * 86_400);
        check(300, Some(30), 30);
        check(300, Some(1), 1);
        check(3600, Some(1), 20);
        check(30_000, Some(20), 20);
        check(30_020, Some(20), 300);
        check(300, Some(0), 20);
        check(300, Some(-5), 20);
    }

    #[test]
    fn two_grids_have_the_starts_that_both_have() {
        let window = Window { from: 35, to: 320 };
        let (left, right) = (Grid::new(window, 20, 0), Grid::new(window, 50, 0));
        assert_eq!(left.common(right), Grid { first: 100, interval: 100, len: 3 });
        assert_eq!(left.common(left), left);
        assert_eq!(left.common(Grid::new(window, 1000, 0)).len, 0);
    }

    #[test]
    fn what_looks_back_has_buckets_before_the_window() {
        let grid = Grid::new(Window { from: 100, to: 130 }, 20, 45);
        assert_eq!(grid, Grid { first: 60, interval: 20, len: 4 });
        assert_eq!(grid.before(100), 2);
        assert_eq!(Grid::new(Window { from: 0, to: 0 }, 1, i64::MAX).len, 15_001);
    }

    #[test]
    fn no_window_is_too_much() {
        for window in [
            Window { from: i64::MIN, to: i64::MAX },
            Window { from: i64::MAX, to: i64::MIN },
            Window { from: i64::MAX, to: i64::MAX },
        ] {
            for asked in [None, Some(1), Some(i64::MAX)] {
                let grid = Grid::new(window, interval(asked, window), i64::MAX);
                assert!(grid.len <= 16_502, "{grid:?}");
            }
        }
    }
}
