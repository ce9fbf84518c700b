use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus,
};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, from_value, json};

use crate::oracle::{
    DEFAULT_TOLERANCE, Input, Mismatch, Reason, Rule, ScaleUp, Target, desired, explains,
};

mod behavior;
mod metrics;

use behavior::{as_the_apiserver_fills_it_in, with_behavior};

const NINE: Target = Target::AverageValue(9_000);

/// The walkthrough's HPA (min 1, max 5) at `replicas`, with `usage` thousandths.
fn input(target: Target, usage_milli: i64, replicas: i32) -> Input {
    Input {
        scale_up: ScaleUp::Doubling,
        target,
        usage_milli,
        spec_replicas: replicas,
        status_replicas: replicas,
        min_replicas: 1,
        max_replicas: 5,
        tolerance: DEFAULT_TOLERANCE,
    }
}

#[track_caller]
fn check(input: &Input, expected: i32, limited: Option<Reason>) {
    let decision = desired(input);
    assert_eq!((decision.desired, decision.limited), (expected, limited), "{input:?}");
}

#[test]
fn worked_examples_of_average_value() {
    // facts: "Worked example for 1 to 3", "Walkthrough target 9 per replica"
    check(&input(Target::AverageValue(10_000), 30_000, 1), 3, None);
    check(&input(NINE, 25_000, 1), 3, None);
    check(&input(NINE, 25_000, 3), 3, None);
    check(&input(NINE, 18_000, 1), 2, None);
    check(&input(NINE, 18_001, 1), 3, None);
    check(&input(NINE, 27_000, 1), 3, None);
    check(&input(NINE, 27_001, 1), 4, None);
    check(&input(NINE, 0, 3), 1, Some(Reason::TooFewReplicas));
    check(&input(NINE, 45_001, 3), 5, Some(Reason::TooManyReplicas));
}

#[test]
fn from_three_replicas_totals_between_24_3_and_29_7_hold() {
    for (usage, expected, holds) in [
        (24_299, 3, false), // 2.7 rounds up to 3 all the same
        (24_301, 3, true),
        (29_699, 3, true),
        (29_701, 4, false),
        (18_000, 2, false),
    ] {
        let decision = desired(&input(NINE, usage, 3));
        assert_eq!(decision.desired, expected, "{usage}");
        assert_eq!(decision.rule == Rule::WithinTolerance, holds, "{usage}");
    }
}

#[test]
fn at_the_very_edge_of_the_tolerance_the_count_stays() {
    // facts §2.2: with float64 a ratio of 1.1 and one of 0.9 stay in the newer rule
    check(&input(Target::AverageValue(10_000), 11_000, 1), 1, None);
    check(&input(Target::AverageValue(10_000), 11_001, 1), 2, None);
    check(&input(Target::AverageValue(1_000), 3_600, 4), 4, None);
}

#[test]
fn an_average_over_pods_divides_twice_so_that_three_is_no_fixed_point() {
    // DESIGN §4: with the aggregator avg three replicas read 8.33 each
    check(&input(NINE, 25_000, 1), 3, None);
    check(&input(NINE, 8_334, 3), 1, None);
}

#[test]
fn a_negative_usage_counts_as_a_proposal_of_none() {
    check(&input(NINE, -25_000, 3), 1, Some(Reason::TooFewReplicas));
    check(&Input { min_replicas: 0, ..input(NINE, -25_000, 3) }, 0, None);
}

#[test]
fn one_sync_at_most_doubles_or_reaches_four() {
    let wide = |replicas| Input { max_replicas: 100, ..input(NINE, 900_000, replicas) };
    check(&wide(1), 4, Some(Reason::ScaleUpLimit));
    check(&wide(4), 8, Some(Reason::ScaleUpLimit));
    check(&wide(60), 100, None);
}

#[test]
fn counts_out_of_bounds_are_put_right_before_a_metric_is_read() {
    check(&input(NINE, 25_000, 7), 5, Some(Reason::CurrentAboveMaximum));
    check(&input(NINE, 25_000, 0), 0, Some(Reason::ScalingDisabled));
    let at_least_two = Input { min_replicas: 2, ..input(NINE, 25_000, 1) };
    check(&at_least_two, 2, Some(Reason::CurrentBelowMinimum));
}

