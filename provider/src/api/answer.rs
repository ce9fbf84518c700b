//! What the API says about a metric; pure. The table of `docs/architecture.md`, "Answers": the
//! first case that applies wins. Never an invented value, never an old one as fresh, never a 5xx
//! for what the user can mend in the HPA.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{status::Status, wire::ExternalMetricValue},
    demand::{MetricKey, ObjectName, Wanted, datadog_metric::ALWAYS_ACTIVE, reference},
    quantity,
    query::{Ask, resolve::Unresolvable},
    sample::{NoSample, Sample},
    store::{Asking, Entry, Outcome, Snapshot},
};

/// The decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A fresh value.
    Value(ExternalMetricValue),
    /// The first query has no answer yet; a request may wait a moment for it.
    NotAskedYet,
    /// No value, and why.
    Refusal(Status),
}

/// What to say about `key` at `now`.
pub fn answer(key: &MetricKey, snapshot: &Snapshot, now: Timestamp) -> Answer {
    let Some((wanted, entry)) = snapshot.get(key) else {
        return Answer::Refusal(unwanted(key, snapshot));
    };
    if let Some(value) = value(key, wanted, entry, now) {
        return Answer::Value(value);
    }
    without_value(entry, &snapshot.asking, now).map_or(Answer::NotAskedYet, Answer::Refusal)
}

/// The value of a metric that is wanted, where there is one at `now`: a fresh sample, or a fallback.
pub fn value(
    key: &MetricKey,
    wanted: &Wanted,
    entry: &Entry,
    now: Timestamp,
) -> Option<ExternalMetricValue> {
    let sampled = entry.fresh(now).and_then(|sample| item(key, wanted, entry, sample));
    sampled.or_else(|| fallback(key, wanted, entry, now))
}

/// Why there is no fresh value of `entry`, which has none; nothing while it was not asked yet.
pub fn without_value(entry: &Entry, asking: &Asking, now: Timestamp) -> Option<Status> {
    let ask = match &entry.ask {
        Ok(ask) => ask,
        Err(error) => return Some(unresolvable(error)),
    };
    let outcome = entry.last.as_ref().map(|(_, outcome)| outcome);
    Some(match (outcome, &asking.trouble) {
        // What the user can mend is said first.
        (Some(outcome @ Outcome::Failed(error)), _) if error.is_about_a_query() => {
            refusal(outcome, ask, entry, now)
        }
        // While calls fail most metrics are not asked at all: what is true for one is for all.
        (_, Some(trouble)) => unavailable(&trouble.to_string(), ask, entry, now),
        (None, None) => return None,
        (Some(Outcome::Sampled), None) => stale(ask, entry, asking.clock_skew_text(), now),
        (Some(outcome), None) => refusal(outcome, ask, entry, now),
    })
}

/// Why the last answered call gave no sample, whether or not an older one is still fresh.
pub fn last_trouble(entry: &Entry, now: Timestamp) -> Option<Status> {
    let (ask, (_, outcome)) = (entry.ask.as_ref().ok()?, entry.last.as_ref()?);
    (!outcome.is_sample()).then(|| refusal(outcome, ask, entry, now))
}

/// The words while [`Answer::NotAskedYet`] holds and nobody waits any longer.
pub fn not_asked_yet(key: &MetricKey) -> Status {
    Status::not_found(format!("Datadog has not answered the first query for {key} yet"))
}

fn item(
    key: &MetricKey,
    wanted: &Wanted,
    entry: &Entry,
    sample: Sample,
) -> Option<ExternalMetricValue> {
    Some(ExternalMetricValue {
        metric_name: wanted.name.clone(),
        metric_labels: key.selector.labels(),
        timestamp: sample.at,
        window: entry.rollup.map(|rollup| rollup.as_secs()),
        value: quantity::format(sample.value)?,
    })
}

/// The declared value, once there has been no fresh sample for long enough. It is true now, which
/// its timestamp says, and it is no measurement, which its label says.
fn fallback(
    key: &MetricKey,
    wanted: &Wanted,
    entry: &Entry,
    now: Timestamp,
) -> Option<ExternalMetricValue> {
    let value = entry.fallback_at(now)?;
    let mut item = item(key, wanted, entry, Sample { value, at: now })?;
    item.metric_labels.insert("fallback".to_owned(), "true".to_owned());
    Some(ExternalMetricValue { window: None, ..item })
}

