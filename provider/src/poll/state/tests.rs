use super::*;
use crate::{
    query::Query,
    testing::{DEFAULTS, WINDOW, key},
};

fn state() -> State {
    State::new(DEFAULTS)
}

fn demand(metrics: &[(&str, &'static str)]) -> Arc<Demand> {
    crate::testing::demand(metrics.iter().map(|(namespace, name)| (key(namespace, name), *name)))
}

fn query(metric: &str) -> Ask {
    Ask { window: WINDOW, query: Query::new(format!("sum:{metric}{{*}}.rollup(30)")) }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn series(points: &[(i32, f64)]) -> Vec<Series> {
    let points = points.iter().map(|(s, v)| (f64::from(*s) * 1000.0, Some(*v))).collect();
    vec![Series { points, scope: "*".into(), tags: vec![] }]
}

fn entry_of(state: &State, namespace: &str, metric: &str) -> Arc<Entry> {
    state.snapshot().get(&key(namespace, metric)).unwrap().1.clone()
}

fn value(state: &State, namespace: &str, metric: &str) -> Option<f64> {
    entry_of(state, namespace, metric).sample.map(|sample| sample.value)
}

#[test]
fn a_query_that_two_namespaces_want_is_asked_once_and_answers_both() {
    let mut state = state();
    let new = state.set_demand(&demand(&[("a", "Queue"), ("b", "Queue")]), at(50));
    assert_eq!(new, BTreeSet::from([query("Queue")]));
    state.record(at(100), vec![(query("Queue"), Ok(series(&[(60, 7.0), (90, 8.0)])))]);
    assert_eq!(value(&state, "a", "Queue"), Some(7.0));
    assert_eq!(value(&state, "b", "Queue"), Some(7.0));
}

#[test]
fn a_query_under_way_is_not_asked_again() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m")]), at(50));
    assert!(state.due().is_empty());
    state.record(at(100), vec![(query("m"), Ok(vec![]))]);
    assert_eq!(state.due(), BTreeSet::from([query("m")]));
}

#[test]
fn new_demand_asks_only_for_what_was_never_answered() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m")]), at(50));
    state.record(at(100), vec![(query("m"), Ok(series(&[(60, 1.0)])))]);
    let new = state.set_demand(&demand(&[("a", "m"), ("a", "n")]), at(50));
    assert_eq!(new, BTreeSet::from([query("n")]));
    assert_eq!(value(&state, "a", "m"), Some(1.0), "what stays keeps its sample");
}

#[test]
fn what_nobody_wants_any_more_is_forgotten() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m"), ("a", "n")]), at(50));
    state.set_demand(&demand(&[("a", "n")]), at(50));
    assert_eq!(state.snapshot().len(), 1);
    // Its answer may still arrive.
    state.record(at(100), vec![(query("m"), Ok(series(&[(60, 1.0)])))]);
    assert_eq!(state.snapshot().len(), 1);
}

#[test]
fn a_failure_keeps_the_sample_and_says_why() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m")]), at(50));
    state.record(at(100), vec![(query("m"), Ok(series(&[(60, 5.0), (90, 6.0)])))]);
    let error = Arc::new(Error::RateLimited { reset: None });
    state.record(at(130), vec![(query("m"), Err(error))]);
    let entry = entry_of(&state, "a", "m");
    assert_eq!(entry.sample, Some(Sample { value: 5.0, at: at(60) }));
    assert!(matches!(entry.last, Some((asked, Outcome::Failed(_))) if asked == at(130)));
}

#[test]
fn an_answer_that_comes_late_does_not_turn_back_the_sample() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m")]), at(50));
    state.record(at(130), vec![(query("m"), Ok(series(&[(90, 6.0), (120, 7.0)])))]);
    state.record(at(100), vec![(query("m"), Ok(series(&[(60, 5.0), (90, 6.0)])))]);
    assert_eq!(value(&state, "a", "m"), Some(6.0));
}

#[test]
fn several_series_and_no_usable_point_are_told_apart() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m"), ("a", "n"), ("a", "o")]), at(50));
    let two = [series(&[(1, 1.0)]), series(&[(1, 2.0)])].concat();
    let null = vec![Series { points: vec![(1000.0, None)], scope: "*".into(), tags: vec![] }];
    state.record(
        at(100),
        vec![(query("m"), Ok(two)), (query("n"), Ok(null)), (query("o"), Ok(vec![]))],
    );
    let last = |metric| entry_of(&state, "a", metric).last.clone().unwrap().1;
    assert!(matches!(last("m"), Outcome::SeveralSeries(2)));
    assert!(matches!(last("n"), Outcome::NoSample(_)));
    assert!(matches!(last("o"), Outcome::NoSeries));
}

#[test]
fn a_metric_that_cannot_be_asked_for_costs_no_call() {
    let mut state = state();
    assert!(state.set_demand(&demand(&[("a", "no name")]), at(50)).is_empty());
    assert!(state.due().is_empty());
    assert!(entry_of(&state, "a", "no name").ask.is_err());
}
