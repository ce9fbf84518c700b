//! The value of a shape at a time.

use std::f64::consts::TAU;

use crate::{
    control::{Shape, Span},
    script::random::{Seed, reflect},
};

/// The value of a shape `elapsed` after its start.
pub(super) fn value(shape: &Shape, seed: Seed, elapsed: Span) -> Option<f64> {
    let part_of = |span: Span| elapsed.as_duration().div_duration_f64(span.as_duration());
    match shape {
        Shape::Constant(value) => Some(*value),
        Shape::Step(steps) => {
            steps.iter().rev().find(|step| step.at <= elapsed).map(|step| step.value)
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
    }
}

/// How often `each` has passed.
fn whole(elapsed: Span, each: Span) -> u128 {
    elapsed.as_duration().as_nanos() / each.as_duration().as_nanos().max(1)
}
