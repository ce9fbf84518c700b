use std::time::Duration;

use proptest::prelude::*;

use super::{
    line::{Known, Line, MAX_LINE, Reader},
    *,
};
use crate::{
    api::selector,
    query::resolve::Unresolvable,
    sample::NoSample,
    selector::{Operator, Requirement, Selector},
    store::Shortage,
    testing,
};

fn snapshot(metrics: usize) -> Snapshot {
    let keys: Vec<_> =
        (0..metrics).map(|n| testing::key("default", &format!("metric.{n:05}"))).collect();
    let demand = testing::demand(keys.into_iter().map(|key| (key, "it")));
    let entries: Vec<_> =
        demand.iter().map(|(key, _)| Arc::new(testing::entry(&key.metric))).collect();
    Snapshot::new(demand, &entries)
}

/// The lines of one metric, read again.
fn through(known: Known) -> (Vec<News>, Option<(usize, String)>) {
    let mut bytes = Vec::new();
    for line in [Line::Begin { complete: true }, Line::Metric(Box::new(known)), Line::End] {
        line.write(&mut bytes).unwrap();
    }
    let mut reader = Reader::default();
    let news = reader.feed(&bytes).unwrap();
    (news, reader.unreadable())
}

#[test]
fn only_entries_that_changed_are_told() {
    let before = snapshot(300);
    assert!(News::between(&before, &before.clone()).is_none());
    let mut after = before.clone();
    for position in [0, 127, 128, 299] {
        after.at_mut(position).unwrap().last = Some((Timestamp::UNIX_EPOCH, Outcome::NoSeries));
    }
    assert_eq!(changed(&before, &after), [0, 127, 128, 299]);
    let news = News::between(&before, &after).unwrap();
    assert!(!news.complete && news.asking.is_none());
    let told: Vec<_> = news.known.iter().map(|(key, _)| key.metric.as_str()).collect();
    assert_eq!(told, ["metric.00000", "metric.00127", "metric.00128", "metric.00299"]);
}

#[test]
fn with_another_demand_entries_are_compared_by_their_keys() {
    let before = snapshot(200);
    let keys = before.iter().skip(3).map(|(key, _, _)| (key.clone(), "it"));
    let demand = testing::demand(keys.chain([(testing::key("default", "new"), "new")]));
    let new = Arc::new(testing::entry("new"));
    let entries: Vec<_> = demand
        .iter()
        .map(|(key, _)| before.get(key).map_or(&new, |(_, entry)| entry).clone())
        .collect();
    let after = Snapshot::new(demand, &entries);
    let news = News::between(&before, &after).unwrap();
    assert_eq!(news.known.len(), 1);
    assert_eq!(news.known[0].0.metric, "new");
}

#[test]
fn the_asking_is_told_when_it_says_something_else() {
    let before = snapshot(1);
    let asking = |refused| Arc::new(Asking { refused, ..Asking::default() });
    let same = before.clone().with(asking(0));
    assert!(News::between(&before, &same).is_none());
    let news = News::between(&before, &before.clone().with(asking(2))).unwrap();
    assert_eq!(news.asking.unwrap().refused, 2);
    assert!(news.known.is_empty());
}

#[test]
fn a_line_is_what_is_known_and_no_more() {
    let mut entry = testing::entry("sum:it{app:web}.rollup(30)");
    let at = Timestamp::from_millisecond(1_764_072_000_500).unwrap();
    entry.sample = Some(Sample { value: 26.25, at });
    entry.last = Some((at, Outcome::Sampled));
    let key = MetricKey::new("default", "It", selector::parse("app=web,b in (x,y)").unwrap());
    let mut bytes = Vec::new();
    Line::Metric(Box::new(Known::of(&key, &entry).unwrap())).write(&mut bytes).unwrap();
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap(), @r#"{"metric":{"namespace":"default","metric":"it","selector":"app=web,b in (x,y)","memory":{"query":"sum:it{app:web}.rollup(30)","since":"1970-01-01T00:00:00Z","sample":{"value":26.25,"at":"2025-11-25T12:00:00.5Z"},"last":["2025-11-25T12:00:00.5Z","Sampled"]}}}"#);
}

