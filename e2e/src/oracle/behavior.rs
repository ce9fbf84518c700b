//! What the oracle makes of an HPA's `spec.behavior`.

use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscalerSpec,
};

use crate::oracle::{Mismatch, ScaleUp};

/// Pods that the default policies let an HPA add in 15 s, whatever it did before
/// (`pkg/apis/autoscaling/v2/defaults.go`: 4 pods or 100 %, the larger).
const DEFAULT_STEP: i32 = 4;

/// How fast the HPA may scale up; an error where that depends on what it did before.
pub(super) fn scale_up(spec: &HorizontalPodAutoscalerSpec) -> Result<ScaleUp, Mismatch> {
    let Some(behavior) = &spec.behavior else { return Ok(ScaleUp::Doubling) };
    let unsupported = |what: &str| Err(Mismatch::Unsupported { what: what.to_owned() });
    if let Some(up) = &behavior.scale_up {
        if !is_default(up, &[("Pods", DEFAULT_STEP), ("Percent", 100)]) {
            return unsupported("its scaleUp has other policies than the default ones");
        }
        if up.stabilization_window_seconds.is_some_and(|seconds| seconds != 0) {
            return unsupported("its scaleUp has a window");
        }
    }
    if let Some(down) = &behavior.scale_down
        && !is_default(down, &[("Percent", 100)])
    {
        return unsupported("its scaleDown has other policies than the default one");
    }
    if spec.min_replicas.unwrap_or(1).saturating_add(DEFAULT_STEP) < spec.max_replicas {
        return unsupported("its scaleUp may be limited by what it did in the last 15 s");
    }
    Ok(ScaleUp::Unlimited)
}

/// The down-scale window that the HPA itself sets.
pub(super) fn downscale_window(spec: &HorizontalPodAutoscalerSpec) -> Option<Duration> {
    let seconds = spec.behavior.as_ref()?.scale_down.as_ref()?.stabilization_window_seconds?;
    Some(Duration::from_secs(seconds.unsigned_abs().into()))
}

/// Whether the policies are those that the API server fills in.
fn is_default(rules: &HPAScalingRules, expected: &[(&str, i32)]) -> bool {
    let same = |policy: &HPAScalingPolicy, (type_, value): &(&str, i32)| {
        policy.type_ == *type_ && policy.value == *value && policy.period_seconds == 15
    };
    let policies = rules.policies.as_deref().unwrap_or_default();
    let default = policies.is_empty()
        || (policies.len() == expected.len()
            && policies.iter().zip(expected).all(|(policy, expected)| same(policy, expected)));
    default
        && rules.tolerance.is_none()
        && rules.select_policy.as_deref().is_none_or(|select| select == "Max")
}
