use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    demand::{Builder, Source},
    query::{Overrides, resolve::resolve},
    testing,
};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn now() -> Timestamp {
    at(1_764_072_060)
}

/// A store in which each of these has been asked for; the one called `new` has not.
fn store(metrics: &[(Autoscaler, &str, &str)]) -> Snapshot {
    let mut demand = Builder::default();
    for (by, name, selector) in metrics {
        let key = MetricKey::new(&by.namespace, name, selector::parse(selector).unwrap());
        let name = (*name).to_owned();
        demand.add(key, name, Source::Selector, Overrides::default(), by.clone());
    }
    let demand = Arc::new(demand.build());
    let entries: Vec<_> = demand
        .iter()
        .map(|(key, wanted)| {
            let mut entry = testing::entry("");
            entry.ask = match resolve(key, wanted, &testing::DEFAULTS).ask {
                Ok(ask) => Ok(ask),
                // A DatadogMetric has its own.
                Err(_) => testing::entry("sum:a{*}+sum:b{*}").ask,
            };
            entry.since = at(1_764_000_000);
            if wanted.name != "new" {
                let millis = if wanted.name == "fine" { 250 } else { 0 };
                let time = Timestamp::from_millisecond(1_764_072_000_000 + millis).unwrap();
                entry.sample = Some(Sample { value: 26.5, at: time });
                entry.last = Some((at(1_764_072_045), Outcome::Sampled));
            }
            Arc::new(entry)
        })
        .collect();
    Snapshot::new(demand, &entries)
}

