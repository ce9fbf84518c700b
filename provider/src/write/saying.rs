//! What the owner of an autoscaler should be told now, in the words of the API; pure.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::Timestamp;

use crate::{
    api::answer,
    datadog::Error,
    demand::{Autoscaler, Kind, MetricKey, ObjectName, Problem, Source, Wanted, reference},
    sample::NoSample,
    store::{Asking, Entry, Outcome, Snapshot},
    write::words::{NOTE_LIMIT, cut},
};

/// The `reason` of the Event that a metric which had a failure Event is well again.
pub(super) const AVAILABLE: &str = "MetricAvailable";

/// Something that an Event may be about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Topic<'a> {
    /// What the watch found wrong with an autoscaler.
    Problem(&'a Autoscaler, &'a Problem),
    /// A wanted metric, with the `DatadogMetric` that has its query, if one has.
    Metric(&'a MetricKey, &'a Wanted, &'a Entry, &'a Asking, Option<Object<'a>>),
}

/// An object that an Event may be about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    /// One that wants the metric.
    Autoscaler(&'a Autoscaler),
    /// The one that has the query, with its UID.
    DatadogMetric(&'a ObjectName, &'a str),
}

/// The same, to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Regarding {
    /// Such as `autoscaling/v2`.
    pub(super) api_version: &'static str,
    /// Such as `HorizontalPodAutoscaler`.
    pub(super) kind: &'static str,
    /// Its namespace, which is that of the Event, too.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// Its UID.
    pub(super) uid: String,
}

impl From<Object<'_>> for Regarding {
    fn from(object: Object<'_>) -> Self {
        let (api_version, kind) = match object {
            Object::Autoscaler(by) if by.kind == Kind::Hpa => {
                ("autoscaling/v2", "HorizontalPodAutoscaler")
            }
            Object::Autoscaler(_) => ("datadoghq.com/v1alpha1", "WatermarkPodAutoscaler"),
            Object::DatadogMetric(..) => ("datadoghq.com/v1alpha1", "DatadogMetric"),
        };
        let (namespace, name, uid) = match object {
            Object::Autoscaler(by) => (&by.namespace, &by.name, by.uid.as_str()),
            Object::DatadogMetric(object, uid) => (&object.namespace, &object.name, uid),
        };
        let (namespace, name, uid) = (namespace.clone(), name.clone(), uid.to_owned());
        Self { api_version, kind, namespace, name, uid }
    }
}

impl fmt::Display for Regarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// How it stands with a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A fresh sample is served.
    Well,
    /// Nothing is known yet.
    Unknown,
    /// Something must be said.
    Failing(Reason),
}

/// Why something must be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    /// The `reason` of the Event.
    pub(super) word: &'static str,
    /// Whether the autoscaler's owner can mend it, who may be waiting for the word.
    pub(super) mendable: bool,
}

impl<'a> Topic<'a> {
    /// The number of topics.
    pub(super) fn count(snapshot: &Snapshot) -> usize {
        snapshot.demand().problems.len() + snapshot.len()
    }

    /// The topic at a position below [`Topic::count`].
    pub(super) fn at(snapshot: &'a Snapshot, position: usize) -> Option<Self> {
        let problems = &snapshot.demand().problems;
        if let Some((autoscaler, problem)) = problems.get(position) {
            return Some(Self::Problem(autoscaler, problem));
        }
        let position = position - problems.len();
        let (key, wanted) = snapshot.demand().get(position)?;
        let definition = match wanted.source {
            Source::DatadogMetric(_) => definition(snapshot, key),
            Source::Selector => None,
        };
        Some(Self::Metric(key, wanted, snapshot.at(position)?, &snapshot.asking, definition))
    }

    /// The objects that the Events are about.
    pub(super) fn objects(&self) -> impl Iterator<Item = Object<'a>> + use<'a> {
        let (autoscalers, definition) = match self {
            Self::Problem(autoscaler, _) => (std::slice::from_ref(*autoscaler), None),
            Self::Metric(_, wanted, _, _, definition) => (wanted.by.as_slice(), *definition),
        };
        autoscalers.iter().map(Object::Autoscaler).chain(definition)
    }

