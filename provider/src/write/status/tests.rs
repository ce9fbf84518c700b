use std::sync::Arc;

use super::*;
use crate::{
    sample::Sample,
    store::Outcome,
    testing::{self, hpa, key},
};

/// Seconds after the noon of some day.
fn at(second: i64) -> Timestamp {
    "2024-01-01T12:00:00Z".parse::<Timestamp>().unwrap() + jiff::SignedDuration::from_secs(second)
}

fn used(active: bool, by: &[&str]) -> DatadogMetricUse {
    DatadogMetricUse {
        uid: "uid".into(),
        key: key("default", "datadogmetric@default:dd-metric-0"),
        external_metric_name: None,
        active,
        referenced_by: by.iter().map(|name| hpa("default", name)).collect(),
    }
}

fn entry(sample: Option<Sample>, outcome: Option<Outcome>) -> Entry {
    let last = outcome.map(|outcome| (at(0), outcome));
    Entry { sample, last, ..testing::entry("avg:m{*}") }
}

fn sampled(value: f64, second: i64) -> Entry {
    entry(Some(Sample { value, at: at(second) }), Some(Outcome::Sampled))
}

fn rejected(message: &str) -> Outcome {
    Outcome::Failed(Arc::new(testing::rejected(message)))
}

/// While calls to Datadog work.
fn status_of(
    use_: &DatadogMetricUse,
    entry: Option<&Entry>,
    before: Option<&DatadogMetricStatus>,
    now: Timestamp,
) -> Option<DatadogMetricStatus> {
    super::status_of(use_, entry, &Asking::default(), before, now)
}

/// A line for the whole, a line for each condition; times in seconds after noon.
fn shown(status: &DatadogMetricStatus) -> String {
    let DatadogMetricStatus { current_value, autoscaler_references, conditions } = status;
    let time = |time: &Option<Time>| {
        let seconds = time.as_ref().map(|time| time.0.duration_since(at(0)).as_secs());
        seconds.map_or_else(|| "-".to_owned(), |seconds| seconds.to_string())
    };
    let mut lines = vec![format!("{current_value} [{autoscaler_references}]")];
    for condition in conditions {
        let Condition { type_, status, reason, message, .. } = condition;
        let transition = time(&condition.last_transition_time);
        let update = time(&condition.last_update_time);
        let detail: Vec<_> = [reason, message].into_iter().flatten().cloned().collect();
        let detail = detail.join(": ");
        lines.push(format!("{type_}={status} since {transition}, written {update} {detail}"));
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

// The cases of Datadog's Cluster Agent (facts/datadog.md §7.1, "Controller").

#[test]
fn a_new_object_that_nobody_wants_has_no_value() {
    let status = status_of(&used(false, &[]), None, None, at(5)).unwrap();
    insta::assert_snapshot!(shown(&status), @"
    0 []
    Active=False since 5, written 5
    Valid=False since 5, written 5
    Updated=True since 5, written -
    Error=False since 5, written 5
    ");
}

#[test]
fn the_first_value_has_its_digits_and_the_time_of_its_point() {
    let entry = sampled(2_332_548_489_456.557_6, 10);
    let status = status_of(&used(true, &["hpa-1", "hpa-2"]), Some(&entry), None, at(40)).unwrap();
    insta::assert_snapshot!(shown(&status), @"
    2332548489456.5576 [hpa:default/hpa-1, hpa:default/hpa-2]
    Active=True since 40, written 40
    Valid=True since 40, written 40
    Updated=True since 40, written 10
    Error=False since 40, written 40
    ");
}

#[test]
fn a_later_status_keeps_the_times_of_what_did_not_flip() {
    let used = used(true, &["hpa-1"]);
    let before = status_of(&used, Some(&sampled(1.0, 10)), None, at(40)).unwrap();
    let sample = Some(Sample { value: 1.0, at: at(10) });
    let failed = entry(sample, Some(rejected("unknown function")));
    assert_eq!(status_of(&used, Some(&failed), Some(&before), at(130)), None, "still fresh");
    let status = status_of(&used, Some(&failed), Some(&before), at(131)).unwrap();
    insta::assert_snapshot!(shown(&status), @"
    1 [hpa:default/hpa-1]
    Active=True since 40, written 131
    Valid=False since 131, written 131
    Updated=True since 40, written 10
    Error=True since 131, written 131 Unable to fetch data from Datadog: Datadog rejects the query: unknown function (query avg:m{*})
    ");
    let again = status_of(&used, Some(&sampled(2.0, 140)), Some(&status), at(150)).unwrap();
    insta::assert_snapshot!(shown(&again), @"
    2 [hpa:default/hpa-1]
    Active=True since 40, written 150
    Valid=True since 150, written 150
    Updated=True since 40, written 140
    Error=False since 150, written 150
    ");
}

#[test]
fn times_and_ages_alone_are_no_change() {
    let used = used(true, &["hpa-1"]);
    let before = status_of(&used, Some(&sampled(1.0, 10)), None, at(40)).unwrap();
    assert_eq!(status_of(&used, Some(&sampled(1.0, 40)), Some(&before), at(70)), None);
    let stale = sampled(1.0, 10);
    let before = status_of(&used, Some(&stale), Some(&before), at(131)).unwrap();
    assert_eq!(status_of(&used, Some(&stale), Some(&before), at(3600)), None);
    let sample = stale.sample;
    let rejected = entry(sample, Some(rejected("no")));
    assert!(status_of(&used, Some(&rejected), Some(&before), at(3600)).is_some(), "other words");
}

#[test]
fn after_a_restart_the_old_status_holds_until_datadog_has_answered() {
    let used = used(true, &["hpa-1"]);
    let before = status_of(&used, Some(&sampled(1.0, 10)), None, at(40)).unwrap();
    let not_asked = entry(None, None);
    assert_eq!(status_of(&used, Some(&not_asked), Some(&before), at(60)), None);
    assert_eq!(status_of(&used, None, Some(&before), at(60)), None);
    let failing = entry(None, Some(Outcome::NoSeries));
    let before = status_of(&used, Some(&failing), Some(&before), at(70)).unwrap();
    assert_eq!(status_of(&used, Some(&not_asked), Some(&before), at(80)), None);
}

#[test]
fn what_nobody_wants_any_more_is_not_valid_and_keeps_its_value() {
    let before = status_of(&used(true, &["a"]), Some(&sampled(1.5, 10)), None, at(40)).unwrap();
    let status = status_of(&used(false, &[]), None, Some(&before), at(50)).unwrap();
    insta::assert_snapshot!(shown(&status), @"
    1.5 []
    Active=False since 50, written 50
    Valid=False since 50, written 50
    Updated=True since 40, written 10
    Error=False since 40, written 50
    ");
}

#[test]
fn numbers_never_have_an_exponent() {
    for (value, expected) in [
        (0.0, "0"),
        (-0.0, "0"),
        (42.0, "42"),
        (14.123, "14.123"),
        (2_332_548_489_456.557_6, "2332548489456.5576"),
        (1e21, "1000000000000000000000"),
        (1e-9, "0.000000001"),
        (-2.25, "-2.25"),
    ] {
        assert_eq!(digits(value), expected);
    }
}

#[test]
fn a_long_list_of_references_is_cut_short() {
    let names: Vec<_> = (0..57).map(|i| format!("hpa-{i}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let text = references(&used(true, &names).referenced_by);
    assert!(text.ends_with("hpa:default/hpa-48, hpa:default/hpa-49, and 7 more"), "{text}");
    assert!(!references(&used(true, &names[..50]).referenced_by).contains("more"));
}