#[test]
fn the_format_is_datadogs_where_that_can_hold_it() {
    let nginxext = || testing::hpa("default", "nginxext");
    let watermark = Autoscaler { kind: Kind::Wpa, ..testing::hpa("default", "wpa") };
    let long = "n".repeat(200);
    let snapshot = store(&[
        (nginxext(), "nginx.net.request_per_s", "kube_container_name=nginx"),
        (nginxext(), "nginx.net.request_per_s", "kube_container_name=other"),
        (nginxext(), "Fine.Case", ""),
        (nginxext(), "fine", "a in (x,y)"),
        (nginxext(), "new", ""),
        (watermark, "nginx.net.request_per_s", "app=web"),
        (nginxext(), "datadogmetric@web:requests", ""),
        (testing::hpa("default", &long), "a.metric.with.a.name.that.is.too.long.together", ""),
    ]);
    let entries = write(&snapshot, now()).unwrap();
    let lines: Vec<_> = entries.iter().map(|(key, text)| format!("{key}\n  {text}")).collect();
    let lines = lines.join("\n").replace(&long, "nnn…");
    insta::assert_snapshot!(lines, @r#"
    external_metric-horizontal-02647bf10e368001e7f93a6a2521326437aedf
      {"metricName":"a.metric.with.a.name.that.is.too.long.together","labels":{},"ts":1764072000,"reference":{"type":"horizontal","name":"nnn…","namespace":"default","uid":"uid-of-nnn…"},"value":26.5,"valid":true,"query":"sum:a.metric.with.a.name.that.is.too.long.together{*}.rollup(30)","selector":"","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    external_metric-horizontal-642cd075f7d8417ad2b52177d3e26272265f85
      {"metricName":"fine","labels":{},"ts":1764072000,"reference":{"type":"horizontal","name":"nginxext","namespace":"default","uid":"uid-of-nginxext"},"value":26.5,"valid":true,"query":"sum:fine{a IN (x,y)}.rollup(30)","selector":"a in (x,y)","at":"2025-11-25T12:00:00.25Z","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    external_metric-horizontal-6522838f596968581a60d87249fcd1fc981de3
      {"metricName":"datadogmetric@web:requests","labels":{},"ts":1764072000,"reference":{"type":"horizontal","name":"nginxext","namespace":"default","uid":"uid-of-nginxext"},"value":26.5,"valid":true,"query":"sum:a{*}+sum:b{*}","selector":"","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    external_metric-horizontal-ae36332470c7e6ae6619bfcbe504c277a696fd
      {"metricName":"nginx.net.request_per_s","labels":{"kube_container_name":"other"},"ts":1764072000,"reference":{"type":"horizontal","name":"nginxext","namespace":"default","uid":"uid-of-nginxext"},"value":26.5,"valid":true,"query":"sum:nginx.net.request_per_s{kube_container_name:other}.rollup(30)","selector":"kube_container_name=other","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    external_metric-horizontal-default-nginxext-Fine.Case
      {"metricName":"Fine.Case","labels":{},"ts":1764072000,"reference":{"type":"horizontal","name":"nginxext","namespace":"default","uid":"uid-of-nginxext"},"value":26.5,"valid":true,"query":"sum:Fine.Case{*}.rollup(30)","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    external_metric-horizontal-default-nginxext-new
      {"metricName":"new","labels":{},"ts":0,"reference":{"type":"horizontal","name":"nginxext","namespace":"default","uid":"uid-of-nginxext"},"value":0,"valid":false,"query":"sum:new{*}.rollup(30)","since":"2025-11-24T16:00:00Z"}
    external_metric-horizontal-default-nginxext-nginx.net.request_per_s
      {"metricName":"nginx.net.request_per_s","labels":{"kube_container_name":"nginx"},"ts":1764072000,"reference":{"type":"horizontal","name":"nginxext","namespace":"default","uid":"uid-of-nginxext"},"value":26.5,"valid":true,"query":"sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    external_metric-watermark-default-wpa-nginx.net.request_per_s
      {"metricName":"nginx.net.request_per_s","labels":{"app":"web"},"ts":1764072000,"reference":{"type":"watermark","name":"wpa","namespace":"default","uid":"uid-of-wpa"},"value":26.5,"valid":true,"query":"sum:nginx.net.request_per_s{app:web}.rollup(30)","since":"2025-11-24T16:00:00Z","asked":"2025-11-25T12:00:45Z"}
    "#);
}

#[test]
fn what_is_stale_is_not_valid() {
    let snapshot = store(&[(testing::hpa("default", "h"), "m", "")]);
    let valid =
        |now| write(&snapshot, now).unwrap().values().all(|it| it.contains("\"valid\":true"));
    assert!(valid(at(1_764_072_120)));
    assert!(!valid(at(1_764_072_121)));
}

#[test]
fn two_autoscalers_whose_names_run_together_are_two_entries() {
    let snapshot =
        store(&[(testing::hpa("a-b", "c"), "m", ""), (testing::hpa("a", "b-c"), "m", "")]);
    assert_eq!(write(&snapshot, now()).unwrap().len(), 2);
}

/// What comes of an entry, in words.
fn words(key: &str, text: &str) -> String {
    match read(key, text, now()) {
        Ok(Said::Known(known)) => {
            let (key, memory) = *known;
            let sample = memory.sample.map(|sample| format!("{} of {}", sample.value, sample.at));
            format!("{key}: {} {sample:?}", memory.query.unwrap_or_default())
        }
        Ok(Said::NoQuery) => "no query".to_owned(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn both_forms_of_datadog_are_read_and_say_no_query() {
    for text in [
        r#"{"metricName":"requestsPerS","labels":{"bar":"baz"},"ts":1764072000,"reference":{"type":"horizontal","name":"foo","namespace":"default","uid":"1"},"value":12,"valid":true}"#,
        r#"{"metricName":"requestsPerS","labels":null,"ts":1764072000,"reference":{"name":"foo","namespace":"default","uid":"1"},"value":12.5,"valid":true}"#,
        r#"{"metricName":"requestsPerS","labels":{"bar":"baz"},"ts":1764072000,"hpa":{"name":"foo","namespace":"default","uid":"1"},"value":12,"valid":false}"#,
    ] {
        assert_eq!(words("external_metric-default-foo-requestsPerS", text), "no query");
    }
}

#[test]
fn what_cannot_be_used_is_not_and_says_why() {
    let ours = r#"{"metricName":"M","labels":{"a":"b"},"ts":1764072000,"reference":{"type":"horizontal","name":"h","namespace":"n","uid":"1"},"value":1.5,"valid":true,"query":"q","since":"2025-11-25T00:00:00Z","asked":"2025-11-25T11:59:00Z"}"#;
    let with = |from: &str, to: &str| {
        assert!(ours.contains(from), "{from}");
        ours.replace(from, to)
    };
    let table = [
        ("external_metric-x", ours.to_owned()),
        ("external_metric", with("\"uid\"", "\"new\":{},\"uid\"")),
        ("README", ours.to_owned()),
        ("external_metric-x", String::new()),
        ("external_metric-x", "null".to_owned()),
        ("external_metric-x", "[1,2]".to_owned()),
        ("external_metric-x", "{}".to_owned()),
        ("external_metric-x", "{".repeat(100_000)),
        ("external_metric-x", with("\"M\"", "\"\"")),
        ("external_metric-x", with("\"M\"", "7")),
        ("external_metric-x", with("\"n\"", "\"\"")),
        ("external_metric-x", with("{\"a\":\"b\"}", "{\"a\":1}")),
        ("external_metric-x", with("\"query\"", "\"selector\":\"a in\",\"query\"")),
        ("external_metric-x", with("1764072000", "99999999999999")),
        ("external_metric-x", with("1764072000", "1e400")),
        ("external_metric-x", with("1764072000", "1764072121")),
        ("external_metric-x", with("1764072000", "-5")),
        ("external_metric-x", with("1764072000", "0")),
        ("external_metric-x", with("1.5", "null")),
        ("external_metric-x", with("1.5", "\"1.5\"")),
        ("external_metric-x", with("1.5", "1e999")),
        ("external_metric-x", with("true", "false")),
        ("external_metric-x", with("\"q\"", "null")),
        ("external_metric-x", with("2025-11-25T00:00:00Z", "yesterday")),
        ("external_metric-x", with("\"valid\"", "\"valid\":true,\"valid\"")),
    ];
    let lines: Vec<_> = table.iter().map(|(key, text)| words(key, text)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    n/m{a=b}: q Some("1.5 of 2025-11-25T12:00:00Z")
    n/m{a=b}: q Some("1.5 of 2025-11-25T12:00:00Z")
    its key does not begin with external_metric
    it is no entry: EOF while parsing a value at line 1 column 0
    it is no entry: invalid type: null, expected struct Read at line 1 column 4
    it is no entry: invalid type: integer `1`, expected a string at line 1 column 2
    it is no entry: missing field `metricName` at line 1 column 2
    it is no entry: key must be a string at line 1 column 2
    it names no metric
    it is no entry: invalid type: integer `7`, expected a string at line 1 column 15
    its reference has no namespace
    it is no entry: invalid type: integer `1`, expected a string at line 1 column 33
    its selector cannot be read: unable to parse requirement: found '' expected: '('
    its time is none
    it is no entry: number out of range at line 1 column 47
    its sample is from the future (2025-11-25T12:02:01Z)
    n/m{a=b}: q Some("1.5 of 1969-12-31T23:59:55Z")
    n/m{a=b}: q None
    n/m{a=b}: q None
    it is no entry: invalid type: string "1.5", expected f64 at line 1 column 137
    it is no entry: number out of range at line 1 column 137
    n/m{a=b}: q None
    no query
    it is no entry: failed to parse four digit integer as year: invalid digit, expected 0-9 but got y at line 1 column 180
    it is no entry: duplicate field `valid` at line 1 column 156
    "#);
}

#[test]
fn no_time_of_the_future_counts() {
    let text = |asked: &str| {
        format!(
            r#"{{"metricName":"m","ts":1764072000,"reference":{{"namespace":"n"}},"value":1,"valid":true,"query":"q","since":"{asked}","asked":"{asked}"}}"#
        )
    };
    let memory = |asked| match read("external_metric-x", &text(asked), now()).unwrap() {
        Said::Known(known) => known.1,
        Said::NoQuery => panic!("it has a query"),
    };
    let future = memory("2999-01-01T00:00:00Z");
    assert_eq!(future.since, now());
    assert!(future.last.is_none());
    assert!(memory("2025-11-25T12:00:00Z").last.is_some());
}

#[test]
fn of_two_the_one_with_the_newer_sample_counts() {
    let text = |ts| {
        format!(
            r#"{{"metricName":"m","ts":{ts},"reference":{{"namespace":"n"}},"value":{ts},"valid":true,"query":"q"}}"#
        )
    };
    let mut found = Found::default();
    for ts in [20, 30, 10] {
        found.take(&format!("external_metric-{ts}"), &text(ts), now());
    }
    found.take(
        "external_metric-none",
        r#"{"metricName":"m","reference":{"namespace":"n"},"query":"q"}"#,
        now(),
    );
    let known = found.known();
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].1.sample, Some(Sample { value: 30.0, at: at(30) }));
}

const SELECTORS: [&str; 5] = ["", "app=web", "app=web,env=", "a in (x,y),b,!c", "a=1,a notin (2)"];

proptest! {
    #[test]
    fn what_is_written_is_read(
        namespace in "[a-z-]{1,9}",
        metric in "[A-Za-z._]{1,20}|datadogmetric@[a-z]{1,5}:[a-z]{1,5}",
        selector in prop::sample::select(&SELECTORS[..]),
        value in prop::num::f64::NORMAL | prop::num::f64::ZERO,
        millis in 1..1_764_072_060_000_i64,
        query in ".{0,40}",
    ) {
        let mut snapshot = store(&[(testing::hpa(&namespace, "h"), &metric, selector)]);
        let (key, _, _) = snapshot.iter().next().unwrap();
        let key = key.clone();
        let sample = Sample { value, at: Timestamp::from_millisecond(millis).unwrap() };
        let entry = snapshot.at_mut(0).unwrap();
        *entry = Entry {
            sample: Some(sample),
            age_limit: std::time::Duration::from_secs(u64::from(u32::MAX)),
            last: Some((now(), Outcome::Sampled)),
            since: at(5),
            ..testing::entry(&query)
        };
        let entries = write(&snapshot, now()).unwrap();
        let (place, text) = entries.first_key_value().unwrap();
        prop_assert!(place.len() <= 253);
        let Said::Known(known) = read(place, text, now()).unwrap() else { panic!("{text}") };
        prop_assert_eq!(&known.0, &key);
        prop_assert_eq!(known.1.sample, Some(sample));
        prop_assert_eq!(known.1.query.as_ref(), Some(&query));
        prop_assert_eq!(known.1.since, at(5));
        prop_assert!(matches!(known.1.last, Some((asked, Outcome::Sampled)) if asked == now()));
    }

    #[test]
    fn no_text_is_too_strange(key in ".{0,20}", text in ".{0,200}") {
        let _ = read(&format!("external_metric{key}"), &text, now());
    }
}
