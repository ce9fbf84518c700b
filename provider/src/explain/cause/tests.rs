use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::*;
use crate::{
    api::answer::{Answer, answer, not_asked_yet},
    datadog::Error,
    demand::{MetricKey, ObjectName},
    query::{Ask, Query, resolve::Unresolvable},
    sample::{NoSample, Sample},
    store::{Asking, Entry, Outcome, Shortage, Snapshot},
    testing,
};

const QUERY: &str = "sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)";

fn key() -> MetricKey {
    testing::key("default", "nginx.net.request_per_s")
}

/// What the API says of an entry that is changed like this.
fn words(asking: Asking, change: impl FnOnce(&mut Entry)) -> String {
    let now = Timestamp::now();
    let mut entry = Entry {
        ask: Ok(Ask { window: Duration::from_secs(300), query: Query::new(QUERY) }),
        rollup: Some(Duration::from_secs(30)),
        age_limit: Duration::from_secs(120),
        fallback: None,
        since: now,
        sample: None,
        last: None,
        last_error: None,
    };
    change(&mut entry);
    let demand = testing::demand([(key(), "nginx.net.request_per_s")]);
    let snapshot = Snapshot::new(demand, &[Arc::new(entry)]).with(Arc::new(asking));
    match answer(&key(), &snapshot, now) {
        Answer::Refusal(status) => status.message().to_owned(),
        Answer::NotAskedYet => not_asked_yet(&key()).message().to_owned(),
        Answer::Value(_) => panic!("there is a value"),
    }
}

fn after(outcome: Outcome) -> String {
    words(Asking::default(), |entry| entry.last = Some((Timestamp::now(), outcome)))
}

fn failed(error: Error) -> String {
    after(Outcome::Failed(Arc::new(error)))
}

fn unresolved(error: Unresolvable) -> String {
    words(Asking::default(), |entry| entry.ask = Err(error))
}

#[track_caller]
fn check(words: &str, cause: Cause) {
    assert_eq!(Cause::of(words), Some(cause), "{words}");
}

#[test]
fn what_the_api_says_of_a_call_is_recognised() {
    check(&after(Outcome::NoSeries), Cause::NoSeries);
    check(&after(Outcome::SeveralSeries(3)), Cause::SeveralSeries);
    let null = NoSample::AllNull { points: 10 };
    check(&after(Outcome::NoSample(null)), Cause::NoValue);
    let shortage = Shortage {
        limit: 100,
        period: Duration::from_secs(3600),
        queries: 4000,
        needed: 200,
        fitting: 1750,
    };
    check(&after(Outcome::Shed(Arc::new(shortage))), Cause::Shed);
    check(&words(Asking::default(), |_| {}), Cause::NotAskedYet);
    let old = Timestamp::now() - jiff::SignedDuration::from_secs(600);
    let stale = words(Asking::default(), |entry| {
        entry.sample = Some(Sample { value: 1.0, at: old });
        entry.last = Some((Timestamp::now(), Outcome::Sampled));
    });
    check(&stale, Cause::Stale);
}

#[test]
fn what_datadog_says_is_recognised() {
    let (endpoint, message): (Arc<str>, _) = ("https://api.datadoghq.com".into(), "no".to_owned());
    let check_settings: Arc<str> = "DD_API_KEY and DD_APP_KEY".into();
    let keys = Error::Forbidden {
        status: 403,
        message: "Forbidden".into(),
        endpoint: endpoint.clone(),
        check: check_settings.clone(),
    };
    check(&failed(keys), Cause::Keys);
    check(&failed(Error::RateLimited { reset: None }), Cause::RateLimited);
    check(&failed(Error::Rejected { status: 400, message: "Rule 'x'".into() }), Cause::Rejected);
    for error in [
        Error::Failed { message: message.clone(), endpoint: endpoint.clone() },
        Error::NotTheApi {
            status: 404,
            message: message.clone(),
            endpoint: endpoint.clone(),
            check: check_settings,
        },
        Error::Server { status: 503, message: message.clone(), endpoint: endpoint.clone() },
        Error::Status { status: 418, message, endpoint: endpoint.clone() },
        Error::Timeout { timeout: Duration::from_secs(10), endpoint: endpoint.clone() },
        Error::Unreachable { endpoint: endpoint.clone(), cause: "refused".into() },
        Error::Malformed { reason: "no JSON".into(), endpoint },
    ] {
        let trouble = Asking { trouble: Some(Arc::new(error)), ..Asking::default() };
        check(&words(trouble, |_| {}), Cause::Down);
    }
}

#[test]
fn what_cannot_be_a_query_is_recognised() {
    let object = || ObjectName { namespace: "web".into(), name: "requests".into() };
    check(&unresolved(Unresolvable::Name { name: "a-b".into() }), Cause::Name);
    check(&unresolved(Unresolvable::Key { key: "?".into() }), Cause::Name);
    check(&unresolved(Unresolvable::Value { key: "a".into(), value: "?".into() }), Cause::Name);
    check(&unresolved(Unresolvable::Comparison { key: "a".into() }), Cause::Name);
    check(&unresolved(Unresolvable::NoDatadogMetric { object: object() }), Cause::NoDatadogMetric);
    check(
        &unresolved(Unresolvable::DatadogMetricsOff { object: object() }),
        Cause::DatadogMetricsUnread,
    );
    let reason = "datadogmetrics.datadoghq.com is forbidden".into();
    let unreadable = Unresolvable::DatadogMetricsUnreadable { object: object(), reason };
    check(&unresolved(unreadable), Cause::DatadogMetricsUnread);
    for reason in [
        crate::query::raw::RawError::Blank.into(),
        crate::demand::definition::BadDefinition::Spec { error: "no query".into() },
    ] {
        let bad = Unresolvable::DatadogMetric { object: object(), reason };
        check(&unresolved(bad), Cause::DatadogMetric);
    }
}

#[test]
fn what_nobody_wants_is_recognised() {
    let now = Timestamp::now();
    let said = |key: &MetricKey, snapshot: &Snapshot| match answer(key, snapshot, now) {
        Answer::Refusal(status) => status.message().to_owned(),
        other => panic!("{other:?}"),
    };
    let read = Snapshot::new(Arc::default(), &[]);
    check(&said(&key(), &read), Cause::Unwanted);
    check(&said(&key(), &Snapshot::default()), Cause::NotRead);
    let reference = testing::key("default", "datadogmetric@web:requests");
    check(&said(&reference, &read), Cause::NoDatadogMetric);
    assert_eq!(Cause::of("the server could not find the requested resource"), None);
}
