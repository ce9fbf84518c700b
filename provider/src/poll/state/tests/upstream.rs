//! The cases of the tests of Datadog's Cluster Agent, by their names and numbers: of
//! `pkg/util/kubernetes/autoscalers/processor_test.go` and of
//! `pkg/clusteragent/autoscaling/externalmetrics/metrics_retriever_test.go`. There a metric is
//! `Valid` or not; here it has a value in the API or a reason why not.

use super::*;
use crate::api::answer::{Answer, answer};

/// The value of `default/metric` in the API at `now`, or the HTTP status of the refusal.
fn served(state: &State, metric: &str, now: i64) -> Result<String, u16> {
    let snapshot = state.snapshot(Arc::default());
    match answer(&key("default", metric), &snapshot, at(now)) {
        Answer::Value(value) => Ok(value.value),
        Answer::Refusal(status) => Err(status.code().as_u16()),
        Answer::NotAskedYet => Err(0),
    }
}

fn with_max_age(metrics: &[(&'static str, Option<u64>)]) -> State {
    let mut builder = Builder::default();
    for (metric, max_age) in metrics {
        let overrides =
            Overrides { max_age: max_age.map(Duration::from_secs), ..Overrides::default() };
        let by = hpa("default", "hpa");
        builder.add(key("default", metric), (*metric).into(), Source::Selector, overrides, by);
    }
    let mut state = state();
    state.set_demand(&Arc::new(builder.build()), at(0));
    state
}

fn wanting(metrics: &[&'static str]) -> State {
    with_max_age(&metrics.iter().map(|metric| (*metric, None)).collect::<Vec<_>>())
}

// TestUpdateExternalMetrics, "update invalid metric".
#[test]
fn update_invalid_metric() {
    let mut state = wanting(&["requests_per_s"]);
    state.record(at(100), vec![(query("requests_per_s"), Ok(vec![]))]);
    assert_eq!(served(&state, "requests_per_s", 100), Err(404));
    let series = series(&[(50, 12.0), (60, 14.0), (70, 27.0)]);
    state.record(at(100), vec![(query("requests_per_s"), Ok(series))]);
    assert_eq!(served(&state, "requests_per_s", 100), Ok("14".to_owned()));
}

// The same, "do not update valid sparse metric": outdated, its value still known.
#[test]
fn sparse_outdated_metric() {
    let mut state = wanting(&["requests_per_s"]);
    let series = series(&[(50, 12.0), (60, 14.0), (70, 27.0)]);
    state.record(at(500), vec![(query("requests_per_s"), Ok(series))]);
    assert_eq!(served(&state, "requests_per_s", 500), Err(503));
    assert_eq!(value(&state, "default", "requests_per_s"), Some(14.0));
}

// TestRetriever, "nominal case".
#[test]
fn nominal_case() {
    let mut state = wanting(&["query0", "query1"]);
    state.record(
        at(100),
        vec![
            (query("query0"), Ok(series(&[(90, 10.0)]))),
            (query("query1"), Ok(series(&[(90, 11.0)]))),
        ],
    );
    assert_eq!(served(&state, "query0", 100), Ok("10".to_owned()));
    assert_eq!(served(&state, "query1", 100), Ok("11".to_owned()));
}

// "expired data" and "expired data based on per metric MaxAge".
#[test]
fn expired_data_and_max_age_of_each_metric() {
    let mut state = with_max_age(&[("query0", None), ("query1", Some(600)), ("query2", Some(90))]);
    let all = ["query0", "query1", "query2"];
    let asks = all.map(|name| entry_of(&state, "default", name).ask.clone().unwrap());
    state.record(at(200), asks.map(|ask| (ask, Ok(series(&[(90, 10.0)])))).into());
    assert_eq!(all.map(|name| served(&state, name, 200).is_ok()), [true, true, false]);
    assert_eq!(all.map(|name| served(&state, name, 211).is_ok()), [false, true, false]);
    assert_eq!(all.map(|name| served(&state, name, 691).is_ok()), [false; 3]);
}

// "backend error single metric": the other one keeps its value.
#[test]
fn backend_error_of_a_single_metric() {
    let mut state = wanting(&["query0", "query1"]);
    let refused = Arc::new(rejected("some err"));
    state.record(
        at(100),
        vec![(query("query0"), Ok(series(&[(90, 10.0)]))), (query("query1"), Err(refused))],
    );
    assert_eq!(served(&state, "query0", 100), Ok("10".to_owned()));
    assert_eq!(served(&state, "query1", 100), Err(422));
}

// "global error from backend": what is fresh is still served, which upstream's is not.
#[test]
fn global_error_from_the_backend() {
    let mut state = wanting(&["query0", "query1"]);
    state.record(at(100), vec![(query("query0"), Ok(series(&[(90, 10.0)])))]);
    let down = Arc::new(down());
    let all = ["query0", "query1"];
    state.record(at(130), all.map(|name| (query(name), Err(down.clone()))).into());
    assert_eq!(served(&state, "query0", 130), Ok("10".to_owned()));
    assert_eq!(served(&state, "query1", 130), Err(503));
}

// "missing query response from backend".
#[test]
fn missing_query_response() {
    let mut state = wanting(&["query0", "query1"]);
    state.record(
        at(100),
        vec![(query("query0"), Ok(series(&[(90, 10.0)]))), (query("query1"), Ok(vec![]))],
    );
    assert_eq!(served(&state, "query0", 100), Ok("10".to_owned()));
    assert_eq!(served(&state, "query1", 100), Err(404));
}

// "test different time windows": a metric's window is at least its max age, and apart from others.
#[test]
fn time_windows_of_each_metric() {
    let state = with_max_age(&[("query0", None), ("query1", Some(500)), ("query2", Some(60))]);
    let windows: Vec<_> =
        state.wants(|_| true).into_iter().map(|want| want.ask.window.as_secs()).collect();
    assert_eq!(windows, [300, 300, 500]);
}