fn unwanted(key: &MetricKey, snapshot: &Snapshot) -> Status {
    if !snapshot.ready {
        return Status::unavailable("the provider has not read the cluster's HPAs yet");
    }
    match reference::parse(&key.metric) {
        Some(Ok(object)) => return Status::not_found(unreferenced(&object, snapshot)),
        Some(Err(error)) => return Status::not_found(error.to_string()),
        None => {}
    }
    let mut others = snapshot.selectors_of(&key.namespace, &key.metric).peekable();
    let hint = match others.peek() {
        None => String::new(),
        Some(_) => format!(
            "; with another selector it is wanted: {}",
            others.map(|selector| format!("{{{selector}}}")).collect::<Vec<_>>().join(", ")
        ),
    };
    Status::not_found(format!(
        "no HPA in namespace {} wants the external metric {} with selector {{{}}}{hint}",
        key.namespace, key.metric, key.selector
    ))
}

fn unresolvable(error: &Unresolvable) -> Status {
    let message = error.to_string();
    match error {
        Unresolvable::NoDatadogMetric { .. } => Status::not_found(message),
        // Rights or a CRD are missing: nothing that whoever wrote the HPA can mend there.
        Unresolvable::DatadogMetricsUnreadable { .. } => Status::unavailable(message),
        _ => Status::unprocessable(message),
    }
}

fn unreferenced(object: &ObjectName, snapshot: &Snapshot) -> String {
    let hint = if snapshot.demand().datadog_metrics.contains_key(object) {
        format!(
            "so that Datadog is not asked; annotate it with {ALWAYS_ACTIVE}=true to have it asked \
             nonetheless"
        )
    } else {
        "and it is not among the DatadogMetrics that the provider reads".to_owned()
    };
    format!("no autoscaler refers to DatadogMetric {object}, {hint}")
}

fn refusal(outcome: &Outcome, ask: &Ask, entry: &Entry, now: Timestamp) -> Status {
    let window = seconds(ask.window);
    let query = ask.query.as_str();
    match outcome {
        Outcome::Failed(error) if error.is_about_a_query() => {
            Status::unprocessable(format!("{error} (query {query})"))
        }
        Outcome::Failed(error) => unavailable(&error.to_string(), ask, entry, now),
        Outcome::Shed(shortage) => unavailable(&shortage.to_string(), ask, entry, now),
        Outcome::Sampled => stale(ask, entry, None, now),
        Outcome::NoSeries => Status::not_found(format!(
            "Returned series slice empty: Datadog has no series for {query} in the last {window}, \
             check the metric's name and tags"
        )),
        Outcome::NoSample(reason @ NoSample::AllNull { .. }) => Status::not_found(format!(
            "Datadog has no value for {query} in the last {window}: {reason}"
        )),
        Outcome::NoSample(reason @ NoSample::Unusable { .. }) => {
            Status::unprocessable(format!("Datadog's value for {query} cannot be used: {reason}"))
        }
        Outcome::SeveralSeries(series) => Status::unprocessable(format!(
            "Datadog gives {series} series for {query}, change the query so that it gives one"
        )),
    }
}

/// An age counts from our clock: where that is wrong, it is the cause.
fn stale(ask: &Ask, entry: &Entry, clock: Option<String>, now: Timestamp) -> Status {
    let age = begun(entry.sample.map(|sample| sample.age(now)).unwrap_or_default());
    let limit = seconds(entry.age_limit);
    let clock = clock.map(|clock| format!("; {clock}")).unwrap_or_default();
    Status::unavailable(format!(
        "the newest point of {} is {age} old, the limit is {limit}{clock}",
        ask.query
    ))
}

fn unavailable(cause: &str, ask: &Ask, entry: &Entry, now: Timestamp) -> Status {
    let sample = match entry.sample {
        None => "there is no sample".to_owned(),
        Some(sample) => {
            let (age, limit) = (begun(sample.age(now)), seconds(entry.age_limit));
            format!("the last sample is {age} old, the limit is {limit}")
        }
    };
    Status::unavailable(format!("{cause}; {sample} (query {})", ask.query))
}

/// Whole seconds: `75s` is easier to compare with a limit than `1m 15s`.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

/// Seconds that have begun: an age above the limit must not look equal to it.
fn begun(age: Duration) -> String {
    format!("{}s", age.as_millis().div_ceil(1000))
}

#[cfg(test)]
mod tests;
