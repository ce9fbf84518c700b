use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerSpec;
use proptest::prelude::*;
use serde_json::{Value, from_value, json};

use super::*;

const NINE: Target = Target::AverageValue(9_000);

fn scale(replicas: i32) -> Scale {
    Scale { wanted: replicas, there: replicas, ready: Some(replicas) }
}

fn spec(more: &Value) -> HorizontalPodAutoscalerSpec {
    let mut spec = json!({"minReplicas": 1, "maxReplicas": 5,
        "scaleTargetRef": {"kind": "Deployment", "name": "nginx"}});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    from_value(spec).unwrap()
}

/// The walkthrough's HPA (min 1, max 5) at `replicas`, with `usage` thousandths.
#[track_caller]
fn check(target: Target, usage: i64, at: Scale, more: &Value, expected: i32, limit: Option<Limit>) {
    let spec = spec(more);
    let proposal = propose(target, usage, at, tolerance(&spec));
    let decision = decide(std::slice::from_ref(&proposal), false, &spec, at.wanted).unwrap();
    assert_eq!((decision.replicas, decision.limit), (expected, limit), "{}", proposal.text);
}

#[track_caller]
fn text(target: Target, usage: i64, at: Scale) -> String {
    propose(target, usage, at, (TOLERANCE, TOLERANCE)).text
}

// The walkthrough: "We fetched 2472, but the HPA indicates 824/9 (avg). And indeed 824 * 3 replicas
// = 2472."
#[test]
fn the_walkthroughs_numbers() {
    assert_eq!(
        text(NINE, 2_472_000, scale(3)),
        "2472 fetched, 824 × 3 replicas; 2472 / 9 → ceil 274.67 = 275"
    );
    check(NINE, 2_472_000, scale(3), &json!({}), 5, Some(Limit::Max(5)));
    // Its stressed nginx: `30/9 (avg)` at 3 replicas.
    assert_eq!(text(NINE, 90_000, scale(3)), "90 fetched, 30 × 3 replicas; 90 / 9 → ceil 10 = 10");
}

#[test]
fn what_targets_shows_is_rounded_up_as_kubectl_has_it() {
    assert_eq!(
        text(NINE, 26_000, scale(3)),
        "26 fetched, 8667m × 3 replicas; 26 / (9 × 3) = 0.96, within 0.9–1.1 → stays 3"
    );
}

// The tables of the harness's oracle (the same sources, written down apart from this).
#[test]
fn averages_are_divided_by_the_target() {
    let none = json!({});
    check(Target::AverageValue(10_000), 30_000, scale(1), &none, 3, None);
    for (usage, replicas, expected, limit) in [
        (25_000, 1, 3, None),
        (25_000, 3, 3, None),
        (18_000, 1, 2, None),
        (18_001, 1, 3, None),
        (27_001, 1, 4, None),
        (0, 3, 1, Some(Limit::Min(1))),
        (45_001, 3, 5, Some(Limit::Max(5))),
        (24_301, 3, 3, None),
        (29_699, 3, 3, None),
        (29_701, 3, 4, None),
        (18_000, 3, 2, None),
        (-25_000, 3, 1, Some(Limit::Min(1))),
        (25_000, 7, 5, Some(Limit::Max(5))),
        (25_000, 0, 0, Some(Limit::Disabled)),
    ] {
        check(NINE, usage, scale(replicas), &none, expected, limit);
    }
    check(NINE, 25_000, scale(1), &json!({"minReplicas": 2}), 2, Some(Limit::Min(2)));
    check(NINE, 25_000, scale(0), &json!({"minReplicas": 0}), 3, None);
    check(NINE, 0, scale(0), &json!({"minReplicas": 0}), 0, None);
}

#[test]
fn at_the_very_edge_of_the_tolerance_the_count_stays() {
    let none = json!({});
    check(Target::AverageValue(10_000), 11_000, scale(1), &none, 1, None);
    check(Target::AverageValue(10_000), 11_001, scale(1), &none, 2, None);
    check(Target::AverageValue(1_000), 3_600, scale(4), &none, 4, None);
    let narrow = json!({"behavior": {"scaleUp": {"tolerance": "0.01"}}});
    check(Target::AverageValue(10_000), 10_200, scale(1), &narrow, 2, None);
    check(Target::AverageValue(10_000), 9_800, scale(2), &narrow, 1, None);
}

