//! What no series can be made of.

use crate::{
    control::{InvalidScript, Moment, Script, Shape, Span},
    script::template::{Member, members},
};

/// Refuses what no series can be made of.
pub(crate) fn validate(script: &Script) -> Result<(), InvalidScript> {
    validated(script).map(drop)
}

/// Number of series that a script makes; none when it is not in order.
pub(crate) fn count(script: &Script) -> usize {
    members(script).map_or(0, |members| members.len())
}

/// The series of a script that is in order.
pub(super) fn validated(script: &Script) -> Result<Vec<Member>, InvalidScript> {
    let members = members(script)?;
    whole_seconds("every", script.every)?;
    if let Some(interval) = script.interval {
        whole_seconds("interval", interval)?;
    }
    for gap in &script.gaps {
        not_zero("the length of a gap", gap.length)?;
    }
    all_finite([script.noise])?;
    if script.noise < 0.0 {
        return Err(InvalidScript::NegativeNoise(script.noise));
    }
    if let Some(per_series) = script.per_series {
        all_finite([per_series.add])?;
    }
    validate_shape(&script.shape)?;
    Ok(members)
}

fn validate_shape(shape: &Shape) -> Result<(), InvalidScript> {
    match shape {
        Shape::Constant(value) => all_finite([*value]),
        Shape::Step(steps) => {
            if steps.is_empty() {
                return Err(InvalidScript::NoValues("step"));
            }
            if let Some(pair) = steps.windows(2).find(|pair| pair[1].at <= pair[0].at) {
                return Err(InvalidScript::StepOrder { earlier: pair[0].at, later: pair[1].at });
            }
            all_finite(steps.iter().map(|step| step.value))
        }
        Shape::Ramp { from, to, over } => {
            not_zero("over", *over)?;
            all_finite([*from, *to])
        }
        Shape::Sine { mean, amplitude, period } => {
            not_zero("period", *period)?;
            all_finite([*mean, *amplitude])
        }
        Shape::RandomWalk { start, step, each, min, max } => {
            not_zero("each", *each)?;
            all_finite([*start, *step, *min, *max])?;
            if min < max && (*min..=*max).contains(start) {
                Ok(())
            } else {
                Err(InvalidScript::Bounds { min: *min, max: *max, start: *start })
            }
        }
        Shape::Burst { base, height, every, length } => {
            not_zero("every", *every)?;
            not_zero("the length of a burst", *length)?;
            all_finite([*base, *height])
        }
        Shape::Replay { values, each, repeat: _ } => {
            not_zero("each", *each)?;
            if values.is_empty() {
                return Err(InvalidScript::NoValues("replay"));
            }
            all_finite(values.iter().flatten().copied())
        }
        Shape::Timeline { points, repeat: _ } => validate_timeline(points),
        Shape::Csv(csv) => Err(InvalidScript::File(csv.file.display().to_string())),
        Shape::Answer(answer) => Err(InvalidScript::File(answer.file.display().to_string())),
    }
}

fn validate_timeline(points: &[Moment]) -> Result<(), InvalidScript> {
    if points.is_empty() {
        return Err(InvalidScript::NoValues("timeline"));
    }
    if let Some(pair) = points.windows(2).find(|pair| pair[1].at <= pair[0].at) {
        return Err(InvalidScript::TimelineOrder { earlier: pair[0].at, later: pair[1].at });
    }
    all_finite(points.iter().filter_map(|it| it.value))
}

fn whole_seconds(what: &'static str, span: Span) -> Result<(), InvalidScript> {
    let duration = span.as_duration();
    if duration.as_secs() == 0 || duration.subsec_nanos() != 0 {
        return Err(InvalidScript::NotWholeSeconds(what, span));
    }
    Ok(())
}

fn not_zero(what: &'static str, span: Span) -> Result<(), InvalidScript> {
    if span == Span::default() { Err(InvalidScript::ZeroSpan(what)) } else { Ok(()) }
}

fn all_finite(values: impl IntoIterator<Item = f64>) -> Result<(), InvalidScript> {
    match values.into_iter().find(|value| !value.is_finite()) {
        Some(value) => Err(InvalidScript::NotFinite(value)),
        None => Ok(()),
    }
}
