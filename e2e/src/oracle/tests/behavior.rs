use super::*;

pub(super) fn with_behavior(behavior: &Value) -> HorizontalPodAutoscalerSpec {
    let behavior = serde_json::from_value(behavior.clone()).unwrap();
    HorizontalPodAutoscalerSpec { behavior: Some(behavior), ..spec() }
}

/// Where a manifest says `scaleDown: {stabilizationWindowSeconds: 30}`.
pub(super) fn as_the_apiserver_fills_it_in() -> Value {
    json!({
        "scaleDown": {
            "policies": [{"periodSeconds": 15, "type": "Percent", "value": 100}],
            "selectPolicy": "Max", "stabilizationWindowSeconds": 30,
        },
        "scaleUp": {
            "policies": [
                {"periodSeconds": 15, "type": "Pods", "value": 4},
                {"periodSeconds": 15, "type": "Percent", "value": 100},
            ],
            "selectPolicy": "Max", "stabilizationWindowSeconds": 0,
        },
    })
}

#[test]
fn a_behavior_that_only_sets_the_window_changes_no_decision() {
    let spec = with_behavior(&as_the_apiserver_fills_it_in());
    let text = explain(status(1, 3, &json!({"averageValue": "26"}), WITHIN), &spec);
    assert_eq!(text.as_deref(), Ok("26 per s / 9 → ceil 2.89 = 3"));
    let mismatch = explain(status(1, 2, &json!({"averageValue": "26"}), WITHIN), &spec);
    assert!(matches!(mismatch, Err(Mismatch::Desired { .. })), "{mismatch:?}");
    // Without a behavior the fifth would have to wait for another sync.
    let five = Input { scale_up: ScaleUp::Unlimited, ..input(NINE, 45_000, 1) };
    check(&five, 5, None);
}

#[test]
fn a_recommendation_of_the_past_is_not_judged_while_there_is_a_window() {
    // Seen on kind: 18 per s a moment ago still hold 2 replicas, of the 3 that there are.
    let on_the_way = |desired| {
        let status = status(3, desired, &json!({"averageValue": "500m"}), WITHIN);
        let status = serde_json::from_value(status).unwrap();
        [Duration::ZERO, Duration::from_secs(10)].map(|window| explains(&status, &spec(), window))
    };
    let [without, with] = on_the_way(2);
    assert!(matches!(without, Err(Mismatch::Desired { .. })), "{without:?}");
    assert!(matches!(with, Err(Mismatch::Unsupported { .. })), "{with:?}");
    // A window never leads to more replicas than there are.
    let [_, with] = on_the_way(4);
    assert!(matches!(with, Err(Mismatch::Desired { .. })), "{with:?}");
}
