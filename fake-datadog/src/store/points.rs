//! The points of one series, ascending in time, in little memory.

mod run;

use run::Run;

/// The points of one series in runs of up to [`run::MAX_LEN`] points.
///
/// A reporter sends a point every so many seconds, so a run is a start, a step and its values:
/// 8 bytes a point and a little for the run. Late, double and irregular points are as right, and
/// cost 4 bytes more for the time of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    /// Each has a point at least; none begins before the one in front of it ends.
    runs: Vec<Run>,
    len: usize,
}

impl Points {
    /// Number of points.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Time of the newest point, Unix seconds.
    pub(super) fn newest(&self) -> Option<i64> {
        self.runs.last().map(Run::end)
    }

    /// Takes a point in place of one of the same second.
    pub(super) fn set(&mut self, time: i64, value: f64) {
        let index = self.run_of(time);
        if let Some(run) = self.runs.get_mut(index)
            && run.replace(time, value)
        {
            return;
        }
        self.insert(index, time, value);
    }

    /// Takes a point beside those of the same second.
    pub(super) fn add(&mut self, time: i64, value: f64) {
        self.insert(self.run_of(time), time, value);
    }

    /// The points from `from` to `to`, both included.
    pub(super) fn range(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, f64)> {
        let first = self.runs.partition_point(|run| run.end() < from);
        let runs = self.runs[first..].iter().take_while(move |run| run.start() <= to);
        runs.flat_map(move |run| run.range(from, to))
    }

    /// A copy of the points from `from` to `to`, both included.
    pub(super) fn copy(&self, from: i64, to: i64) -> Vec<(i64, f64)> {
        let first = self.runs.partition_point(|run| run.end() < from);
        let last = self.runs.partition_point(|run| run.start() <= to).max(first);
        let runs = &self.runs[first..last];
        let mut points = Vec::with_capacity(runs.iter().map(Run::len).sum());
        for run in runs {
            run.copy(from, to, &mut points);
        }
        points
    }

    /// Forgets the runs that end before `time`. Returns how many points that were.
    pub(super) fn forget_before(&mut self, time: i64) -> usize {
        let old = self.runs.partition_point(|run| run.end() < time);
        self.forget_runs(old)
    }

    /// Forgets the oldest runs until at most `most` points are left. Returns how many went.
    pub(super) fn forget_beyond(&mut self, most: usize) -> usize {
        let (mut left, mut old) = (self.len, 0);
        while most < left && old < self.runs.len() {
            left -= self.runs[old].len();
            old += 1;
        }
        self.forget_runs(old)
    }

    /// The last run that does not begin after `time`, or the first.
    fn run_of(&self, time: i64) -> usize {
        self.runs.partition_point(|run| run.start() <= time).saturating_sub(1)
    }

    fn insert(&mut self, index: usize, time: i64, value: f64) {
        self.len += 1;
        let is_last = index + 1 == self.runs.len();
        let Some(run) = self.runs.get_mut(index) else {
            self.runs.push(Run::new(time, value));
            return;
        };
        if run.push(time, value) {
            return;
        }
        if is_last && run.end() <= time {
            run.settle();
            self.runs.push(Run::new(time, value));
        } else if run.insert(time, value) {
            if let Some(tail) = run.split() {
                self.runs.insert(index + 1, tail);
            }
        } else {
            // Further from the run than a `u32` of seconds.
            let index = if time < run.start() { index } else { index + 1 };
            self.runs.insert(index, Run::new(time, value));
        }
    }

    fn forget_runs(&mut self, count: usize) -> usize {
        let gone = self.runs.drain(..count).map(|run| run.len()).sum();
        self.len -= gone;
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn all(points: &Points) -> Vec<(i64, f64)> {
        points.range(i64::MIN, i64::MAX).collect()
    }

    proptest! {
        #[test]
        fn property_test_any_order_of_arrival_gives_the_last_point_of_every_second(
            times in prop::collection::vec(prop_oneof![
                0..2000_i64, (0..200_i64).prop_map(|it| it * 10), Just(i64::from(u32::MAX) * 3),
            ], 0..700),
            from in -5..2100_i64,
            length in 0..500_i64,
        ) {
            let (mut points, mut model) = (Points::default(), BTreeMap::new());
            for (value, time) in (0_u16..).zip(times) {
                points.set(time, f64::from(value));
                model.insert(time, f64::from(value));
            }
            prop_assert_eq!(points.len(), model.len());
            prop_assert_eq!(all(&points), model.clone().into_iter().collect::<Vec<_>>());
            let range: Vec<_> = points.range(from, from + length).collect();
            let expected: Vec<_> = model.range(from..=from + length).map(|(t, v)| (*t, *v)).collect();
            prop_assert_eq!(&range, &expected);
            prop_assert_eq!(points.copy(from, from + length), expected);
            prop_assert_eq!(points.newest(), model.keys().last().copied());
        }

        #[test]
        fn property_test_values_of_one_second_are_all_kept(
            times in prop::collection::vec(0..6_i64, 0..700),
        ) {
            let (mut points, mut model) = (Points::default(), Vec::new());
            for (value, time) in (0_u16..).zip(times) {
                points.add(time, f64::from(value));
                model.push((time, f64::from(value)));
            }
            model.sort_by_key(|(time, _)| *time);
            prop_assert_eq!(points.len(), model.len());
            prop_assert_eq!(all(&points), model);
        }

        #[test]
        fn property_test_what_is_forgotten_is_the_oldest(
            times in prop::collection::vec(0..2000_i64, 0..700), before in 0..2000_i64,
        ) {
            let mut points = Points::default();
            for time in times {
                points.set(time, 0.0);
            }
            let expected = points.range(before, i64::MAX).count();
            let len = points.len();
            let gone = points.forget_before(before);
            prop_assert_eq!(points.len(), len - gone);
            prop_assert_eq!(points.range(before, i64::MAX).count(), expected);
            prop_assert_eq!(all(&points).len(), points.len());
            points.forget_beyond(100);
            prop_assert!(points.len() <= 100);
        }
    }

    #[test]
    fn a_regular_series_needs_no_times() {
        let mut points = Points::default();
        for index in 0..360 {
            points.set(1_800_000_000 + index * 10, 1.5);
        }
        assert_eq!(points.runs.len(), 3);
        assert!(points.runs.iter().all(Run::is_regular));
    }

    #[test]
    fn points_that_came_backwards_are_regular_in_the_end() {
        let mut points = Points::default();
        for index in (0..360).rev() {
            points.set(1_800_000_000 + index * 10, 1.5);
        }
        assert!(points.runs.len() <= 6, "{}", points.runs.len());
        assert_eq!(points.runs.iter().filter(|run| !run.is_regular()).count(), 1);
    }
}
