//! Scripted series: values computed when somebody asks.

mod begun;
mod plot;
mod random;
mod template;
mod validate;
mod value;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    clock::ScenarioClock,
    control::{InvalidScript, MetricType, Script, SeriesState, Span, Start},
    expr::{data::Source, scope::Scope},
    script::{random::Seed, template::Member, validate::validated},
    store::RETENTION,
    tags::Tags,
};

pub(crate) use crate::script::validate::{count, validate};

/// Most scripts at a time; more of them is a harness gone wild.
const MAX_SCRIPTS: usize = 50_000;

/// The scripted series in force.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    /// What all their randomness derives from.
    seed: u64,
    /// By metric and tags.
    running: BTreeMap<String, BTreeMap<Tags, Running>>,
    /// Number of all of `running`.
    count: usize,
    /// Number of scripts set so far.
    set: u64,
}

/// A series of a script with its time zero.
#[derive(Clone, Debug)]
struct Running {
    /// All series of a template share it.
    script: Arc<Script>,
    /// The number of the script among those set.
    number: u64,
    /// The number of this series in the template.
    index: u32,
    seed: Seed,
    /// The second of its first point, Unix time.
    first: i64,
    /// Scenario time of the shape's time zero.
    zero: f64,
}

/// A script as taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// Of the first series.
    pub(crate) metric: String,
    /// Of the first series, as stored.
    pub(crate) tags: Tags,
    /// The second of the first point, Unix time.
    pub(crate) first: i64,
    /// Number of series.
    pub(crate) series: usize,
}

impl Scripts {
    /// No scripts yet, with the seed of those to come.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Sets a script at `now`; its series replace those of the same metric and tags.
    pub(crate) fn set(
        &mut self,
        clock: &ScenarioClock,
        now: Timestamp,
        script: Script,
    ) -> Result<Taken, InvalidScript> {
        let members = validated(&script)?;
        let added = members.iter().filter(|it| !self.has(&it.metric, &it.tags)).count();
        let Some(Member { metric, tags, .. }) = members.first().cloned() else {
            return Err(InvalidScript::NoValues("for"));
        };
        if MAX_SCRIPTS < self.count.saturating_add(added) {
            return Err(InvalidScript::TooMany(MAX_SCRIPTS));
        }
        let (first, zero) = origin(clock, now, script.start);
        let (script, series) = (Arc::new(script), members.len());
        self.set += 1;
        let number = self.set;
        for Member { metric, tags, index } in members {
            let seed = Seed::of(self.seed, &script, &metric, &tags);
            let running = Running { script: script.clone(), number, index, seed, first, zero };
            self.running.entry(metric).or_default().insert(tags, running);
        }
        self.count += added;
        Ok(Taken { metric, tags, first, series })
    }

    /// Removes scripts: all, those of a metric, or the one with exactly these tags.
    /// Returns how many.
    pub(crate) fn remove(&mut self, metric: Option<&str>, tags: Option<&Tags>) -> usize {
        let before = self.count;
        self.running.retain(|its_metric, series| {
            if metric.is_none_or(|metric| metric == its_metric) {
                series.retain(|its_tags, _| tags.is_some_and(|tags| tags != its_tags));
            }
            !series.is_empty()
        });
        self.count = self.running.values().map(BTreeMap::len).sum();
        before - self.count
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The scripts in force as they were set, oldest first; a template as long as one of its
    /// series is left.
    pub(crate) fn scripts(&self) -> Vec<Script> {
        let all = self.running.values().flat_map(BTreeMap::values);
        let scripts: BTreeMap<u64, &Arc<Script>> =
            all.map(|running| (running.number, &running.script)).collect();
        scripts.into_values().map(|it| Script::clone(it)).collect()
    }

    /// The series at `now`: all, or those of a metric.
    pub(crate) fn states(
        &self,
        clock: &ScenarioClock,
        now: Timestamp,
        metric: Option<&str>,
    ) -> Vec<SeriesState> {
        let wanted = self.running.iter().filter(|(its, _)| metric.is_none_or(|it| it == *its));
        wanted
            .flat_map(|(metric, series)| series.iter().map(move |it| (metric, it)))
            .map(|(metric, (tags, running))| SeriesState {
                metric: metric.clone(),
                tags: tags.iter().map(str::to_owned).collect(),
                kind: running.script.kind,
                start: Timestamp::from_second(running.first).unwrap_or(now),
                every: running.script.every,
                value: running.latest(clock, now.as_second()),
                shape: running.script.shape.clone(),
            })
            .collect()
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
        let series = self.running.get(metric).into_iter().flatten();
        series
            .filter(|(tags, _)| scope.matches(tags))
            .map(|(tags, running)| Source {
                tags: tags.clone(),
                kind: running.script.kind.into(),
                interval: running.interval(),
                points: running.points(clock, from, to),
            })
            .collect()
    }

    fn has(&self, metric: &str, tags: &Tags) -> bool {
        self.running.get(metric).is_some_and(|series| series.contains_key(tags))
    }
}

impl Running {
    /// Points at the first second and every `every` after it, as far as `from..=to` holds them.
    fn points(&self, clock: &ScenarioClock, from: i64, to: i64) -> Vec<(i64, f64)> {
        self.points_apart(clock, from, to, 1)
    }

    /// The same, but of those less than `apart` seconds apart only one.
    fn points_apart(
        &self,
        clock: &ScenarioClock,
        from: i64,
        to: i64,
        apart: i64,
    ) -> Vec<(i64, f64)> {
        let own = self.script.every.as_secs().max(1);
        let every = own.saturating_mul((apart / own).max(1));
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

    /// The value of the newest point at `now`.
    fn latest(&self, clock: &ScenarioClock, now: i64) -> Option<f64> {
        let since = now.checked_sub(self.first).filter(|since| 0 <= *since)?;
        let newest = now - since % self.script.every.as_secs().max(1);
        self.points(clock, newest, newest).first().map(|(_, value)| *value)
    }

    /// The value of the point of a number, `elapsed` after the shape's time zero; `None` where
    /// there is no point.
    fn value(&self, elapsed: Duration, number: u64) -> Option<f64> {
        let Script { shape, gaps, noise, per_series, .. } = &*self.script;
        let in_gap = gaps.iter().any(|gap| {
            let at = gap.at.as_duration();
            at <= elapsed && elapsed < at.saturating_add(gap.length.as_duration())
        });
        if in_gap {
            return None;
        }
        let per_series = per_series.unwrap_or_default();
        let ahead = per_series.ahead.as_duration().saturating_mul(self.index);
        let value = value::value(shape, self.seed, elapsed.saturating_add(ahead).into())?;
        Some(value + per_series.add * f64::from(self.index) + noise * self.seed.noise(number))
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
    let seconds = |span: Span| span.as_duration().as_secs_f64();
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
fn elapsed(seconds: f64) -> Option<Duration> {
    #[expect(clippy::cast_possible_truncation, reason = "a cast of floats saturates")]
    let micros = (seconds * 1e6).round() as i64;
    Some(Duration::from_micros(u64::try_from(micros).ok()?))
}

#[cfg(test)]
mod tests;
