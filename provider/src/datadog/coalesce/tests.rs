use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{datadog::Series, query::Aggregator, testing::WINDOW};

/// One query a request, so that whatever can be put together saves calls.
const TIGHT: Limits = Limits { queries: 1, characters: 7000 };

fn plain(metric: &str, tags: &[(&str, &str)]) -> Plain {
    let tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Plain { aggregator: Aggregator::Avg, metric: metric.into(), tags, rollup: 30 }
}

fn ask(metric: &str, tags: &[(&str, &str)]) -> Ask {
    Ask { window: WINDOW, query: plain(metric, tags).into() }
}

fn texts(units: &[Unit]) -> Vec<&str> {
    units.iter().map(|unit| unit.ask().query.as_str()).collect()
}

/// What `asks` are asked as.
#[track_caller]
fn check(asks: &[Ask], expected: &[&str]) {
    assert_eq!(texts(&coalesce(asks, TIGHT)), expected);
}

#[track_caller]
fn stay_alone(asks: &mut [Ask]) {
    let units = coalesce(asks, TIGHT);
    asks.sort_unstable();
    assert_eq!(units, alone(asks));
}

fn alone(asks: &[Ask]) -> Vec<Unit> {
    asks.iter().cloned().map(Unit::Alone).collect()
}

#[track_caller]
fn group(asks: &[Ask]) -> Arc<Group> {
    match coalesce(asks, TIGHT).as_slice() {
        [Unit::Group(group)] => group.clone(),
        other => panic!("{:?}", texts(other)),
    }
}

fn series(tags: &[&str], value: f64) -> Series {
    let tags = tags.iter().map(|&tag| tag.into()).collect();
    Series { points: vec![(1000.0, Some(value))], scope: "as Datadog likes".into(), tags }
}

#[test]
fn queries_that_differ_in_one_value_are_asked_as_one() {
    check(
        &[ask("m", &[("queue", "a")]), ask("m", &[("queue", "b")]), ask("m", &[("queue", "c")])],
        &["avg:m{queue IN (a,b,c)} by {queue}.rollup(30)"],
    );
    check(
        &[
            ask("m", &[("env", "X"), ("queue", "a"), ("zone", "z")]),
            ask("m", &[("env", "X"), ("queue", "B"), ("zone", "z")]),
        ],
        &["avg:m{env:X AND zone:z AND queue IN (a,b)} by {queue}.rollup(30)"],
    );
}

#[test]
fn whatever_else_differs_keeps_queries_apart() {
    let of = |plain: Plain| Ask { window: WINDOW, query: plain.into() };
    let base = || plain("m", &[("queue", "a")]);
    let mut asks = [
        of(base()),
        ask("n", &[("queue", "b")]),
        ask("M", &[("queue", "b")]),
        ask("m", &[("topic", "b")]),
        ask("m", &[("queue", "b"), ("env", "x")]),
        of(Plain { aggregator: Aggregator::Sum, ..plain("m", &[("queue", "b")]) }),
        of(Plain { rollup: 60, ..plain("m", &[("queue", "b")]) }),
        Ask { window: WINDOW * 2, ..ask("m", &[("queue", "b")]) },
    ];
    stay_alone(&mut asks);
}

#[test]
fn only_plain_tags_and_values_are_put_together() {
    let raw = |text: &str| Ask { window: WINDOW, query: Query::new(text) };
    let mut asks = [
        ask("m", &[]),
        ask("m", &[("k", "a*")]),
        ask("m", &[("k", "b")]),
        ask("m", &[("k", "not")]),
        ask("m", &[("k", "x,y")]),
        ask("m", &[("in", "a")]),
        ask("m", &[("in", "b")]),
        raw("avg:m{k:c}.rollup(30)"),
        raw("avg:m{k:d}.rollup(30)"),
    ];
    stay_alone(&mut asks);
}

#[test]
fn what_fits_into_one_request_is_left_as_it_is() {
    let asks: Vec<Ask> = (0..36).map(|n| ask("m", &[("queue", &n.to_string())])).collect();
    let units = |count: usize| coalesce(&asks[..count], Limits::DATADOG).len();
    assert_eq!((units(35), units(36)), (35, 1));
}

#[test]
fn the_tag_that_most_queries_share_is_taken_first() {
    let asks = [
        ask("m", &[("pod", "a"), ("env", "x")]),
        ask("m", &[("pod", "a"), ("env", "y")]),
        ask("m", &[("pod", "b"), ("env", "x")]),
        ask("m", &[("pod", "c"), ("env", "x")]),
        ask("m", &[("pod", "c"), ("env", "y")]),
    ];
    let expected = [
        "avg:m{env:x AND pod IN (a,b,c)} by {pod}.rollup(30)",
        "avg:m{env:y AND pod IN (a,c)} by {pod}.rollup(30)",
    ];
    check(&asks, &expected);
    // Of two that are shared by as many, the order of the queries decides nothing.
    let square = |order: [usize; 4]| {
        let pods = ["a", "a", "b", "b"];
        let envs = ["x", "y", "x", "y"];
        order.map(|n| ask("m", &[("pod", pods[n]), ("env", envs[n])]))
    };
    let expected = [
        "avg:m{pod:a AND env IN (x,y)} by {env}.rollup(30)",
        "avg:m{pod:b AND env IN (x,y)} by {env}.rollup(30)",
    ];
    check(&square([0, 1, 2, 3]), &expected);
    check(&square([3, 1, 2, 0]), &expected);
}

