//! The value of a shape at a time.

use std::{f64::consts::TAU, time::Duration};

use crate::{
    control::{Moment, Shape, Span},
    script::random::{Seed, reflect},
};

/// The value of a shape `elapsed` after its start.
pub(super) fn value(shape: &Shape, seed: Seed, elapsed: Span) -> Option<f64> {
    let part_of = |span: Span| elapsed.as_duration().div_duration_f64(span.as_duration());
    match shape {
        Shape::Constant(value) => Some(*value),
        Shape::Step(steps) => {
            let index = steps.partition_point(|step| step.at <= elapsed).checked_sub(1)?;
            steps.get(index).map(|step| step.value)
        }
        Shape::Ramp { from, to, over } => Some(from + (to - from) * part_of(*over).min(1.0)),
        Shape::Sine { mean, amplitude, period } => {
            Some(mean + amplitude * (TAU * part_of(*period)).sin())
        }
        Shape::RandomWalk { start, step, each, min, max } => {
            let steps = u64::try_from(whole(elapsed, *each)).unwrap_or(u64::MAX);
            Some(reflect(start + step * seed.walk(steps), *min, *max))
        }
        Shape::Burst { base, height, every, length } => {
            let since = elapsed.as_duration().as_nanos() % every.as_duration().as_nanos().max(1);
            let bursts = since < length.as_duration().as_nanos();
            Some(if bursts { base + height } else { *base })
        }
        Shape::Replay { values, each, repeat } => {
            let index = usize::try_from(whole(elapsed, *each)).ok()?;
            let index = if *repeat { index.checked_rem(values.len())? } else { index };
            values.get(index).copied().flatten()
        }
        Shape::Timeline { points, repeat } => {
            let (elapsed, end) = (elapsed.as_duration(), end(points));
            let elapsed = match (elapsed < end, repeat) {
                (true, _) => elapsed,
                (false, true) => remainder(elapsed, end)?,
                (false, false) => return None,
            };
            let index = points.partition_point(|it| it.at.as_duration() <= elapsed);
            points.get(index.checked_sub(1)?)?.value
        }
        // Loaded with the scenario, and refused elsewhere.
        Shape::Csv(_) | Shape::Answer(_) => None,
    }
}

/// Where a timeline ends: its last value holds as long as the one before it did.
fn end(points: &[Moment]) -> Duration {
    let at = |back: usize| Some(points.get(points.len().checked_sub(back)?)?.at.as_duration());
    let last = at(1).unwrap_or_default();
    let held = at(2).map_or(Duration::from_secs(1), |before| last.saturating_sub(before));
    last.saturating_add(held)
}

fn remainder(elapsed: Duration, period: Duration) -> Option<Duration> {
    let nanos = elapsed.as_nanos().checked_rem(period.as_nanos())?;
    Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
}

/// How often `each` has passed.
fn whole(elapsed: Span, each: Span) -> u128 {
    elapsed.as_duration().as_nanos() / each.as_duration().as_nanos().max(1)
}
