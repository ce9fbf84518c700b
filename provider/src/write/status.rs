//! The status of a `DatadogMetric`; pure.
//!
//! Shape and words are those of Datadog's Cluster Agent (`pkg/clusteragent/autoscaling/externalmetrics/model/datadogmetricinternal.go`),
//! but it is written only when something changed, and the text of the error is the API's.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::answer,
    demand::{
        Autoscaler, DatadogMetricUse,
        datadog_metric::{Condition, DatadogMetricStatus},
    },
    store::{Asking, Entry},
    write::words,
};

/// The autoscalers that are named in `autoscalerReferences`; upstream's list grows without bound.
const NAMED_REFERENCES: usize = 50;
/// The `reason` of the condition `Error`.
const UNABLE: &str = "Unable to fetch data from Datadog";

/// The status to write for an object that is used as `use_` says, or `None` where `before` says the
/// same: neither times alone nor ages in a message are a change.
///
/// Of a metric that was not asked yet, what `before` says of its value holds: after a restart that
/// is better than nothing.
pub(super) fn status_of(
    use_: &DatadogMetricUse,
    entry: Option<&Entry>,
    asking: &Asking,
    before: Option<&DatadogMetricStatus>,
    now: Timestamp,
) -> Option<DatadogMetricStatus> {
    let finding = Finding::of(use_, entry, asking, before, now);
    let old = |type_: &str| before?.conditions.iter().find(|condition| condition.type_ == type_);
    let condition = |type_: &str, is: bool| condition(type_, is, None, old(type_), now);
    let updated = Condition {
        last_update_time: finding
            .at
            .map(Time)
            .or_else(|| old("Updated").and_then(|old| old.last_update_time.clone())),
        ..condition("Updated", true)
    };
    let error = finding.error.map(|message| (UNABLE.to_owned(), message));
    let status = DatadogMetricStatus {
        current_value: finding.value,
        autoscaler_references: references(&use_.referenced_by),
        conditions: vec![
            condition("Active", use_.active),
            condition("Valid", finding.valid),
            updated,
            self::condition("Error", error.is_some(), error, old("Error"), now),
        ],
    };
    before.is_none_or(|before| differ(before, &status)).then_some(status)
}

/// What is known of the value.
struct Finding {
    value: String,
    /// The time of the point.
    at: Option<Timestamp>,
    valid: bool,
    error: Option<String>,
}

impl Finding {
    fn of(
        use_: &DatadogMetricUse,
        entry: Option<&Entry>,
        asking: &Asking,
        before: Option<&DatadogMetricStatus>,
        now: Timestamp,
    ) -> Self {
        let sample = entry.and_then(|entry| entry.sample);
        let value = match (sample, before) {
            (Some(sample), _) => digits(sample.value),
            (None, Some(before)) => before.current_value.clone(),
            (None, None) => "0".to_owned(),
        };
        let at = sample.map(|sample| sample.at);
        let unknown = |before: Option<&DatadogMetricStatus>| Self {
            value: value.clone(),
            at,
            valid: before.is_some_and(|before| is(before, "Valid")),
            error: before.and_then(error_message),
        };
        let Some(entry) = entry.filter(|_| use_.active) else {
            // What nobody wants is not asked: no value to trust and no error to show.
            return unknown(before.filter(|_| use_.active));
        };
        if entry.fresh(now).is_some() {
            return Self { value, at, valid: true, error: None };
        }
        match answer::without_value(entry, asking, now) {
            Some(refusal) => {
                Self { value, at, valid: false, error: Some(refusal.message().to_owned()) }
            }
            None => unknown(before),
        }
    }
}

fn condition(
    type_: &str,
    is: bool,
    detail: Option<(String, String)>,
    before: Option<&Condition>,
    now: Timestamp,
) -> Condition {
    let status = if is { "True" } else { "False" };
    let (reason, message) = detail.unzip();
    let transition = before
        .filter(|before| before.status == status)
        .and_then(|before| before.last_transition_time.clone());
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        last_transition_time: transition.or(Some(Time(now))),
        last_update_time: Some(Time(now)),
        reason,
        message,
    }
}

fn is(status: &DatadogMetricStatus, type_: &str) -> bool {
    status.conditions.iter().any(|condition| condition.type_ == type_ && condition.status == "True")
}

fn error_message(status: &DatadogMetricStatus) -> Option<String> {
    let error = status.conditions.iter().find(|condition| condition.type_ == "Error")?;
    (error.status == "True").then(|| error.message.clone().unwrap_or_default())
}

fn differ(before: &DatadogMetricStatus, now: &DatadogMetricStatus) -> bool {
    let same = |old: &Condition, new: &Condition| {
        let message = |condition: &Condition| condition.message.clone().unwrap_or_default();
        (&old.type_, &old.status, &old.reason) == (&new.type_, &new.status, &new.reason)
            && words::same(&message(old), &message(new))
    };
    before.current_value != now.current_value
        || before.autoscaler_references != now.autoscaler_references
        || before.conditions.len() != now.conditions.len()
        || !before.conditions.iter().zip(&now.conditions).all(|(old, new)| same(old, new))
}

/// The shortest decimal digits that read as `value`, never with an exponent.
fn digits(value: f64) -> String {
    // `-0` would only puzzle.
    if value == 0.0 { "0".to_owned() } else { value.to_string() }
}

fn references(by: &[Autoscaler]) -> String {
    let mut names: Vec<_> = by.iter().take(NAMED_REFERENCES).map(ToString::to_string).collect();
    if let Some(more) = by.len().checked_sub(NAMED_REFERENCES).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests;
