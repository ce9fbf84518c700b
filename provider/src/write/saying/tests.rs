use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    demand::{Builder, DatadogMetricUse, Raw},
    query::{Fallback, Overrides, Query, resolve::Unresolvable},
    sample::Sample,
    store::Shortage,
    testing::{down, entry, hpa, key, rejected, snapshot},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn with(outcome: impl Into<Option<Outcome>>) -> Entry {
    let last = outcome.into().map(|outcome| (at(0), outcome));
    Entry { since: at(0), last, ..entry("avg:m{*}.rollup(30)") }
}

fn failed(error: Error) -> Outcome {
    Outcome::Failed(Arc::new(error))
}

/// Reason and note of what is said about a metric with this entry.
fn said(entry: Entry, now: Timestamp) -> Option<(&'static str, String)> {
    let snapshot = snapshot(key("default", "m"), "m", entry);
    let topic = Topic::at(&snapshot, 0).unwrap();
    match topic.state(now) {
        State::Failing(reason) => Some((reason.word, topic.note(now))),
        State::Well | State::Unknown => None,
    }
}

#[test]
fn each_outcome_has_its_reason() {
    let shortage = Shortage {
        limit: 1600,
        period: Duration::from_secs(3600),
        queries: 9000,
        needed: 4000,
        fitting: 3600,
    };
    for (outcome, reason) in [
        (failed(rejected("no")), "QueryRejected"),
        (
            failed(Error::Forbidden {
                status: 403,
                message: "no".into(),
                endpoint: "e".into(),
                check: "c".into(),
            }),
            "KeysRejected",
        ),
        (failed(Error::RateLimited { reset: None }), "BudgetExhausted"),
        (failed(down()), "DatadogUnavailable"),
        (
            failed(Error::Malformed { reason: "no".into(), endpoint: "e".into() }),
            "DatadogUnavailable",
        ),
        (Outcome::Shed(Arc::new(shortage)), "BudgetExhausted"),
        (Outcome::NoSeries, "NoSeries"),
        (Outcome::NoSample(NoSample::AllNull { points: 3 }), "NoValue"),
        (Outcome::NoSample(NoSample::Unusable { time: 1.0, value: 1e300 }), "UnusableValue"),
        (Outcome::SeveralSeries(2), "SeveralSeries"),
        (Outcome::Sampled, "StaleSample"),
    ] {
        assert_eq!(said(with(outcome.clone()), at(0)).unwrap().0, reason, "{outcome:?}");
    }
    let unresolvable = Err(Unresolvable::Name { name: "1up".into() });
    let entry = Entry { ask: unresolvable, ..with(None) };
    assert_eq!(said(entry, at(0)).unwrap().0, "InvalidMetric");
}

#[test]
fn the_note_is_what_the_api_says() {
    let entry = with(Outcome::NoSeries);
    let (_, note) = said(entry.clone(), at(0)).unwrap();
    let snapshot = snapshot(key("default", "m"), "m", entry);
    let answer::Answer::Refusal(status) = answer::answer(&key("default", "m"), &snapshot, at(0))
    else {
        panic!("a refusal")
    };
    assert_eq!(note, status.message());
}

#[test]
fn a_metric_that_was_not_asked_yet_says_nothing() {
    assert_eq!(said(with(None), at(3600)), None);
}

#[test]
fn a_failed_refresh_says_nothing_while_a_fresh_sample_is_served() {
    let sample = Some(Sample { value: 1.0, at: at(0) });
    let entry = Entry { sample, ..with(failed(Error::RateLimited { reset: None })) };
    assert_eq!(said(entry.clone(), at(120)), None);
    let (reason, note) = said(entry, at(121)).unwrap();
    assert_eq!(reason, "BudgetExhausted");
    assert!(note.contains("the last sample is 121s old, the limit is 120s"), "{note}");
}

#[test]
fn while_calls_fail_the_common_cause_is_said_of_every_metric_without_a_value() {
    let trouble = Some(Arc::new(down()));
    for outcome in [None, Some(Outcome::NoSeries), Some(failed(rejected("no")))] {
        let asking = Asking { trouble: trouble.clone(), ..Asking::default() };
        let is_refused = matches!(outcome, Some(Outcome::Failed(_)));
        let snapshot = snapshot(key("default", "m"), "m", with(outcome)).with(Arc::new(asking));
        let State::Failing(reason) = Topic::at(&snapshot, 0).unwrap().state(at(0)) else {
            panic!("nothing is said")
        };
        assert_eq!(reason.word, if is_refused { "QueryRejected" } else { "DatadogUnavailable" });
    }
}

#[test]
fn a_fallback_is_said_with_its_cause() {
    let fallback = Some(Fallback { value: 2.5, after: Duration::from_secs(60) });
    let entry = Entry { fallback, ..with(Outcome::NoSeries) };
    assert_eq!(said(entry.clone(), at(59)).unwrap().0, "NoSeries");
    let (reason, note) = said(entry, at(60)).unwrap();
    assert_eq!(reason, "FallbackInUse");
    assert!(note.starts_with("the fallback 2.5 is served: Returned series slice empty"), "{note}");
}

#[test]
fn a_note_fits_into_an_event() {
    let query = format!("avg:m{{{}}}", "ä".repeat(1000));
    let entry = Entry { last: Some((at(0), Outcome::NoSeries)), ..entry(&query) };
    let (_, note) = said(entry, at(0)).unwrap();
    assert_eq!(note.len(), 1024);
    assert!(note.ends_with("ä…"), "{note}");
}

#[test]
fn a_datadog_metric_hears_what_the_autoscalers_that_refer_to_it_hear() {
    let object = ObjectName { namespace: "web".into(), name: "requests".into() };
    let key = MetricKey::of(&object);
    let use_ = DatadogMetricUse {
        uid: "uid-of-requests".into(),
        key: key.clone(),
        external_metric_name: None,
        active: true,
        referenced_by: vec![],
    };
    let source = Source::DatadogMetric(Ok(Raw {
        query: Query::new("avg:m{*}"),
        max_age: None,
        window: None,
    }));
    let mut demand = Builder::default();
    let (name, by) = ("datadogmetric@web:requests".to_owned(), hpa("default", "nginxext"));
    demand.add(key, name, source, Overrides::default(), by);
    let mut demand = demand.build();
    demand.datadog_metrics.insert(object, use_);
    let entry = Arc::new(with(Outcome::NoSeries));
    let snapshot = Snapshot::new(Arc::new(demand), &[entry]);
    let topic = Topic::at(&snapshot, 0).unwrap();
    let heard: Vec<_> = topic.objects().map(Regarding::from).collect();
    let lines: Vec<_> =
        heard.iter().map(|it| format!("{} {it} {}", it.api_version, it.uid)).collect();
    assert_eq!(
        lines,
        [
            "autoscaling/v2 HorizontalPodAutoscaler default/nginxext uid-of-nginxext",
            "datadoghq.com/v1alpha1 DatadogMetric web/requests uid-of-requests",
        ]
    );
    let ids: std::collections::HashSet<_> = topic.objects().map(|it| topic.id(it)).collect();
    assert_eq!(ids.len(), 2);
}
