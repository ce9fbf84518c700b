use std::sync::Arc;

use super::*;
use crate::{
    datadog::Error,
    demand::{DatadogMetricUse, Demand},
    query::Fallback,
    selector::{Operator, Requirement, Selector},
    store::Asking,
    testing,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn key() -> MetricKey {
    let nginx = Operator::In(["nginx".to_owned()].into());
    MetricKey {
        namespace: "default".into(),
        metric: "nginx.net.request_per_s".into(),
        selector: Selector::from_iter([Requirement {
            key: "kube_container_name".into(),
            operator: nginx,
        }]),
    }
}

const QUERY: &str = "sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)";

fn entry(sample: impl Into<Option<Sample>>, outcome: impl Into<Option<Outcome>>) -> Entry {
    let last = outcome.into().map(|outcome| (at(0), outcome));
    Entry { sample: sample.into(), last, since: at(0), ..testing::entry(QUERY) }
}

fn snapshot(entry: Entry) -> Snapshot {
    testing::snapshot(key(), "nginx.net.request_per_s", entry)
}

fn failed(error: Error) -> Outcome {
    Outcome::Failed(Arc::new(error))
}

fn rate_limited() -> Outcome {
    failed(Error::RateLimited { reset: None })
}

fn sample(value: f64) -> Sample {
    Sample { value, at: at(0) }
}

fn refused(entry: Entry, now: Timestamp) -> (u16, String) {
    match answer(&key(), &snapshot(entry), now) {
        Answer::Refusal(status) => (status.code().as_u16(), status.message().to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fresh_sample_is_served_with_its_own_time_and_window() {
    let answer = answer(&key(), &snapshot(entry(sample(26.0), Outcome::Sampled)), at(60));
    let Answer::Value(value) = answer else { panic!("{answer:?}") };
    assert_eq!(value.value, "26");
    assert_eq!(value.timestamp, at(0));
    assert_eq!(value.window, Some(30));
    assert_eq!(value.metric_labels["kube_container_name"], "nginx");
}

#[test]
fn a_fresh_sample_is_served_whatever_the_last_call_said() {
    for outcome in [
        rate_limited(),
        failed(testing::rejected("no")),
        Outcome::NoSeries,
        Outcome::SeveralSeries(2),
    ] {
        let answer = answer(&key(), &snapshot(entry(sample(1.0), outcome)), at(120));
        assert!(matches!(answer, Answer::Value(_)), "{answer:?}");
    }
}

#[test]
fn a_metric_that_nobody_wants_is_refused_at_once_with_what_is_wanted_instead() {
    let other = MetricKey { selector: Selector::default(), ..key() };
    let snapshot = snapshot(entry(None, None));
    let Answer::Refusal(status) = answer(&other, &snapshot, at(0)) else { panic!() };
    assert_eq!(status.code().as_u16(), 404);
    insta::assert_snapshot!(status.message(), @"no HPA in namespace default wants the external metric nginx.net.request_per_s with selector {}; with another selector it is wanted: {kube_container_name=nginx}");
}

#[test]
fn a_datadog_metric_that_nobody_refers_to_is_refused_with_how_to_have_it_asked() {
    let object = ObjectName { namespace: "web".into(), name: "requests".into() };
    let key = |name| testing::key("default", name);
    let used = DatadogMetricUse {
        uid: "uid".into(),
        key: MetricKey::of(&object),
        external_metric_name: None,
        active: false,
        referenced_by: vec![],
    };
    let mut demand = Demand::default();
    demand.datadog_metrics.insert(object, used);
    let snapshot = Snapshot::new(Arc::new(demand), &[]);
    let refused = |name| match answer(&key(name), &snapshot, at(0)) {
        Answer::Refusal(status) => (status.code().as_u16(), status.message().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused("datadogmetric@web:requests"),
        (
            404,
            "no autoscaler refers to DatadogMetric web/requests, so that Datadog is not asked; \
             annotate it with external-metrics.datadoghq.com/always-active=true to have it asked \
             nonetheless"
                .to_owned()
        )
    );
    assert_eq!(
        refused("datadogmetric@web:request"),
        (
            404,
            "no autoscaler refers to DatadogMetric web/request, and it is not among the \
             DatadogMetrics that the provider reads"
                .to_owned()
        )
    );
    let (code, message) = refused("datadogmetric@web");
    assert!(code == 404 && message.contains("write datadogmetric@NAMESPACE:NAME"), "{message}");
}

#[test]
fn a_reference_to_nothing_is_not_found_and_one_that_cannot_be_followed_unavailable() {
    let object = ObjectName { namespace: "web".into(), name: "requests".into() };
    let refused = |error| refused(Entry { ask: Err(error), ..entry(None, None) }, at(0));
    let missing = Unresolvable::NoDatadogMetric { object: object.clone() };
    assert_eq!(refused(missing), (404, "there is no DatadogMetric web/requests".to_owned()));
    let reason = "no rights".to_owned();
    let unreadable = Unresolvable::DatadogMetricsUnreadable { object, reason };
    assert_eq!(
        refused(unreadable),
        (503, "DatadogMetric web/requests cannot be read: no rights".to_owned())
    );
}

#[test]
fn before_the_hpas_are_read_nothing_is_known_to_be_unwanted() {
    let Answer::Refusal(status) = answer(&key(), &Snapshot::default(), at(0)) else { panic!() };
    assert_eq!(status.code().as_u16(), 503);
}

#[test]
fn before_the_first_answer_a_request_may_wait() {
    let answer = answer(&key(), &snapshot(entry(None, None)), at(0));
    assert_eq!(answer, Answer::NotAskedYet);
}

#[test]
fn a_query_that_datadog_rejects_is_the_users_to_mend() {
    let rejected = failed(testing::rejected("Error parsing query"));
    let (code, message) = refused(entry(None, rejected), at(0));
    assert_eq!(code, 422);
    insta::assert_snapshot!(message, @"Datadog rejects the query: Error parsing query (query sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30))");
}

#[test]
fn a_metric_that_cannot_be_asked_for_is_the_users_to_mend() {
    let name = "1up".to_owned();
    let entry = Entry { ask: Err(Unresolvable::Name { name }), ..entry(None, None) };
    let (code, message) = refused(entry, at(0));
    assert_eq!(code, 422);
    assert!(message.contains("\"1up\""), "{message}");
}

#[test]
fn trouble_with_datadog_names_its_cause_and_the_age_of_the_sample() {
    let (code, message) = refused(entry(None, rate_limited()), at(0));
    assert_eq!(code, 503);
    insta::assert_snapshot!(message, @"Datadog's rate limit is used up (HTTP 429); there is no sample (query sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30))");
    let (code, message) = refused(entry(sample(1.0), rate_limited()), at(121));
    assert_eq!(code, 503);
    assert!(message.contains("the last sample is 121s old, the limit is 120s"), "{message}");
}

#[test]
fn while_calls_fail_every_metric_without_a_fresh_sample_says_why() {
    let error = testing::down();
    let trouble = Arc::new(Asking { trouble: Some(Arc::new(error)), ..Asking::default() });
    let said = |entry| answer(&key(), &snapshot(entry).with(trouble.clone()), at(121));
    for entry in [
        entry(None, None),
        entry(None, Outcome::NoSeries),
        entry(sample(1.0), Outcome::Sampled),
        entry(None, rate_limited()),
    ] {
        let Answer::Refusal(status) = said(entry) else { panic!() };
        assert_eq!(status.code().as_u16(), 503);
        assert!(
            status
                .message()
                .starts_with("Datadog fails at https://api.datadoghq.com (HTTP 503: down); "),
            "{status:?}"
        );
    }
    let Answer::Refusal(status) = said(entry(None, failed(testing::rejected("no")))) else {
        panic!()
    };
    assert_eq!(status.code().as_u16(), 422, "what the user can mend is said first");
}

#[test]
fn an_old_point_is_refused_with_its_age() {
    let (code, message) = refused(entry(sample(1.0), Outcome::Sampled), at(121));
    assert_eq!(code, 503);
    insta::assert_snapshot!(message, @"the newest point of sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30) is 121s old, the limit is 120s");
}

#[test]
fn an_age_just_above_the_limit_does_not_look_equal_to_it() {
    let just_above = at(120) + Duration::from_millis(1);
    let (_, message) = refused(entry(sample(1.0), Outcome::Sampled), just_above);
    assert!(message.ends_with("is 121s old, the limit is 120s"), "{message}");
}

#[test]
fn where_clocks_differ_an_old_point_says_so() {
    let clock_skew = Some(jiff::SignedDuration::from_secs(90));
    let asking = Arc::new(Asking { clock_skew, ..Asking::default() });
    let old = snapshot(entry(sample(1.0), Outcome::Sampled)).with(asking);
    let Answer::Refusal(status) = answer(&key(), &old, at(121)) else { panic!() };
    assert!(status.message().ends_with("120s; our clock is 90s ahead of Datadog's"), "{status:?}");
}

#[test]
fn no_series_is_named_in_the_words_of_the_walkthrough() {
    let (code, message) = refused(entry(None, Outcome::NoSeries), at(0));
    assert_eq!(code, 404);
    insta::assert_snapshot!(message, @"Returned series slice empty: Datadog has no series for sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30) in the last 300s, check the metric's name and tags");
}

#[test]
fn several_series_and_useless_points_are_told_apart() {
    let (code, message) = refused(entry(None, Outcome::SeveralSeries(2)), at(0));
    assert!(code == 422 && message.contains("2 series"), "{code} {message}");
    let null = Outcome::NoSample(NoSample::AllNull { points: 4 });
    let (code, message) = refused(entry(None, null), at(0));
    assert!(code == 404 && message.contains("all 4 points are null"), "{code} {message}");
}

#[test]
fn a_fallback_is_served_after_its_delay_and_says_so() {
    let fallback = Some(Fallback { value: 7.5, after: Duration::from_secs(60) });
    let never = Entry { fallback, ..entry(None, rate_limited()) };
    assert_eq!(refused(never.clone(), at(59)).0, 503);
    let Answer::Value(value) = answer(&key(), &snapshot(never), at(60)) else { panic!() };
    assert_eq!((value.value.as_str(), value.window), ("7500m", None));
    assert_eq!(value.timestamp, at(60), "it is true now");
    assert_eq!(value.metric_labels["fallback"], "true");

    // The delay counts from the moment at which the sample became too old.
    let stale = Entry { fallback, ..entry(sample(1.0), Outcome::Sampled) };
    let Answer::Value(value) = answer(&key(), &snapshot(stale.clone()), at(120)) else { panic!() };
    assert!(!value.metric_labels.contains_key("fallback"));
    assert_eq!(refused(stale.clone(), at(179)).0, 503);
    let Answer::Value(value) = answer(&key(), &snapshot(stale), at(180)) else { panic!() };
    assert_eq!(value.metric_labels["fallback"], "true");
}
