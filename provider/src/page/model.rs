//! What is on a page; pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    api::answer,
    demand::{Autoscaler, Kind, MetricKey, Problem, Wanted},
    lead::Leadership,
    store::{Asking, Entry, Snapshot},
    write,
};

/// Autoscalers on one page: some hundred kilobytes of HTML.
pub const PER_PAGE: usize = 50;
/// Metrics of one autoscaler, and its problems, that are shown; its others are counted.
const PER_ROW: usize = 20;
/// Namespaces to choose from; another one can be typed.
const NAMESPACES: usize = 500;

/// What somebody wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only this namespace; empty are all.
    pub namespace: String,
    /// Only what has this in the autoscaler's or the metric's name.
    pub find: String,
    /// `trouble`: only what is in trouble.
    pub show: String,
    /// From 1.
    pub page: usize,
    /// Seconds after which the page loads itself again; 0 is never.
    pub reload: u32,
}

/// The page.
#[derive(Debug)]
pub struct Model {
    /// What was asked for, the page within its bounds.
    pub filter: Filter,
    /// The moment that it shows.
    pub now: Timestamp,
    /// Who leads.
    pub leadership: Leadership,
    /// How the asking goes.
    pub asking: Arc<Asking>,
    /// Whether the HPAs have been read.
    pub ready: bool,
    /// Metrics with a fresh sample, and all.
    pub metrics: (usize, usize),
    /// Autoscalers in trouble, those that the filter leaves, and all.
    pub autoscalers: (usize, usize, usize),
    /// Pages that the filter leaves.
    pub pages: usize,
    /// Where there are autoscalers.
    pub namespaces: Vec<String>,
    /// Those on this page, trouble first.
    pub rows: Vec<Row>,
}

/// One autoscaler, or a `DatadogMetric` that is asked for without one.
#[derive(Debug)]
pub struct Row {
    /// `None` where no autoscaler wants it.
    pub autoscaler: Option<Autoscaler>,
    /// What is wrong with it by itself.
    pub problems: Vec<Problem>,
    /// What it asks for.
    pub metrics: Vec<Metric>,
    /// Metrics and problems beyond those that are shown.
    pub more: usize,
    /// What kube-apiserver says of it, where that is known.
    pub scaling: Option<Arc<Scaling>>,
}

/// One metric of an autoscaler.
#[derive(Debug)]
pub struct Metric {
    /// What the autoscaler's controller asks for.
    pub key: MetricKey,
    /// Its name as written.
    pub name: String,
    /// What Datadog is asked.
    pub query: Option<String>,
    /// The last value.
    pub value: Option<f64>,
    /// How old that is.
    pub age: Option<Duration>,
    /// From which age on it is not served.
    pub age_limit: Duration,
    /// How it stands.
    pub state: State,
    /// The value of each minute of the last hour.
    pub hour: Vec<Option<f32>>,
}

/// How it stands with a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is served.
    Fresh,
    /// It was not asked yet.
    Waiting,
    /// It is not served: the reason of its Event, and the words of the API.
    Trouble(&'static str, String),
}

/// The status of an autoscaler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scaling {
    /// Replicas that there are.
    pub current: Option<i64>,
    /// Replicas that it wants.
    pub desired: Option<i64>,
    /// The least and the most that it may want.
    pub bounds: (Option<i64>, Option<i64>),
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// Why nothing is known.
    pub error: Option<String>,
}

/// One condition of an autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Such as `ScalingActive`.
    pub type_: String,
    /// Whether it is as it should be.
    pub good: bool,
    /// A word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Model {
    /// What `filter` leaves of `snapshot` at `now`.
    pub fn of(snapshot: &Snapshot, leadership: Leadership, filter: Filter, now: Timestamp) -> Self {
        let all = Group::all(snapshot);
        let mut namespaces: BTreeSet<&str> = all.keys().map(|id| id.1).collect();
        while namespaces.len() > NAMESPACES {
            namespaces.pop_last();
        }
        let valid = snapshot.iter().filter(|(_, _, entry)| entry.fresh(now).is_some()).count();
        let troubled = |group: &Group<'_>| group.is_in_trouble(&snapshot.asking, now);
        let total = all.len();
        let in_trouble = all.values().filter(|group| troubled(group)).count();
        let namespaces = namespaces.into_iter().map(str::to_owned).collect();
        let mut left: Vec<_> = all
            .into_iter()
            .filter(|(id, group)| group.fits(*id, &filter))
            .map(|(id, group)| (!troubled(&group), id, group))
            .filter(|(well, ..)| !*well || filter.show != "trouble")
            .collect();
        left.sort_by_key(|(well, id, _)| (*well, id.1, id.2, id.0));
        let fitting = left.len();
        let pages = fitting.div_ceil(PER_PAGE).max(1);
        let filter = Filter { page: filter.page.clamp(1, pages), ..filter };
        let rows = left.into_iter().skip((filter.page - 1) * PER_PAGE).take(PER_PAGE);
        Self {
            now,
            leadership,
            asking: snapshot.asking.clone(),
            ready: snapshot.ready,
            metrics: (valid, snapshot.len()),
            autoscalers: (in_trouble, fitting, total),
            pages,
            namespaces,
            rows: rows.map(|(_, _, group)| group.row(&snapshot.asking, now)).collect(),
            filter,
        }
    }
}

