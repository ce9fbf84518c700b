//! The fewest calls that were left in a while; pure.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

/// Readings that may still be the fewest: each is less than all after it, so that few are kept.
#[derive(Debug, Default)]
pub(super) struct Lowest(VecDeque<(Timestamp, u32)>);

/// Where nobody reads them.
const KEPT: usize = 1024;

impl Lowest {
    /// Takes in that `remaining` calls were left at `now`.
    pub(super) fn observe(&mut self, remaining: u32, now: Timestamp) {
        while self.0.back().is_some_and(|(_, other)| *other >= remaining) {
            self.0.pop_back();
        }
        self.0.push_back((now, remaining));
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// The fewest of the last `memory`, the last reading at least.
    pub(super) fn of(&mut self, memory: Duration, now: Timestamp) -> Option<u32> {
        let memory = jiff::SignedDuration::try_from(memory).unwrap_or(jiff::SignedDuration::MAX);
        let is_old = |(at, _): &(Timestamp, u32)| now.duration_since(*at) > memory;
        while self.0.len() > 1 && self.0.front().is_some_and(is_old) {
            self.0.pop_front();
        }
        self.0.front().map(|(_, remaining)| *remaining)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_fewest_of_a_while_are_told_and_then_forgotten() {
        let (mut lowest, minute) = (Lowest::default(), Duration::from_secs(60));
        assert_eq!(lowest.of(minute, at(0)), None);
        for (second, remaining) in [(0, 50), (10, 20), (20, 90), (30, 80)] {
            lowest.observe(remaining, at(second));
        }
        assert_eq!(lowest.of(minute, at(70)), Some(20));
        assert_eq!(lowest.of(minute, at(71)), Some(80));
        assert_eq!(lowest.of(minute, at(9999)), Some(80), "the last one is never forgotten");
    }

    #[test]
    fn readings_that_nobody_asks_for_are_bounded() {
        let mut lowest = Lowest::default();
        (0..10_000).for_each(|number| lowest.observe(number, at(number.into())));
        assert_eq!(lowest.0.len(), KEPT);
    }
}
