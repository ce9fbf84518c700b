use proptest::prelude::*;

use super::*;
use crate::{demand::Raw, query::Overrides, testing};

fn resolve(name: &str, selector: &Selector) -> Result<Query, Unresolvable> {
    super::query(name, selector, Aggregator::Avg, Duration::from_secs(30))
}

fn requirement(key: &str, operator: Operator) -> Requirement {
    Requirement { key: key.into(), operator }
}

fn values(values: &[&str]) -> Sorted<String> {
    values.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn check(name: &str, requirements: Vec<Requirement>, expected: &str) {
    let selector = requirements.into_iter().collect();
    assert_eq!(resolve(name, &selector).unwrap().as_str(), expected);
}

// The first two vectors are those of Datadog's Cluster Agent (facts/datadog.md §1.1).
#[test]
fn equality_gives_sorted_tags_joined_by_commas() {
    check(
        "metricName1",
        vec![
            requirement("Zlabel1", Operator::In(values(&["foo"]))),
            requirement("Alabel2", Operator::In(values(&["bar"]))),
            requirement("Dlabel3", Operator::In(values(&["baz"]))),
        ],
        "avg:metricName1{Alabel2:bar,Dlabel3:baz,Zlabel1:foo}.rollup(30)",
    );
    check("metricName1", vec![], "avg:metricName1{*}.rollup(30)");
}

#[test]
fn set_based_requirements_without_lists_stay_in_the_comma_syntax() {
    check(
        "m",
        vec![
            requirement("env", Operator::In(values(&["prod"]))),
            requirement("team", Operator::Exists),
            requirement("zone", Operator::DoesNotExist),
            requirement("tier", Operator::NotIn(values(&["test"]))),
        ],
        "avg:m{!tier:test,!zone:*,env:prod,team:*}.rollup(30)",
    );
}

#[test]
fn a_list_turns_the_whole_scope_boolean() {
    check(
        "m",
        vec![
            requirement("env", Operator::In(values(&["prod", "staging"]))),
            requirement("app", Operator::In(values(&["web"]))),
            requirement("zone", Operator::DoesNotExist),
            requirement("tier", Operator::NotIn(values(&["b", "a"]))),
        ],
        "avg:m{NOT zone:* AND app:web AND env IN (prod,staging) AND tier NOT IN (a,b)}.rollup(30)",
    );
}

#[test]
fn what_could_change_the_meaning_of_the_query_is_refused() {
    for name in ["", "1up", "a-b", "a{*},avg:other", &"a".repeat(201)] {
        let refused = resolve(name, &Selector::default());
        assert_eq!(refused, Err(Unresolvable::Name { name: name.to_owned() }));
    }
    let selector =
        Selector::from_iter([requirement("a", Operator::In(values(&["x},avg:other{*"])))]);
    assert!(matches!(resolve("m", &selector), Err(Unresolvable::Value { .. })));
    let selector = Selector::from_iter([requirement("a}", Operator::Exists)]);
    assert!(matches!(resolve("m", &selector), Err(Unresolvable::Key { .. })));
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Query, window and age limit in seconds of a metric called `m`.
fn resolved(source: Source, overrides: Overrides) -> (String, u64, u64) {
    let wanted = Wanted { name: "m".into(), by: vec![], overrides, source };
    let resolved = super::resolve(&testing::key("default", "m"), &wanted, &testing::DEFAULTS);
    let Ask { query, window } = resolved.ask.unwrap();
    (query.to_string(), window.as_secs(), resolved.age_limit.as_secs())
}

fn raw(max_age: Option<u64>, window: Option<u64>) -> Source {
    let (max_age, window) = (max_age.map(seconds), window.map(seconds));
    Source::DatadogMetric(Ok(Raw { query: Query::new("sum:m{*}"), max_age, window }))
}

#[test]
fn options_hold_instead_of_the_defaults() {
    let none = Overrides::default();
    let query = |aggregator: &str, rollup: u64| format!("{aggregator}:m{{*}}.rollup({rollup})");
    let check = |overrides, expected| assert_eq!(resolved(Source::Selector, overrides), expected);
    check(none, (query("sum", 30), 300, 120));
    let max = Some(Aggregator::Max);
    check(Overrides { aggregator: max, ..none }, (query("max", 30), 300, 120));
    check(
        Overrides { rollup: Some(seconds(60)), ..none },
        (query("sum", 60), 300, 180), // at least three rollups
    );
    check(Overrides { max_age: Some(seconds(900)), ..none }, (query("sum", 30), 900, 900));
    check(Overrides { window: Some(seconds(3600)), ..none }, (query("sum", 30), 3600, 120));
    check(Overrides { window: Some(seconds(60)), ..none }, (query("sum", 30), 300, 120));
}

// Windows as in facts/datadog.md §1.2: timeWindow, else maxAge, at least the bucket size, at most
// the longest window.
#[test]
fn a_datadog_metric_has_its_own_times_and_the_autoscalers_come_first() {
    let none = Overrides::default();
    let check = |source, overrides, window, limit| {
        assert_eq!(resolved(source, overrides), ("sum:m{*}".to_owned(), window, limit));
    };
    check(raw(None, None), none, 300, 120);
    check(raw(Some(900), None), none, 900, 900);
    check(raw(Some(20), Some(3600)), none, 3600, 20);
    check(raw(None, Some(200_000)), none, 86_400, 120);
    let half = Overrides { max_age: Some(Duration::from_millis(600_500)), ..none };
    check(raw(None, None), half, 601, 600);
    let overrides = Overrides { max_age: Some(seconds(60)), window: Some(seconds(1800)), ..none };
    check(raw(Some(900), Some(3600)), overrides, 1800, 60);
}

proptest! {
    // <https://docs.datadoghq.com/metrics/advanced-filtering/>: `!` and `,` cannot be used together
    // with NOT, AND, OR, IN and NOT IN.
    #[test]
    fn property_test_a_scope_has_one_syntax(
        parts in proptest::collection::vec(
            ("[a-c]", 0..4_u8, proptest::collection::btree_set("[x-z]{1,2}", 1..4)), 0..5)
    ) {
        let requirements = parts.into_iter().map(|(key, operator, values)| {
            let operator = match operator {
                0 => Operator::In(values.into_iter().collect()),
                1 => Operator::NotIn(values.into_iter().collect()),
                2 => Operator::Exists,
                _ => Operator::DoesNotExist,
            };
            Requirement { key, operator }
        });
        let query = resolve("m", &requirements.collect()).unwrap();
        // Commas inside a list belong to it.
        let scope: Vec<&str> = query.as_str().split(['(', ')']).step_by(2).collect();
        let scope = scope.concat();
        let is_boolean = ["AND", "NOT", "IN"].iter().any(|word| scope.contains(word));
        let is_symbolic = scope.contains([',', '!']);
        prop_assert!(!(is_boolean && is_symbolic), "{}", query);
    }

    #[test]
    fn property_test_a_query_has_one_scope_and_no_other_braces(
        name in "\\PC{0,12}", key in "\\PC{0,12}", value in "\\PC{0,12}"
    ) {
        let selector = Selector::from_iter([requirement(&key, Operator::In(values(&[&value])))]);
        if let Ok(query) = resolve(&name, &selector) {
            let braces: String = query.as_str().chars().filter(|c| "{}()".contains(*c)).collect();
            prop_assert_eq!(braces, "{}()");
        }
    }
}
