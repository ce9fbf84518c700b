//! Options that an autoscaler has in its annotations; pure.
//!
//! `external-metrics.datadoghq.com/OPTION` holds for all external metrics of the object,
//! `external-metrics.datadoghq.com/METRIC.OPTION` for one of them, whose name may be in any case.
//! No option has a dot in its name, so that what follows the last dot is the option and the metric
//! is the longest that it can be: `queue.rollup.max-age` is the `max-age` of `queue.rollup`.

use std::{collections::BTreeMap, time::Duration};

use clap::ValueEnum;

use crate::{
    demand::{Problem, duration},
    quantity,
    query::{Aggregator, Fallback, Overrides},
};

/// What the annotations begin with.
pub const PREFIX: &str = "external-metrics.datadoghq.com/";
/// How long there must be no fresh sample before a fallback is served, where nothing is said.
pub const FALLBACK_AFTER: Duration = Duration::from_secs(300);

/// Datadog keeps no query longer than this back, and nothing of ours needs more.
const LONGEST: Duration = Duration::from_secs(86_400);
const KNOWN: &str = "aggregator, rollup, max-age, window, fallback, fallback-after";

/// The value of an option, where it is set.
type Text = fn(&Overrides) -> Option<String>;
/// Every option with its value in [`Overrides`], for messages.
pub(super) const TEXTS: [(&str, Text); 5] = [
    ("aggregator", |it| it.aggregator.map(|aggregator| aggregator.as_str().to_owned())),
    ("rollup", |it| it.rollup.map(|time| format!("{time:?}"))),
    ("max-age", |it| it.max_age.map(|time| format!("{time:?}"))),
    ("window", |it| it.window.map(|time| format!("{time:?}"))),
    ("fallback", |it| it.fallback.map(|it| format!("{} after {:?}", it.value, it.after))),
];

/// The options of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    general: Given,
    /// By the metric's name in lower case.
    metrics: BTreeMap<String, Given>,
}

/// Options that stand together.
#[derive(Debug, Clone, Default, PartialEq)]
struct Given {
    aggregator: Option<Aggregator>,
    rollup: Option<Duration>,
    max_age: Option<Duration>,
    window: Option<Duration>,
    fallback: Option<f64>,
    fallback_after: Option<Duration>,
}

/// How the metric of an external source is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric<'a> {
    /// By its name.
    Named(&'a str),
    /// By a reference to a `DatadogMetric`.
    Reference,
}

impl Options {
    /// Reads the annotations of an object; what cannot be read is a problem and the rest holds.
    pub fn read(annotations: &BTreeMap<String, String>) -> (Self, Vec<Problem>) {
        let mut options = Self::default();
        let mut problems = Vec::new();
        for (annotation, value) in annotations {
            let Some(name) = annotation.strip_prefix(PREFIX) else { continue };
            if let Err(note) = options.set(name, value.trim()) {
                problems.push(problem(format!("annotation {annotation}: {note}")));
            }
        }
        (options, problems)
    }

    /// What holds for one metric of the object.
    pub fn overrides(&self, metric: Metric<'_>) -> Overrides {
        let none = Given::default();
        let own = match metric {
            Metric::Named(name) => self.metrics.get(&name.to_lowercase()).unwrap_or(&none),
            Metric::Reference => &none,
        };
        let general = &self.general;
        let named = matches!(metric, Metric::Named(_));
        let after = own.fallback_after.or(general.fallback_after).unwrap_or(FALLBACK_AFTER);
        let fallback = own.fallback.or(general.fallback);
        Overrides {
            aggregator: own.aggregator.or(general.aggregator).filter(|_| named),
            rollup: own.rollup.or(general.rollup).filter(|_| named),
            max_age: own.max_age.or(general.max_age),
            window: own.window.or(general.window),
            fallback: fallback.map(|value| Fallback { value, after }),
        }
    }

