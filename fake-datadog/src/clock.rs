//! The time of a scenario: when it began, how fast it goes, and where it was moved.

use jiff::{SignedDuration, Timestamp};

use crate::control::{Clock, ClockChange, Span, TimeScale};

/// Most changes of speed that are remembered; of older ones the scripts' past no longer tells.
const MAX_CHANGES: usize = 1000;

/// Real time ↔ scenario time.
///
/// Scenario time is in seconds since the scenario began and negative before. A change of the
/// speed only concerns what comes after it: what a script said of the past stays said.
#[derive(Clone, Debug)]
pub(crate) struct ScenarioClock {
    /// Time before `changes`, back to any past.
    first: Segment,
    /// Ascending in time.
    changes: Vec<Segment>,
}

/// A stretch of time with one speed, up to the next of them.
#[derive(Clone, Copy, Debug)]
struct Segment {
    /// Real time at which it begins.
    real: Timestamp,
    /// Scenario time at which it begins.
    scenario: f64,
    /// Scenario seconds per real second.
    scale: f64,
}

impl ScenarioClock {
    /// The clock of a scenario that begins at `start`.
    pub(crate) fn new(start: Timestamp, scale: TimeScale) -> Self {
        let first = Segment { real: start, scenario: 0.0, scale: scale.get() };
        Self { first, changes: Vec::new() }
    }

    /// Scenario time at `real`.
    pub(crate) fn at(&self, real: Timestamp) -> f64 {
        self.segment(real).at(real)
    }

    /// Scenario time at a Unix second.
    pub(crate) fn at_second(&self, second: i64) -> f64 {
        let far = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.at(Timestamp::from_second(second).unwrap_or(far))
    }

    /// Where the scenario is at `now`.
    pub(crate) fn read(&self, now: Timestamp) -> Clock {
        let time_scale = TimeScale::saturating(self.segment(now).scale);
        Clock { now, elapsed_s: self.at(now), time_scale }
    }

    /// Changes it from `now` on.
    pub(crate) fn apply(&mut self, now: Timestamp, change: ClockChange) {
        if let Some(span) = change.advance {
            self.advance(now, span);
        }
        if let Some(scale) = change.time_scale {
            self.set_scale(now, scale);
        }
    }

    /// From `now` on, goes at another speed; at 0 the scenario stands still.
    fn set_scale(&mut self, now: Timestamp, scale: TimeScale) {
        let scenario = self.at(now);
        self.change(Segment { real: now, scenario, scale: scale.get() });
    }

    /// At `now`, skips a span of the scenario.
    fn advance(&mut self, now: Timestamp, by: Span) {
        let Segment { scale, .. } = self.segment(now);
        let scenario = self.at(now) + by.as_duration().as_secs_f64();
        self.change(Segment { real: now, scenario, scale });
    }

    /// The first moment, to the microsecond, at which scenario time is `scenario` or later; the
    /// end of all time when it never is.
    pub(crate) fn real(&self, scenario: f64) -> Timestamp {
        let mut segment = self.first;
        for next in &self.changes {
            if scenario <= segment.at(next.real) {
                return segment.real_at(scenario);
            }
            segment = *next;
            if scenario <= segment.scenario {
                return segment.real;
            }
        }
        segment.real_at(scenario)
    }

    /// The span of real time that `span` of the scenario takes at the speed of `now`, in seconds;
    /// when it stands still, as if it were real time.
    pub(crate) fn real_seconds(&self, now: Timestamp, span: Span) -> f64 {
        let scale = self.segment(now).scale;
        span.as_duration().as_secs_f64() / if scale == 0.0 { 1.0 } else { scale }
    }

    fn segment(&self, real: Timestamp) -> Segment {
        let index = self.changes.partition_point(|it| it.real <= real);
        if index == 0 { self.first } else { self.changes[index - 1] }
    }

    fn change(&mut self, segment: Segment) {
        // Two changes at one time, or a system clock that went back: the last word counts.
        self.changes.retain(|it| it.real < segment.real);
        self.changes.push(segment);
        if MAX_CHANGES < self.changes.len() {
            self.first = self.changes.remove(0);
        }
    }
}

impl Segment {
    fn at(self, real: Timestamp) -> f64 {
        let since = real.duration_since(self.real).as_secs_f64();
        self.scenario + since * self.scale
    }

    /// When it is `scenario`, as if this speed held for ever.
    fn real_at(self, scenario: f64) -> Timestamp {
        let ahead = scenario - self.scenario;
        if self.scale == 0.0 {
            return if ahead <= 0.0 { self.real } else { Timestamp::MAX };
        }
        #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
        let micros = (ahead / self.scale * 1e6).round() as i64;
        let far = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.real.checked_add(SignedDuration::from_micros(micros)).unwrap_or(far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn clock(scale: f64) -> ScenarioClock {
        ScenarioClock::new(second(0), TimeScale::new(scale).unwrap())
    }

    #[track_caller]
    fn check(clock: &ScenarioClock, expected: &[(i64, f64)]) {
        let seen = expected.iter().map(|(at, _)| (*at, clock.at(second(*at))));
        assert_eq!(seen.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_scale_is_scenario_seconds_per_real_second() {
        check(&clock(60.0), &[(-1, -60.0), (0, 0.0), (2, 120.0)]);
        check(&clock(0.5), &[(-2, -1.0), (3, 1.5)]);
        check(&clock(0.0), &[(-2, 0.0), (3, 0.0)]);
    }

    #[test]
    fn another_speed_leaves_the_past_alone() {
        let mut clock = clock(1.0);
        clock.set_scale(second(10), TimeScale::new(60.0).unwrap());
        clock.set_scale(second(20), TimeScale::new(0.0).unwrap());
        clock.set_scale(second(30), TimeScale::new(2.0).unwrap());
        check(&clock, &[(-5, -5.0), (10, 10.0), (11, 70.0), (20, 610.0), (25, 610.0), (31, 612.0)]);
        assert_eq!(clock.read(second(15)).time_scale, TimeScale::new(60.0).unwrap());
    }

    #[test]
    fn a_span_is_skipped_at_once() {
        let mut clock = clock(2.0);
        clock.advance(second(10), Span::from_secs(100));
        clock.advance(second(10), Span::from_secs(100));
        check(&clock, &[(9, 18.0), (10, 220.0), (11, 222.0)]);
    }

    #[test]
    fn a_scenario_time_comes_once_or_never() {
        let mut clock = clock(2.0);
        clock.advance(second(10), Span::from_secs(100));
        clock.set_scale(second(20), TimeScale::FROZEN);
        let check = |scenario, expected| assert_eq!(clock.real(scenario), expected, "{scenario}");
        check(-4.0, second(-2));
        check(4.0, second(2));
        check(50.0, second(10)); // was skipped
        check(130.0, second(15));
        check(140.0, second(20));
        check(141.0, Timestamp::MAX);
    }

    #[test]
    fn old_changes_are_forgotten() {
        let mut clock = clock(1.0);
        for at in 0..2000 {
            clock.advance(second(at), Span::from_secs(1));
        }
        assert_eq!(clock.changes.len(), MAX_CHANGES);
        check(&clock, &[(1999, 3999.0)]);
    }
}
