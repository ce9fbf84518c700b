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