#[test]
fn an_average_over_pods_divides_twice_so_that_three_is_no_fixed_point() {
    check(NINE, 25_000, scale(1), &json!({}), 3, None);
    check(NINE, 8_334, scale(3), &json!({}), 1, None);
}

#[test]
fn a_value_counts_for_the_pods_that_are_ready() {
    let ten = Target::Value(10_000);
    let at = |replicas, ready| Scale { ready: Some(ready), ..scale(replicas) };
    let none = json!({});
    check(ten, 30_000, at(1, 1), &none, 3, None);
    check(ten, 30_000, at(1, 0), &none, 1, Some(Limit::Min(1)));
    check(ten, 10_500, at(3, 2), &none, 3, None);
    let zero = json!({"minReplicas": 0});
    check(ten, 25_000, at(0, 0), &zero, 3, None);
    check(ten, 0, at(0, 0), &zero, 0, None);
    assert_eq!(
        text(ten, 30_000, at(3, 2)),
        "30 fetched, 2 of 3 pods ready; 30 / 10 × 2 ready → ceil 6 = 6"
    );
}

#[test]
fn one_step_is_limited() {
    let wide = json!({"maxReplicas": 100});
    check(NINE, 900_000, scale(1), &wide, 4, Some(Limit::Up(4)));
    check(NINE, 900_000, scale(4), &wide, 8, Some(Limit::Up(8)));
    check(NINE, 900_000, scale(60), &wide, 100, None);
    let one = json!({"maxReplicas": 100, "behavior": {
        "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
        "scaleDown": {"policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}]}}});
    check(NINE, 900_000, scale(4), &one, 5, Some(Limit::Up(5)));
    check(NINE, 9_000, scale(20), &one, 18, Some(Limit::Down(18)));
    let off = json!({"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}});
    check(NINE, 9_000, scale(3), &off, 3, Some(Limit::Down(3)));
    let default =
        json!({"maxReplicas": 100, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}});
    check(NINE, 900_000, scale(1), &default, 5, Some(Limit::Up(5)));
}

#[test]
fn of_several_metrics_the_largest_wins_and_a_missing_one_stops_only_scaling_down() {
    let proposal = |replicas| Proposal { replicas, text: String::new() };
    let decide = |proposals: &[Proposal], missing| {
        decide(proposals, missing, &spec(&json!({})), 3).map(|it| (it.replicas, it.limit))
    };
    assert_eq!(decide(&[proposal(2), proposal(4)], false), Some((4, None)));
    assert_eq!(decide(&[proposal(2)], false), Some((2, None)));
    assert_eq!(decide(&[proposal(2)], true), Some((3, Some(Limit::MissingValue))));
    assert_eq!(decide(&[proposal(4)], true), Some((4, None)));
    assert_eq!(decide(&[], true), None);
}

#[test]
fn targets_are_read_as_the_controller_does() {
    let read = |target: Value| Target::read(&from_value(target).unwrap());
    assert_eq!(read(json!({"type": "AverageValue", "averageValue": "9"})), Some(NINE));
    assert_eq!(read(json!({"type": "Value", "value": "1500m"})), Some(Target::Value(1_500)));
    assert_eq!(read(json!({"type": "Value", "value": "2Ki"})), Some(Target::Value(2_048_000)));
    assert_eq!(read(json!({"type": "Value", "value": "0"})), None);
    assert_eq!(milli("0.0001"), Some(1));
    assert_eq!(milli("2.007"), Some(2_007));
    assert_eq!(milli("soon"), None);
}

proptest! {
    #[test]
    fn property_test_the_count_is_within_the_hpas_bounds(
        usage in any::<i64>(), target in 1..i64::MAX, average in any::<bool>(),
        replicas in 0..200i32, ready in 0..200i32, max in 1..200i32, min in 0..200i32,
    ) {
        let min = min.min(max);
        let spec = spec(&json!({"minReplicas": min, "maxReplicas": max}));
        let target = if average { Target::AverageValue(target) } else { Target::Value(target) };
        let at = Scale { ready: Some(ready), ..scale(replicas) };
        let proposal = propose(target, usage, at, (TOLERANCE, TOLERANCE));
        let decision = decide(&[proposal], false, &spec, replicas).unwrap();
        prop_assert!(decision.limit == Some(Limit::Disabled) || (min..=max).contains(&decision.replicas));
    }
}
