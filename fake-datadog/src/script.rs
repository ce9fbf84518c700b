//! Scripted series: values computed when somebody asks.

mod begun;

use std::{collections::BTreeMap, f64::consts::TAU};

use crate::{
    control::{InvalidScript, Script, Shape, Span},
    expr::{data::Source, scope::Scope},
    store::RETENTION,
    tags::{Tags, normalise_metric},
};

/// Most scripts at a time; more of them is a harness gone wild.
const MAX_SCRIPTS: usize = 10_000;

/// The scripts in force by metric and tags.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    running: BTreeMap<(String, Tags), Running>,
}

/// A script with its time zero.
#[derive(Clone, Debug)]
struct Running {
    script: Script,
    /// Unix seconds.
    origin: i64,
}

impl Scripts {
    /// Sets a script at `now`, Unix seconds, in place of one of the same metric and tags.
    /// Returns its tags as stored and its time zero.
    pub(crate) fn set(&mut self, now: i64, script: Script) -> Result<(Tags, i64), InvalidScript> {
        validate(&script)?;
        let tags = Tags::normalise(&script.tags);
        let key = (script.metric.clone(), tags.clone());
        if MAX_SCRIPTS <= self.running.len() && !self.running.contains_key(&key) {
            return Err(InvalidScript::TooMany(MAX_SCRIPTS));
        }
        let origin = script.start.resolve(now);
        self.running.insert(key, Running { script, origin });
        Ok((tags, origin))
    }

    /// Removes scripts: all, those of a metric, or the one with exactly these tags.
    /// Returns how many.
    pub(crate) fn remove(&mut self, metric: Option<&str>, tags: Option<&Tags>) -> usize {
        let before = self.running.len();
        self.running.retain(|(its_metric, its_tags), _| {
            metric.is_some_and(|metric| metric != its_metric)
                || tags.is_some_and(|tags| tags != its_tags)
        });
        before - self.running.len()
    }

    /// Number of scripts.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The scripted sources of `metric` in `scope` with their points from `from` to `to`, both
    /// included, as far as they lie in the [`RETENTION`] before `now`; all Unix seconds.
    pub(crate) fn sources(
        &self,
        now: i64,
        metric: &str,
        scope: &Scope,
        from: i64,
        to: i64,
    ) -> Vec<Source> {
        let (from, to) = (from.max(now - RETENTION), to.min(now));
        self.running
            .iter()
            .filter(|((its_metric, tags), _)| its_metric == metric && scope.matches(tags))
            .map(|((_, tags), running)| Source::gauge(tags.clone(), running.points(from, to)))
            .collect()
    }
}

impl Running {
    /// Points at the origin and every `every` after it, as far as `from..=to` holds them.
    fn points(&self, from: i64, to: i64) -> Vec<(i64, f64)> {
        let every = self.script.every.as_secs().max(1);
        let skipped = from.saturating_sub(self.origin).max(0).saturating_add(every - 1) / every;
        let first = self.origin.saturating_add(skipped.saturating_mul(every));
        let count = if first <= to { (to - first) / every + 1 } else { 0 };
        (0..count)
            .map(|index| first + index * every)
            .filter_map(|time| Some((time, self.value(time - self.origin)?)))
            .collect()
    }

    /// The value `elapsed` seconds after the origin; `None` where there is no point.
    fn value(&self, elapsed: i64) -> Option<f64> {
        let elapsed = std::time::Duration::from_secs(u64::try_from(elapsed).ok()?);
        let in_gap = self.script.gaps.iter().any(|gap| {
            let at = gap.at.as_duration();
            at <= elapsed && elapsed < at.saturating_add(gap.length.as_duration())
        });
        if in_gap { None } else { value(&self.script.shape, elapsed.into()) }
    }
}

/// The value of a shape `elapsed` after its start.
fn value(shape: &Shape, elapsed: Span) -> Option<f64> {
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
        Shape::Replay { values, each, repeat } => {
            let index = elapsed.as_duration().as_nanos() / each.as_duration().as_nanos().max(1);
            let index = usize::try_from(index).ok()?;
            let index = if *repeat { index.checked_rem(values.len())? } else { index };
            values.get(index).copied().flatten()
        }
    }
}

/// Refuses what no series can be made of.
pub(crate) fn validate(script: &Script) -> Result<(), InvalidScript> {
    if normalise_metric(&script.metric).as_deref() != Some(&script.metric) {
        return Err(InvalidScript::Metric(script.metric.clone()));
    }
    let every = script.every.as_duration();
    if every.as_secs() == 0 || every.subsec_nanos() != 0 {
        return Err(InvalidScript::Every(script.every));
    }
    for gap in &script.gaps {
        not_zero("the length of a gap", gap.length)?;
    }
    match &script.shape {
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
        Shape::Replay { values, each, repeat: _ } => {
            not_zero("each", *each)?;
            if values.is_empty() {
                return Err(InvalidScript::NoValues("replay"));
            }
            all_finite(values.iter().flatten().copied())
        }
    }
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

#[cfg(test)]
mod tests;