#[test]
fn the_answer_is_divided_without_regard_to_case() {
    let values = ["a", "B", "gone", "two"];
    let asks = values.map(|value| ask("m", &[("Queue", value)]));
    let group = group(&asks);
    let text = group.ask.query.as_str();
    assert_eq!(text, "avg:m{Queue IN (a,b,gone,two)} by {Queue}.rollup(30)");
    let [a, b, gone, two] = asks;
    let [first, second] = [series(&["queue:two"], 3.0), series(&["env:x", "queue:two"], 4.0)];
    let split = group.split(vec![
        series(&["queue:A"], 1.0),
        series(&["queue:b"], 2.0),
        first.clone(),
        second.clone(),
        // None of these is `gone`.
        series(&["queue:gone:for-good"], 5.0),
        series(&["queues:gone"], 6.0),
        series(&["queue:N/A"], 7.0),
        series(&["gone"], 8.0),
        series(&[], 9.0),
    ]);
    let found = vec![
        (a, vec![series(&["queue:A"], 1.0)]),
        (b, vec![series(&["queue:b"], 2.0)]),
        (two, vec![first, second]),
    ];
    assert_eq!(split, Split { found, missing: vec![gone], strangers: 5 });
}

#[test]
fn queries_that_differ_in_case_alone_do_not_share_a_list() {
    let asks = ["A", "a", "b"].map(|value| ask("m", &[("queue", value)]));
    check(&asks[..2], &["avg:m{queue:A}.rollup(30)", "avg:m{queue:a}.rollup(30)"]);
    check(&asks, &["avg:m{queue IN (a,b)} by {queue}.rollup(30)", "avg:m{queue:a}.rollup(30)"]);
}

#[test]
fn strangers_are_counted_for_each_member() {
    let group = group(&[ask("m", &[("queue", "a")]), ask("m", &[("queue", "b")])]);
    let strangers = |count: usize| (0..count).map(|n| series(&[&format!("queue:x{n}")], 1.0));
    let too_many = |count| group.split(strangers(count).collect()).too_many_strangers();
    assert_eq!((too_many(8), too_many(9)), (false, true));
}

/// `count` metrics over 20 names, told apart by values of ten characters.
fn fleet(count: usize) -> Vec<Ask> {
    let ask = |n: usize| {
        let value = format!("queue-{:04}", n / 20);
        ask(&format!("shop.queue.depth_{}", n % 20), &[("env", "prod"), ("queue", &value)])
    };
    (0..count).map(ask).collect()
}

#[test]
fn ten_thousand_metrics_of_twenty_names_take_thirty_requests_at_most() {
    let asks = fleet(10_000);
    assert_eq!(requests(&alone(&asks), Limits::DATADOG), 286);
    let units = coalesce(&asks, Limits::DATADOG);
    assert_eq!(units.iter().flat_map(Unit::members).count(), 10_000);
    assert_eq!(requests(&units, Limits::DATADOG), 22);
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let long = "a-value-of-a-pod-or-a-queue-that-is-as-long-as-a-label-can-be--x";
    let values = ["a", "A", "b", "c", "d", "e", "f", long, "not", "w*", ""].map(String::from);
    let keys = ["a", "b", "c"].map(String::from);
    let any = |words: &[String]| prop::sample::select(words.to_vec());
    let tags = prop::collection::btree_map(any(&keys), any(&values), 0..4);
    let aggregators = prop::sample::select(vec![Aggregator::Avg, Aggregator::Max]);
    let parts = (aggregators, any(&keys), tags, 1u64..3, 1u64..3);
    parts.prop_map(|(aggregator, metric, tags, rollup, windows)| {
        let query = Plain { aggregator, metric, tags: tags.into_iter().collect(), rollup }.into();
        Ask { window: Duration::from_secs(windows * 300), query }
    })
}

proptest! {
    #[test]
    fn property_test_every_ask_is_in_one_unit_and_calls_are_never_more(
        asks in prop::collection::btree_set(any_ask(), 0..60),
        queries in 1usize..6,
        characters in 0usize..2000,
    ) {
        let limits = Limits { queries, characters };
        let asks: Vec<Ask> = asks.into_iter().collect();
        let units = coalesce(&asks, limits);
        let mut members: Vec<Ask> = units.iter().flat_map(Unit::members).cloned().collect();
        members.sort_unstable();
        prop_assert_eq!(&members, &asks);
        let per_window = |units: &[Unit]| -> usize {
            let windows = units.chunk_by(|a, b| a.ask().window == b.ask().window);
            windows.map(|units| requests(units, limits)).sum()
        };
        prop_assert!(per_window(&units) <= per_window(&alone(&asks)));
        for unit in &units {
            let Unit::Group(group) = unit else { continue };
            prop_assert!(1 < group.members.len());
            let length = escaped_length(group.ask.query.as_str()) + SEPARATOR;
            prop_assert!(length <= characters, "{length}");
            for (value, ask) in &group.members {
                let own = ask.query.plain().and_then(|plain| plain.tag(&group.tag));
                prop_assert_eq!(own.map(str::to_lowercase), Some(value.clone()));
                prop_assert_eq!(ask.window, group.ask.window);
            }
        }
    }

    #[test]
    fn property_test_the_order_of_asks_is_of_no_account(
        asks in prop::collection::btree_set(any_ask(), 0..60), turn in 0usize..60
    ) {
        let mut asks: Vec<Ask> = asks.into_iter().collect();
        let units = |asks: &[Ask]| -> std::collections::BTreeSet<String> {
            let units = coalesce(asks, TIGHT);
            units.iter().map(|unit| unit.ask().query.as_str().to_owned()).collect()
        };
        let before = units(&asks);
        let length = asks.len().max(1);
        asks.rotate_left(turn % length);
        asks.reverse();
        prop_assert_eq!(units(&asks), before);
    }
}
