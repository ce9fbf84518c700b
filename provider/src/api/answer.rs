//! What the API says about a metric; pure. The table of `docs/architecture.md`, "Answers": the
//! first case that applies wins. Never an invented value, never an old one as fresh, never a 5xx
//! for what the user can mend in the HPA.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{status::Status, wire::ExternalMetricValue},
    datadog,
    demand::MetricKey,
    quantity,
    sample::{NoSample, Sample, age_limit},
    store::{Entry, Outcome, Snapshot},
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
pub fn answer(key: &MetricKey, snapshot: &Snapshot, now: Timestamp, max_age: Duration) -> Answer {
    let Some(entry) = snapshot.entries.get(key) else {
        return Answer::Refusal(unwanted(key, snapshot));
    };
    let limit = age_limit(max_age, entry.rollup);
    if let Some(value) = entry.sample.filter(|sample| sample.age(now) <= limit)
        && let Some(value) = item(key, entry, value)
    {
        return Answer::Value(value);
    }
    let query = match &entry.query {
        Ok(query) => query.as_str(),
        Err(error) => return Answer::Refusal(Status::unprocessable(error.to_string())),
    };
    let Some((_, outcome)) = &entry.last else {
        return Answer::NotAskedYet;
    };
    let age = entry.sample.map(|sample| sample.age(now));
    Answer::Refusal(refusal(outcome, query, entry.window, age, limit))
}

/// The words while [`Answer::NotAskedYet`] holds and nobody waits any longer.
pub fn not_asked_yet(key: &MetricKey) -> Status {
    Status::not_found(format!("Datadog has not answered the first query for {key} yet"))
}

fn item(key: &MetricKey, entry: &Entry, sample: Sample) -> Option<ExternalMetricValue> {
    Some(ExternalMetricValue {
        metric_name: entry.name.clone(),
        metric_labels: key.selector.labels(),
        timestamp: sample.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        window: entry.rollup.as_secs(),
        value: quantity::format(sample.value)?,
    })
}

fn unwanted(key: &MetricKey, snapshot: &Snapshot) -> Status {
    if !snapshot.ready {
        return Status::unavailable("the provider has not read the cluster's HPAs yet");
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

fn refusal(
    outcome: &Outcome,
    query: &str,
    window: Duration,
    age: Option<Duration>,
    limit: Duration,
) -> Status {
    let window = seconds(window);
    match outcome {
        Outcome::Failed(error) => failure(error, query, age, limit),
        Outcome::Sampled => {
            let age = seconds(age.unwrap_or_default());
            let limit = seconds(limit);
            Status::unavailable(format!(
                "the newest point of {query} is {age} old, the limit is {limit}"
            ))
        }
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

fn failure(error: &datadog::Error, query: &str, age: Option<Duration>, limit: Duration) -> Status {
    if error.is_about_a_query() {
        return Status::unprocessable(format!("{error} (query {query})"));
    }
    let sample = match age {
        None => "there is no sample".to_owned(),
        Some(age) => {
            format!("the last sample is {} old, the limit is {}", seconds(age), seconds(limit))
        }
    };
    Status::unavailable(format!("{error}; {sample} (query {query})"))
}

/// Whole seconds: `75s` is easier to compare with a limit than `1m 15s`.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}

#[cfg(test)]
mod tests;