    /// What tells the topic, said about `object`, from all others. A hash, since that is all that
    /// is kept of ten thousand of them; two that fall together would cost one Event.
    pub(super) fn id(&self, object: Object<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        match object {
            Object::Autoscaler(by) => {
                (Some(by.kind), &by.namespace, &by.name, by.uid.as_str()).hash(&mut hasher);
            }
            Object::DatadogMetric(object, uid) => {
                (None::<Kind>, &object.namespace, &object.name, uid).hash(&mut hasher);
            }
        }
        match self {
            Self::Problem(_, problem) => (0, problem.reason, &problem.note).hash(&mut hasher),
            Self::Metric(key, ..) => (1, key).hash(&mut hasher),
        }
        hasher.finish()
    }

    /// How it stands at `now`.
    pub(super) fn state(&self, now: Timestamp) -> State {
        match self {
            Self::Problem(_, problem) => {
                State::Failing(Reason { word: problem.reason, mendable: true })
            }
            Self::Metric(_, _, entry, asking, _) => state(entry, asking, now),
        }
    }

    /// The `note` of an Event at `now`; of a metric that is well, for [`AVAILABLE`].
    pub(super) fn note(&self, now: Timestamp) -> String {
        let note = match self {
            Self::Problem(_, problem) => problem.note.clone(),
            Self::Metric(_, wanted, entry, ..) if entry.fresh(now).is_some() => {
                let query = entry.ask.as_ref().map_or("", |ask| ask.query.as_str());
                format!("external metric {} has a fresh value again (query {query})", wanted.name)
            }
            Self::Metric(key, _, entry, asking, _) => {
                let cause = answer::without_value(entry, asking, now)
                    .unwrap_or_else(|| answer::not_asked_yet(key));
                let cause = cause.message();
                match entry.fallback_at(now) {
                    Some(value) => format!("the fallback {value} is served: {cause}"),
                    None => cause.to_owned(),
                }
            }
        };
        cut(note, NOTE_LIMIT)
    }
}

/// The `DatadogMetric` that has the query of this key; one that we made ourselves only shows a metric.
fn definition<'a>(snapshot: &'a Snapshot, key: &MetricKey) -> Option<Object<'a>> {
    let object = reference::parse(&key.metric)?.ok()?;
    let (name, use_) = snapshot.demand().datadog_metrics.get_key_value(&object)?;
    Some(Object::DatadogMetric(name, &use_.uid))
}

/// The `reason` of the Event about this metric at `now`; nothing where it is well, or not asked yet.
pub(crate) fn reason_of(entry: &Entry, asking: &Asking, now: Timestamp) -> Option<&'static str> {
    match state(entry, asking, now) {
        State::Failing(reason) => Some(reason.word),
        State::Well | State::Unknown => None,
    }
}

fn state(entry: &Entry, asking: &Asking, now: Timestamp) -> State {
    if entry.fresh(now).is_some() {
        return State::Well;
    }
    if entry.fallback_at(now).is_some() {
        return State::Failing(Reason { word: "FallbackInUse", mendable: false });
    }
    if entry.ask.is_err() {
        return State::Failing(Reason { word: "InvalidMetric", mendable: true });
    }
    // In the order of the API's words.
    let outcome = entry.last.as_ref().map(|(_, outcome)| outcome);
    let (word, mendable) = match (outcome, &asking.trouble) {
        (Some(Outcome::Failed(error)), _) if error.is_about_a_query() => ("QueryRejected", true),
        (_, Some(trouble)) => (trouble_word(trouble), false),
        (None, None) => return State::Unknown,
        (Some(outcome), None) => reason(outcome),
    };
    State::Failing(Reason { word, mendable })
}

/// The word for trouble that is no query's.
pub(crate) fn trouble_word(error: &Error) -> &'static str {
    match error {
        Error::Forbidden { .. } => "KeysRejected",
        Error::RateLimited { .. } => "BudgetExhausted",
        _ => "DatadogUnavailable",
    }
}

/// The word for an outcome that gave nothing to serve, and whether the autoscaler's owner can mend
/// it.
fn reason(outcome: &Outcome) -> (&'static str, bool) {
    match outcome {
        Outcome::Failed(error) => (trouble_word(error), false),
        Outcome::Shed(_) => ("BudgetExhausted", false),
        Outcome::Sampled => ("StaleSample", false),
        Outcome::NoSeries => ("NoSeries", true),
        Outcome::NoSample(NoSample::AllNull { .. }) => ("NoValue", true),
        Outcome::NoSample(NoSample::Unusable { .. }) => ("UnusableValue", true),
        Outcome::SeveralSeries(_) => ("SeveralSeries", true),
    }
}

#[cfg(test)]
mod tests;