#[test]
fn worked_examples_of_value_go_by_ready_pods() {
    let value = |ready_pods| Target::Value { target_milli: 10_000, ready_pods };
    check(&input(value(1), 30_000, 1), 3, None);
    check(&input(value(0), 30_000, 1), 1, Some(Reason::TooFewReplicas));
    check(&input(value(2), 10_500, 3), 3, None);
    let from_zero = Input { min_replicas: 0, ..input(value(0), 25_000, 0) };
    check(&from_zero, 3, None);
    let stays_at_zero = Input { min_replicas: 0, ..input(value(0), 0, 0) };
    check(&stays_at_zero, 0, None);
}

#[test]
fn an_average_target_scales_up_from_zero() {
    let from_zero = |usage| Input { min_replicas: 0, ..input(NINE, usage, 0) };
    check(&from_zero(25_000), 3, None);
    check(&from_zero(0), 0, None);
}

fn spec() -> HorizontalPodAutoscalerSpec {
    from_value(json!({
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nginx"},
        "minReplicas": 1,
        "maxReplicas": 5,
        "metrics": [{"type": "External", "external": {
            "metric": {"name": "nginx.net.request_per_s"},
            "target": {"type": "AverageValue", "averageValue": "9"},
        }}],
    }))
    .expect("a valid spec")
}