    /// Options that change nothing for an object with these metrics.
    pub fn without_effect(&self, metrics: &[Metric<'_>]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let is_named = |metric: &String| {
            metrics
                .iter()
                .any(|it| matches!(it, Metric::Named(name) if name.to_lowercase() == *metric))
        };
        for metric in self.metrics.keys().filter(|metric| !is_named(metric)) {
            problems.push(problem(format!(
                "annotation {PREFIX}{metric}.…: the object has no external metric {metric:?}, name \
                 one that it has or leave the metric's name out"
            )));
        }
        let idle = |given: &Given| {
            let fallback = given.fallback.or(self.general.fallback);
            given.fallback_after.is_some() && fallback.is_none()
        };
        if idle(&self.general) && self.metrics.values().all(|given| given.fallback.is_none())
            || self.metrics.values().any(idle)
        {
            problems.push(problem(format!(
                "annotation {PREFIX}fallback-after has no effect without {PREFIX}fallback, give a \
                 value there"
            )));
        }
        if metrics.contains(&Metric::Reference) {
            for (option, given) in [
                ("aggregator", self.general.aggregator.is_some()),
                ("rollup", self.general.rollup.is_some()),
            ] {
                if given {
                    problems.push(problem(format!(
                        "annotation {PREFIX}{option}: has no effect on a reference to a \
                         DatadogMetric, write it into the query there; for another metric of the \
                         object write METRIC.{option}"
                    )));
                }
            }
        }
        problems
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (metric, option) = match name.rsplit_once('.') {
            Some((metric, option)) => (Some(metric), option),
            None => (None, name),
        };
        let mut read = Given::default();
        match option {
            "aggregator" => read.aggregator = Some(aggregator(value)?),
            "rollup" => read.rollup = Some(whole_seconds(value)?),
            "max-age" => read.max_age = Some(time(value)?),
            "window" => read.window = Some(whole_seconds(value)?),
            "fallback" => read.fallback = Some(number(value)?),
            "fallback-after" => read.fallback_after = Some(time(value)?),
            _ => return Err(format!("option {option:?} is unknown, use one of {KNOWN}")),
        }
        let given = match metric {
            Some(metric) => self.metrics.entry(metric.to_lowercase()).or_default(),
            None => &mut self.general,
        };
        given.add(&read).map_err(|()| {
            "is there twice with the metric's name in another case; the other one holds".to_owned()
        })
    }
}

impl Given {
    /// Takes in the one option of `other`, unless it is there already.
    fn add(&mut self, other: &Self) -> Result<(), ()> {
        fn put<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), ()> {
            match (&place, value) {
                (_, None) => Ok(()),
                (Some(_), Some(_)) => Err(()),
                (None, value) => {
                    *place = value;
                    Ok(())
                }
            }
        }
        put(&mut self.aggregator, other.aggregator)?;
        put(&mut self.rollup, other.rollup)?;
        put(&mut self.max_age, other.max_age)?;
        put(&mut self.window, other.window)?;
        put(&mut self.fallback, other.fallback)?;
        put(&mut self.fallback_after, other.fallback_after)
    }
}

fn problem(note: String) -> Problem {
    Problem { reason: "InvalidOption", note }
}

fn aggregator(value: &str) -> Result<Aggregator, String> {
    Aggregator::from_str(value, true)
        .map_err(|_| format!("{value:?} is none of avg, sum, min and max"))
}

fn number(value: &str) -> Result<f64, String> {
    quantity::parse(value).ok_or_else(|| format!("{value:?} is no number such as 7, 2.5 or 1500m"))
}

fn whole_seconds(value: &str) -> Result<Duration, String> {
    time(value).ok().filter(|time| time.subsec_nanos() == 0).ok_or_else(|| {
        format!("{value:?} is no time in whole seconds from 1s to 24h, such as 30, 90s or 15m")
    })
}

/// Seconds as a number, or a duration with units.
fn time(value: &str) -> Result<Duration, String> {
    let time = match value.parse::<u32>() {
        Ok(seconds) => Some(Duration::from_secs(seconds.into())),
        Err(_) => duration::parse(value).ok(),
    };
    time.filter(|time| (Duration::from_secs(1)..=LONGEST).contains(time))
        .ok_or_else(|| format!("{value:?} is no time from 1s to 24h, such as 30, 90s or 15m"))
}

#[cfg(test)]
mod tests;
