//! Scripted series: values computed when somebody asks.

mod random;
mod validate;
mod value;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    clock::ScenarioClock,
    control::{InvalidScript, MetricType, Script, Start},
    expr::{data::Source, scope::Scope},
    script::random::Seed,
    store::RETENTION,
    tags::Tags,
};

pub(crate) use crate::script::validate::validate;

/// Most scripts at a time; more of them is a harness gone wild.
const MAX_SCRIPTS: usize = 50_000;

/// The scripts in force by metric and tags.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    /// What all their randomness derives from.
    seed: u64,
    running: BTreeMap<(String, Tags), Running>,
}

/// A script with its time zero.
#[derive(Clone, Debug)]
struct Running {
    script: Script,
    seed: Seed,
    /// The second of its first point, Unix time.
    first: i64,
    /// Scenario time of the shape's time zero.
    zero: f64,
}

impl Scripts {
    /// No scripts yet, with the seed of those to come.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, running: BTreeMap::new() }
    }

    /// Sets a script at `now` in place of one of the same metric and tags. Returns its tags as
    /// stored and the second of its first point.
    pub(crate) fn set(
        &mut self,
        clock: &ScenarioClock,
        now: Timestamp,
        script: Script,
    ) -> Result<(Tags, i64), InvalidScript> {
        validate(&script)?;
        let tags = Tags::normalise(&script.tags);
        let key = (script.metric.clone(), tags.clone());
        if MAX_SCRIPTS <= self.running.len() && !self.running.contains_key(&key) {
            return Err(InvalidScript::TooMany(MAX_SCRIPTS));
        }
        let seed = Seed::of(self.seed, &script, &script.metric, &tags);
        let (first, zero) = origin(clock, now, script.start);
        self.running.insert(key, Running { script, seed, first, zero });
        Ok((tags, first))
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
        clock: &ScenarioClock,
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
            .map(|((_, tags), running)| Source {
                tags: tags.clone(),
                kind: running.script.kind.into(),
                interval: running.interval(),
                points: running.points(clock, from, to),
            })
            .collect()
    }
}

impl Running {
    /// Points at the first second and every `every` after it, as far as `from..=to` holds them.
    fn points(&self, clock: &ScenarioClock, from: i64, to: i64) -> Vec<(i64, f64)> {
        let every = self.script.every.as_secs().max(1);
        let skipped = from.saturating_sub(self.first).max(0).saturating_add(every - 1) / every;
        let first = self.first.saturating_add(skipped.saturating_mul(every));
        let count = if first <= to { (to - first) / every + 1 } else { 0 };
        (0..count)
            .filter_map(|index| {
                let time = first + index * every;
                let elapsed = elapsed(clock.at_second(time) - self.zero)?;
                let index = u64::try_from(skipped.saturating_add(index)).ok()?;
                Some((time, self.value(elapsed, index)?))
            })
            .collect()
    }

    /// The value of the point of a number, `elapsed` after the shape's time zero; `None` where
    /// there is no point.
    fn value(&self, elapsed: std::time::Duration, index: u64) -> Option<f64> {
        let in_gap = self.script.gaps.iter().any(|gap| {
            let at = gap.at.as_duration();
            at <= elapsed && elapsed < at.saturating_add(gap.length.as_duration())
        });
        if in_gap {
            return None;
        }
        let value = value::value(&self.script.shape, self.seed, elapsed.into())?;
        Some(value + self.script.noise * self.seed.noise(index))
    }

    /// Interval of the points as submitted, in seconds.
    fn interval(&self) -> Option<u32> {
        let own = match self.script.kind {
            MetricType::Gauge => None,
            MetricType::Rate | MetricType::Count => Some(self.script.every),
        };
        u32::try_from(self.script.interval.or(own)?.as_secs()).ok()
    }
}

/// The second of the first point, and the shape's time zero in scenario time.
fn origin(clock: &ScenarioClock, now: Timestamp, start: Start) -> (i64, f64) {
    let second = now.as_second();
    #[expect(clippy::cast_possible_truncation, reason = "spans are of ten years at most")]
    let real = |span| clock.real_seconds(now, span).floor() as i64;
    let seconds = |span: crate::control::Span| span.as_duration().as_secs_f64();
    match start {
        Start::Now => (second, clock.at_second(second)),
        Start::Ago(span) => {
            (second.saturating_sub(real(span)), clock.at_second(second) - seconds(span))
        }
        Start::In(span) => {
            (second.saturating_add(real(span)), clock.at_second(second) + seconds(span))
        }
        Start::At(time) => (time.as_second(), clock.at_second(time.as_second())),
    }
}

/// Scenario seconds as a duration, without the dust of floating point: microseconds.
fn elapsed(seconds: f64) -> Option<std::time::Duration> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
    let micros = (seconds * 1e6).round() as i64;
    Some(std::time::Duration::from_micros(u64::try_from(micros).ok()?))
}

#[cfg(test)]
mod tests;