#[test]
fn a_line_that_cannot_be_read_costs_only_itself() {
    let good = r#"{"metric":{"namespace":"n","metric":"good","selector":"","memory":{"since":"2026-01-01T00:00:00Z","new":1},"new":2}}"#;
    let newer = good.replace(r#""new":1"#, r#""last":["2026-01-01T00:00:00Z","Dreamt"]"#);
    let selector = good.replace(r#""selector":"""#, r#""selector":"a in""#);
    let long = format!(r#"{{"metric":"{}"}}"#, "x".repeat(MAX_LINE));
    for bad in ["", "garbage", "\"tomorrow\"", "{\"asking\":1}", &newer, &selector, &long] {
        let text =
            format!("{{\"begin\":{{\"complete\":true,\"new\":1}}}}\n{bad}\n{good}\n\"end\"\n");
        let mut reader = Reader::default();
        // However the bytes come in.
        let news: Vec<News> =
            text.as_bytes().chunks(1 << 16).flat_map(|chunk| reader.feed(chunk).unwrap()).collect();
        assert_eq!(news.len(), 1, "{bad:.40}");
        assert!(news[0].complete);
        assert_eq!(news[0].known.len(), 1, "{bad:.40}");
        assert_eq!(news[0].known[0].0, testing::key("n", "good"));
        assert_eq!(reader.unreadable().map(|(lines, _)| lines), Some(1), "{bad:.40}");
    }
}

#[test]
fn what_has_no_beginning_is_no_news() {
    let mut reader = Reader::default();
    assert!(reader.feed(b"\"end\"\n\"heartbeat\"\n\"end\"\n").unwrap().is_empty());
    assert_eq!(reader.unreadable(), None);
}

#[test]
fn numbers_that_are_none_come_through() {
    let mut entry = testing::entry("it");
    let unusable = NoSample::Unusable { time: f64::NAN, value: f64::INFINITY };
    entry.last = Some((Timestamp::UNIX_EPOCH, Outcome::NoSample(unusable)));
    let (news, unreadable) = through(Known::of(&testing::key("n", "m"), &entry).unwrap());
    assert_eq!(unreadable, None);
    let (_, Outcome::NoSample(reason)) = news[0].known[0].1.last.as_ref().unwrap() else {
        panic!("{news:?}")
    };
    assert_eq!(reason.to_string(), "point (NaN, NaN) is not a finite value at a valid time");
}

#[test]
fn a_selector_that_would_be_read_as_another_one_is_not_told() {
    let with = |value: &str| {
        let operator = Operator::In([value.to_owned()].into());
        let selector = Selector::from_iter([Requirement { key: "a".into(), operator }]);
        let error = Unresolvable::Value { key: "a".into(), value: value.to_owned() };
        let entry = Entry { ask: Err(error), ..testing::entry("it") };
        Known::of(&MetricKey::new("n", "m", selector), &entry)
    };
    assert!(with("x,b=y").is_none());
    assert!(with("").is_some_and(|known| known.selector == "a="));
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Sampled),
        Just(Outcome::NoSeries),
        any::<usize>().prop_map(|points| Outcome::NoSample(NoSample::AllNull { points })),
        any::<usize>().prop_map(Outcome::SeveralSeries),
        any::<String>().prop_map(|words| Outcome::Failed(Arc::new(testing::rejected(&words)))),
        Just(Outcome::Failed(Arc::new(testing::down()))),
        (any::<u32>(), any::<u64>()).prop_map(|(limit, needed)| {
            let period = Duration::from_secs(3600);
            Outcome::Shed(Arc::new(Shortage { limit, period, queries: 1, needed, fitting: 0 }))
        }),
    ]
}

fn times() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(|at| Timestamp::from_millisecond(at).unwrap())
}

fn entries() -> impl Strategy<Value = Entry> {
    let value = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    let sample = (value, times()).prop_map(|(value, at)| Sample { value, at });
    let said = || prop::option::of((times(), outcomes()));
    (any::<String>(), times(), prop::option::of(sample), said(), said()).prop_map(
        |(query, since, sample, last, last_error)| Entry {
            since,
            sample,
            last,
            last_error,
            ..testing::entry(&query)
        },
    )
}

const SELECTORS: [&str; 4] = ["", "app=web", "a in (x,y),b,!c,d notin (z)", "example.com/e=,f>3"];

proptest! {
    #[test]
    fn what_is_told_is_what_is_known(
        namespace in any::<String>(),
        metric in any::<String>(),
        selector in prop::sample::select(&SELECTORS[..]),
        entry in entries(),
    ) {
        let selector = selector::parse(selector).unwrap();
        let key = MetricKey { namespace, metric, selector };
        let (news, unreadable) = through(Known::of(&key, &entry).unwrap());
        prop_assert_eq!(unreadable, None);
        let (read_key, memory) = &news[0].known[0];
        prop_assert_eq!(read_key, &key);
        prop_assert_eq!(memory.sample, entry.sample);
        prop_assert_eq!(format!("{memory:?}"), format!("{:?}", Memory::from(&entry)));
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Reader::default().feed(&bytes).unwrap().is_empty());
    }
}
