use std::time::Duration;

use super::*;
use crate::{
    demand::{Autoscaler, Builder, Source},
    query::{Overrides, Query},
    testing::{DEFAULTS, WINDOW, down, hpa, key, rejected},
};

mod upstream;

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
    state.snapshot(Arc::default()).get(&key(namespace, metric)).unwrap().1.clone()
}

fn value(state: &State, namespace: &str, metric: &str) -> Option<f64> {
    entry_of(state, namespace, metric).sample.map(|sample| sample.value)
}

fn new(state: &State) -> Vec<Ask> {
    state.never_answered().cloned().collect()
}

#[test]
fn a_query_that_two_namespaces_want_is_asked_once_and_answers_both() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "Queue"), ("b", "Queue")]), at(50));
    assert_eq!(new(&state), [query("Queue")]);
    state.record(at(100), vec![(query("Queue"), Ok(series(&[(60, 7.0), (90, 8.0)])))]);
    assert_eq!(value(&state, "a", "Queue"), Some(7.0));
    assert_eq!(value(&state, "b", "Queue"), Some(7.0));
}

#[test]
fn new_demand_asks_only_for_what_was_never_answered() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m")]), at(50));
    state.record(at(100), vec![(query("m"), Ok(series(&[(60, 1.0)])))]);
    state.set_demand(&demand(&[("a", "m"), ("a", "n")]), at(110));
    assert_eq!(new(&state), [query("n")]);
    assert_eq!(value(&state, "a", "m"), Some(1.0), "what stays keeps its sample");
    let since = entry_of(&state, "a", "m").since;
    assert_eq!(since, at(50), "and has been wanted since then");
}

#[test]
fn a_metric_whose_question_another_one_has_asked_knows_the_answer_at_once() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m")]), at(50));
    let refused = Arc::new(rejected("no"));
    state.record(at(100), vec![(query("m"), Err(refused))]);
    // A refused query is asked rarely; the newcomer must not seem to wait for its first answer.
    state.set_demand(&demand(&[("a", "m"), ("b", "m")]), at(110));
    let entry = entry_of(&state, "b", "m");
    assert!(matches!(entry.last, Some((asked, Outcome::Failed(_))) if asked == at(100)));
    assert_eq!(entry.since, at(110));
}

#[test]
fn the_strictest_and_oldest_of_those_who_share_a_query_decide_about_it() {
    let mut builder = Builder::default();
    for (namespace, age, created) in [("a", 300, 20), ("b", 150, 10), ("c", 90, 30)] {
        let max_age = Some(Duration::from_secs(age));
        let overrides = Overrides { max_age, ..Overrides::default() };
        let by = Autoscaler { created: Some(at(created)), ..hpa(namespace, "hpa") };
        builder.add(key(namespace, "m"), "m".into(), Source::Selector, overrides, by);
    }
    let mut state = state();
    state.set_demand(&Arc::new(builder.build()), at(50));
    let wants = state.wants(|_| true);
    let urgency = Urgency { unreferenced: false, created: Some(at(10)) };
    // The limit of the third is three rollups, 90 s; two of them pass before a bucket is read.
    let longest_period = Duration::from_secs(30);
    assert_eq!(wants, [Want { ask: query("m"), longest_period, urgency }]);
}

#[test]
fn what_nobody_wants_any_more_is_forgotten() {
    let mut state = state();
    state.set_demand(&demand(&[("a", "m"), ("a", "n")]), at(50));
    state.set_demand(&demand(&[("a", "n")]), at(50));
    assert_eq!(state.snapshot(Arc::default()).len(), 1);
    // Its answer may still arrive.
    state.record(at(100), vec![(query("m"), Ok(series(&[(60, 1.0)])))]);
    assert_eq!(state.snapshot(Arc::default()).len(), 1);
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
    state.set_demand(&demand(&[("a", "no name")]), at(50));
    assert!(state.wants(|_| true).is_empty());
    assert!(entry_of(&state, "a", "no name").ask.is_err());
}