/// Kind (`None`: a `DatadogMetric`), namespace and name.
type Id<'a> = (Option<Kind>, &'a str, &'a str);

/// An autoscaler with what it asks for, borrowed from the snapshot.
#[derive(Debug, Default)]
struct Group<'a> {
    autoscaler: Option<&'a Autoscaler>,
    problems: Vec<&'a Problem>,
    metrics: Vec<(&'a MetricKey, &'a Wanted, &'a Entry)>,
}

impl<'a> Group<'a> {
    fn all(snapshot: &'a Snapshot) -> BTreeMap<Id<'a>, Self> {
        let mut all = BTreeMap::<Id<'a>, Self>::new();
        for (key, wanted, entry) in snapshot.iter() {
            for by in &wanted.by {
                Self::of(&mut all, by).metrics.push((key, wanted, entry));
            }
            if wanted.by.is_empty() {
                let group = all.entry((None, &key.namespace, &wanted.name)).or_default();
                group.metrics.push((key, wanted, entry));
            }
        }
        for (by, problem) in &snapshot.demand().problems {
            Self::of(&mut all, by).problems.push(problem);
        }
        all
    }

    fn of<'b>(all: &'b mut BTreeMap<Id<'a>, Self>, by: &'a Autoscaler) -> &'b mut Self {
        let group = all.entry((Some(by.kind), &by.namespace, &by.name)).or_default();
        group.autoscaler = Some(by);
        group
    }

    fn fits(&self, (_, namespace, name): Id<'_>, filter: &Filter) -> bool {
        let find = filter.find.trim();
        (filter.namespace.is_empty() || filter.namespace == namespace)
            && (find.is_empty()
                || name.contains(find)
                || self.metrics.iter().any(|(_, wanted, _)| wanted.name.contains(find)))
    }

    fn is_in_trouble(&self, asking: &Asking, now: Timestamp) -> bool {
        !self.problems.is_empty()
            || self.metrics.iter().any(|(_, _, entry)| write::reason(entry, asking, now).is_some())
    }

    fn row(self, asking: &Asking, now: Timestamp) -> Row {
        let more = |count: usize| count.saturating_sub(PER_ROW);
        let mut metrics = self.metrics;
        metrics.sort_by_key(|(_, _, entry)| write::reason(entry, asking, now).is_none());
        Row {
            autoscaler: self.autoscaler.cloned(),
            more: more(metrics.len()) + more(self.problems.len()),
            problems: self.problems.into_iter().take(PER_ROW).cloned().collect(),
            metrics: metrics
                .into_iter()
                .take(PER_ROW)
                .map(|(key, wanted, entry)| metric(key, wanted, entry, asking, now))
                .collect(),
            scaling: None,
        }
    }
}

fn metric(
    key: &MetricKey,
    wanted: &Wanted,
    entry: &Entry,
    asking: &Asking,
    now: Timestamp,
) -> Metric {
    let state = match write::reason(entry, asking, now) {
        Some(reason) => {
            let words = answer::without_value(entry, asking, now)
                .unwrap_or_else(|| answer::not_asked_yet(key));
            State::Trouble(reason, words.message().to_owned())
        }
        None if entry.fresh(now).is_some() => State::Fresh,
        None => State::Waiting,
    };
    Metric {
        key: key.clone(),
        name: wanted.name.clone(),
        query: entry.ask.as_ref().ok().map(|ask| ask.query.as_str().to_owned()),
        value: entry.sample.map(|sample| sample.value),
        age: entry.sample.map(|sample| sample.age(now)),
        age_limit: entry.age_limit,
        state,
        hour: vec![],
    }
}

impl Scaling {
    /// Reads an HPA or a WPA, whose status is the same as far as it is read.
    pub fn read(object: &Value) -> Self {
        let number = |path| object.pointer(path).and_then(Value::as_i64);
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        Self {
            current: number("/status/currentReplicas"),
            desired: number("/status/desiredReplicas"),
            bounds: (number("/spec/minReplicas"), number("/spec/maxReplicas")),
            conditions: conditions
                .into_iter()
                .flatten()
                .take(PER_ROW)
                .map(Condition::read)
                .collect(),
            error: None,
        }
    }
}

impl Condition {
    fn read(condition: &Value) -> Self {
        let text = |field| condition[field].as_str().unwrap_or_default().to_owned();
        let type_ = text("type");
        // The only one that is better false.
        let good = if type_ == "ScalingLimited" { "False" } else { "True" };
        Self {
            good: condition["status"] == good,
            type_,
            reason: text("reason"),
            message: text("message"),
        }
    }
}

#[cfg(test)]
mod tests;
