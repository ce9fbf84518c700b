//! HPAs with several metrics.

use super::*;

const CONNECTIONS: &str = "nginx.net.connections";

/// The walkthrough's HPA with a second metric, at 20 connections for each replica.
fn two_metrics() -> HorizontalPodAutoscalerSpec {
    let mut spec = spec();
    let connections = from_value(json!({"type": "External", "external": {
        "metric": {"name": CONNECTIONS},
        "target": {"type": "AverageValue", "averageValue": "20"},
    }}));
    spec.metrics.as_mut().expect("metrics").push(connections.expect("a valid metric"));
    spec
}

/// A status with both averages; without one, its metric has no value.
fn averages(replicas: i32, desired: i32, averages: [Option<&str>; 2], limited: &str) -> Value {
    let mut status = status(replicas, desired, &json!({}), limited);
    let names = ["nginx.net.request_per_s", CONNECTIONS];
    let metrics = names.iter().zip(averages).map(|(name, average)| match average {
        None => json!({"type": ""}),
        Some(average) => json!({"type": "External", "external": {
            "metric": {"name": name}, "current": {"averageValue": average},
        }}),
    });
    status["currentMetrics"] = metrics.collect();
    status
}

#[test]
fn the_metric_that_asks_for_the_most_decides_whichever_it_is() {
    let explained = |status| explain(status, &two_metrics());
    assert_eq!(
        explained(averages(1, 3, [Some("26"), Some("10")], WITHIN)).as_deref(),
        Ok("26 per s / 9 → ceil 2.89 = 3, the most of 2 metrics"),
    );
    assert_eq!(
        explained(averages(3, 3, [Some("334m"), Some("18")], WITHIN)).as_deref(),
        Ok("54 / (20 × 3) = 0.9, within 0.9–1.1 → stays 3, the most of 2 metrics"),
    );
    assert_eq!(
        explained(averages(3, 5, [Some("30"), Some("18")], "TooManyReplicas")).as_deref(),
        Ok("90 per s / 9 → ceil 10 = 10, the most of 2 metrics, limited to 5 (TooManyReplicas)"),
    );
}

#[test]
fn a_decision_by_the_smaller_of_two_is_a_contradiction() {
    let smaller = averages(1, 1, [Some("26"), Some("10")], WITHIN);
    let mismatch = explain(smaller, &two_metrics()).expect_err("1 is wrong");
    assert_eq!(
        mismatch.to_string(),
        "the HPA wants 1 replicas, its rules give \
         26 per s / 9 → ceil 2.89 = 3, the most of 2 metrics",
    );
}

#[test]
fn without_a_value_of_one_metric_the_other_may_only_add_replicas() {
    let one_missing = |replicas, desired, average| {
        explain(averages(replicas, desired, [None, Some(average)], WITHIN), &two_metrics())
    };
    assert_eq!(
        one_missing(1, 3, "55").as_deref(),
        Ok("55 / 20 → ceil 2.75 = 3, the most of 2 metrics")
    );
    let mismatch = one_missing(3, 1, "5").expect_err("1 is wrong");
    assert!(mismatch.contradicts());
    assert_eq!(
        mismatch.to_string(),
        "the HPA wants 1 replicas, its rules give 3, since the value of a metric is missing"
    );
}

#[test]
fn a_status_without_any_value_or_about_other_metrics_is_not_judged() {
    let spec = two_metrics();
    let none = averages(3, 3, [None, None], WITHIN);
    assert_eq!(explain(none, &spec), Err(Mismatch::NoValue));
    let before_the_second_was_added = status(1, 3, &json!({"averageValue": "26"}), WITHIN);
    assert_eq!(explain(before_the_second_was_added, &spec), Err(Mismatch::NoValue));
    let mut renamed = averages(3, 1, [Some("1"), Some("1")], WITHIN);
    renamed["currentMetrics"][1]["external"]["metric"]["name"] = "nginx.conections".into();
    assert_eq!(explain(renamed, &spec), Err(Mismatch::NoValue));
}

#[test]
fn targets_of_two_types_are_not_judged() {
    let mut spec = two_metrics();
    let metric = &mut spec.metrics.as_mut().expect("metrics")[1];
    metric.external.as_mut().expect("external").target =
        from_value(json!({"type": "Value", "value": "10"})).expect("a valid target");
    let mismatch = explain(averages(1, 3, [Some("26"), Some("1")], WITHIN), &spec);
    assert!(matches!(mismatch, Err(Mismatch::Unsupported { .. })), "{mismatch:?}");
}

proptest! {
    #[test]
    fn property_test_what_the_controller_would_write_for_two_metrics_is_explained(
        requests in 0_i64..100_000,
        connections in 0_i64..200_000,
        replicas in 1..=5,
    ) {
        let decisions = [
            desired(&input(NINE, requests, replicas)),
            desired(&input(Target::AverageValue(20_000), connections, replicas)),
        ];
        // `Reason`s agree: a limit that the smaller one meets is met by the larger one as well.
        let largest = decisions.iter().max_by_key(|decision| match decision.rule {
            Rule::Ceil { proposal } => proposal,
            Rule::WithinTolerance | Rule::NoMetricRead => replicas,
        }).expect("two decisions");
        let average = |usage: i64| {
            format!("{}m", (usage + i64::from(replicas) - 1).div_euclid(i64::from(replicas)))
        };
        let limited = largest.limited.and_then(Reason::condition).unwrap_or(WITHIN);
        let [requests, connections] = [average(requests), average(connections)];
        let shown = [Some(requests.as_str()), Some(connections.as_str())];
        let explained =
            explain(averages(replicas, largest.desired, shown, limited), &two_metrics());
        prop_assert!(explained.is_ok(), "{:?}", explained);
    }
}