/// A status with `current` as the metric's value and, as `limited`, the reason of the condition.
fn status(replicas: i32, desired: i32, current: &Value, limited: &str) -> Value {
    let is_limited = if limited == "DesiredWithinRange" { "False" } else { "True" };
    json!({
        "currentReplicas": replicas,
        "desiredReplicas": desired,
        "currentMetrics": [{"type": "External", "external": {
            "metric": {"name": "nginx.net.request_per_s"}, "current": current,
        }}],
        "conditions": [
            {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"},
            {"type": "ScalingLimited", "status": is_limited, "reason": limited},
        ],
    })
}

fn explain(status: Value, spec: &HorizontalPodAutoscalerSpec) -> Result<String, Mismatch> {
    let status: HorizontalPodAutoscalerStatus = from_value(status).expect("a valid status");
    explains(&status, spec, Duration::ZERO).map(|explanation| explanation.to_string())
}

#[track_caller]
fn check_text(status: Value, expected: &str) {
    assert_eq!(explain(status, &spec()).as_deref(), Ok(expected));
}

const WITHIN: &str = "DesiredWithinRange";

#[test]
fn each_decision_of_the_walkthrough_is_explained_in_one_line() {
    let average = |text: &str| json!({"averageValue": text});
    check_text(status(1, 3, &average("26"), WITHIN), "26 per s / 9 → ceil 2.89 = 3");
    check_text(
        status(3, 3, &average("8667m"), WITHIN),
        "26 per s / (9 × 3) = 0.96, within 0.9–1.1 → stays 3",
    );
    check_text(status(3, 3, &average("8"), WITHIN), "24 per s / 9 → ceil 2.67 = 3");
    check_text(
        status(3, 1, &average("0"), "TooFewReplicas"),
        "0 per s / 9 → ceil 0 = 0, limited to 1 (TooFewReplicas)",
    );
    check_text(
        status(3, 5, &average("20"), "TooManyReplicas"),
        "60 per s / 9 → ceil 6.67 = 7, limited to 5 (TooManyReplicas)",
    );
    check_text(
        status(7, 5, &json!({}), "TooManyReplicas"),
        "7 replicas now, limited to 5 (CurrentAboveMaximum)",
    );
}

#[test]
fn a_usage_just_past_a_multiple_shows_the_digits_that_matter() {
    // 3 × 9.000 could be 26.998 to 27.000; from 1 replica 27.001 makes 4
    check_text(
        status(1, 4, &json!({"averageValue": "27001m"}), WITHIN),
        "27.001 per s / 9 → ceil 3.000111 = 4",
    );
}

#[test]
fn a_decision_taken_while_the_pods_lagged_behind_is_explained_by_their_count() {
    // 27 per s and 3 wanted, but 5 pods still exist: 5.4 each. (4 would do, too.)
    let lagging = status(3, 3, &json!({"averageValue": "5400m"}), WITHIN);
    let lagging: HorizontalPodAutoscalerStatus = from_value(lagging).expect("a valid status");
    let explanation = explains(&lagging, &spec(), Duration::ZERO).expect("an explanation");
    assert!((4..=5).contains(&explanation.input.status_replicas), "{explanation}");
    assert!(!explanation.is_settled());
}

#[test]
fn a_wrong_count_is_a_contradiction_that_shows_the_right_one() {
    let wrong = status(1, 2, &json!({"averageValue": "26"}), WITHIN);
    let mismatch = explain(wrong, &spec()).expect_err("2 is wrong");
    assert!(mismatch.contradicts());
    assert_eq!(
        mismatch.to_string(),
        "the HPA wants 2 replicas, its rules give 26 per s / 9 → ceil 2.89 = 3",
    );
}

#[test]
fn a_cap_that_hides_behind_the_right_count_is_a_contradiction() {
    let capped = status(1, 3, &json!({"averageValue": "26"}), "TooManyReplicas");
    let mismatch = explain(capped, &spec()).expect_err("the condition is wrong");
    assert!(mismatch.contradicts());
    assert_eq!(
        mismatch.to_string(),
        "the condition ScalingLimited says True (TooManyReplicas), \
         the rules give 26 per s / 9 → ceil 2.89 = 3",
    );
}

#[test]
fn a_status_without_a_value_is_not_judged() {
    let mut failed = status(1, 1, &json!({"averageValue": "26"}), WITHIN);
    failed["conditions"][0]["status"] = "False".into();
    let never_read = json!({"currentReplicas": 1, "desiredReplicas": 0});
    let no_replicas = status(0, 3, &json!({"averageValue": "-9223372036854775808m"}), WITHIN);
    let mut from_zero = spec();
    from_zero.min_replicas = Some(0);
    let before_the_first_sync = json!({"desiredReplicas": 0});
    assert_eq!(explain(before_the_first_sync, &spec()), Err(Mismatch::NoValue));
    assert_eq!(explain(failed, &spec()), Err(Mismatch::NoValue));
    assert_eq!(explain(never_read, &spec()), Err(Mismatch::NoValue));
    assert_eq!(explain(no_replicas, &from_zero), Err(Mismatch::NoValue));
    assert!(!Mismatch::NoValue.contradicts());
}

#[test]
fn a_target_at_zero_is_explained_by_the_condition_that_says_so() {
    let mut disabled = json!({"currentReplicas": 0, "desiredReplicas": 0});
    disabled["conditions"] =
        json!([{"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled"}]);
    check_text(disabled, "0 replicas now, limited to 0 (ScalingDisabled)");
}

#[test]
fn a_count_that_the_stabilization_window_holds_is_not_judged() {
    let mut held = status(3, 3, &json!({"averageValue": "1"}), WITHIN);
    let stabilized =
        json!({"type": "AbleToScale", "status": "True", "reason": "ScaleDownStabilized"});
    held["conditions"].as_array_mut().expect("a list").push(stabilized);
    let mismatch = explain(held, &spec()).expect_err("it cannot be judged");
    assert!(!mismatch.contradicts());
    assert_eq!(
        mismatch.to_string(),
        "the oracle cannot judge this HPA: its stabilization window holds 3, \
         its rules give 3 per s / 9 → ceil 0.33 = 1",
    );
}

#[test]
fn a_target_of_type_value_is_explained_by_the_ready_pods() {
    let mut value = spec();
    let metric = &mut value.metrics.as_mut().expect("metrics")[0];
    metric.external.as_mut().expect("external").target =
        from_value(json!({"type": "Value", "value": "10"})).expect("a valid target");
    let text = explain(status(1, 3, &json!({"value": "30"}), WITHIN), &value);
    assert_eq!(text.as_deref(), Ok("30 per s / 10 × 1 ready → ceil 3 = 3"));
}

#[test]
fn what_the_oracle_does_not_compute_is_said() {
    let slow = json!({"scaleUp": {"policies": [
        {"type": "Pods", "value": 1, "periodSeconds": 15},
    ]}});
    let window = json!({"scaleUp": {"stabilizationWindowSeconds": 60}});
    let never = json!({"scaleDown": {"selectPolicy": "Disabled"}});
    let mut far = with_behavior(&as_the_apiserver_fills_it_in());
    far.max_replicas = 6;
    let mut without_metrics = spec();
    without_metrics.metrics = None;
    let slow = [slow, window, never].map(|behavior| with_behavior(&behavior));
    for spec in slow.into_iter().chain([far, without_metrics]) {
        let mismatch = explain(status(1, 3, &json!({"averageValue": "26"}), WITHIN), &spec);
        assert!(matches!(mismatch, Err(Mismatch::Unsupported { .. })), "{mismatch:?}");
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let target = prop_oneof![
        (1_i64..100_000).prop_map(Target::AverageValue),
        (1_i64..100_000, 0..60)
            .prop_map(|(target_milli, ready_pods)| Target::Value { target_milli, ready_pods }),
    ];
    (target, any::<i64>(), 0..50, 0..50, 0..20, 1..40).prop_map(
        |(target, usage_milli, spec_replicas, status_replicas, min_replicas, span)| Input {
            scale_up: ScaleUp::Doubling,
            target,
            usage_milli,
            spec_replicas,
            status_replicas,
            min_replicas,
            max_replicas: min_replicas + span,
            tolerance: DEFAULT_TOLERANCE,
        },
    )
}

proptest! {
    #[test]
    fn property_test_the_count_is_within_bounds_unless_scaling_is_off(input in any_input()) {
        let decision = desired(&input);
        if decision.limited == Some(Reason::ScalingDisabled) {
            prop_assert_eq!(decision.desired, 0);
        } else {
            prop_assert!(input.min_replicas <= decision.desired);
            prop_assert!(decision.desired <= input.max_replicas);
        }
    }

    #[test]
    fn property_test_more_usage_never_means_fewer_average_value_replicas(
        target in 1_i64..100_000,
        usage in 0_i64..1_000_000,
        more in 0_i64..100_000,
        replicas in 1..50,
    ) {
        let at = |usage| desired(&Input {
            max_replicas: 50,
            ..input(Target::AverageValue(target), usage, replicas)
        });
        prop_assert!(at(usage).desired <= at(usage + more).desired);
    }

    #[test]
    fn property_test_a_steady_usage_soon_reaches_a_count_that_stays(
        target in 1_i64..100_000,
        usage in 0_i64..1_000_000,
        start in 1..=50,
    ) {
        let next = |replicas| desired(&Input {
            max_replicas: 50,
            ..input(Target::AverageValue(target), usage, replicas)
        }).desired;
        // Doubling from 4 passes 50 in 4 steps; one more step lands on the fixed point.
        let settled = (0..6).fold(start, |replicas, _| next(replicas));
        prop_assert_eq!(next(settled), settled);
    }

    #[test]
    fn property_test_what_the_controller_would_write_is_explained(
        usage in 0_i64..100_000,
        replicas in 1..=5,
    ) {
        let decision = desired(&input(NINE, usage, replicas));
        let average = (usage + i64::from(replicas) - 1).div_euclid(i64::from(replicas));
        let limited = decision.limited.and_then(Reason::condition).unwrap_or(WITHIN);
        let current = json!({"averageValue": format!("{average}m")});
        let status = status(replicas, decision.desired, &current, limited);
        let status: HorizontalPodAutoscalerStatus = from_value(status).expect("a valid status");
        let explanation = explains(&status, &spec(), Duration::ZERO).expect("an explanation");
        prop_assert!(explanation.is_settled());
        prop_assert!((usage - explanation.input.usage_milli).abs() < i64::from(replicas));
    }
}
