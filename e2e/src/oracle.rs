//! The HPA controller's replica arithmetic, written down a second time.
//!
//! The harness recomputes every decision of the real controller from what its status shows, so
//! that "3 replicas" is an answer with a reason and not a coincidence.
//!
//! Source: Kubernetes 1.37, `pkg/controller/podautoscaler/replica_calculator.go`
//! (`GetExternalPerPodMetricReplicas`, `GetExternalMetricReplicas`, `isWithin`) and `horizontal.go`
//! (`reconcileAutoscaler`, `computeReplicasForMetrics`, `normalizeDesiredReplicas`,
//! `convertDesiredReplicasWithRules`). Covered: external metrics whose targets are of one type, and no
//! `spec.behavior` (the API server leaves it empty, `pkg/apis/autoscaling/v2/defaults.go`) or one that
//! says no more than how long the down-scale window is. What a window holds back depends on the past,
//! and is not judged.

mod behavior;
mod explain;
mod metrics;
pub(crate) mod quantity;
#[cfg(test)]
mod tests;

pub use explain::{Explanation, Mismatch, explains};

/// Largest change that the controller ignores, as parts of the target
/// (`--horizontal-pod-autoscaler-tolerance`, 0.1 unless set).
pub const DEFAULT_TOLERANCE: f64 = 0.1;

/// What one decision of the controller depends on. Metric values are in thousandths.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// What the HPA aims at.
    pub target: Target,
    /// The metric as the external metrics API served it, all items added up.
    pub usage_milli: i64,
    /// `spec.replicas` of the scale object: how many there ought to be now.
    pub spec_replicas: i32,
    /// `status.replicas` of the scale object: how many there are. It lags behind `spec.replicas`.
    pub status_replicas: i32,
    /// How fast the HPA may scale up.
    pub scale_up: ScaleUp,
    /// The HPA's `minReplicas` (1 when it says nothing).
    pub min_replicas: i32,
    /// The HPA's `maxReplicas`.
    pub max_replicas: i32,
    /// Largest change to ignore, as parts of the target, the same up and down.
    pub tolerance: f64,
}

/// The target of an external metric, in thousandths, positive (the API server sees to that).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Type `AverageValue`: so much for each replica.
    AverageValue(i64),
    /// Type `Value`: so much in all, in proportion to the pods that are ready.
    Value {
        /// The target itself.
        target_milli: i64,
        /// Pods that are running and ready.
        ready_pods: i32,
    },
}

/// How many replicas the controller wants, and how it came to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The replica count it sets.
    pub desired: i32,
    /// Why `desired` is not what the metric alone would give.
    pub limited: Option<Reason>,
    /// The rule that gave the number before limits.
    pub rule: Rule,
}

/// The rule behind a proposed replica count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The metric is near enough to its target: the count stays.
    WithinTolerance,
    /// Usage divided by target, rounded up.
    Ceil {
        /// The count before any limit.
        proposal: i32,
    },
    /// Decided before a metric is read.
    NoMetricRead,
}

/// What kept the controller from the count that the metric asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fewer than `minReplicas` were proposed.
    TooFewReplicas,
    /// More than `maxReplicas` were proposed.
    TooManyReplicas,
    /// More than the larger of 4 and twice the present count were proposed.
    ScaleUpLimit,
    /// There are fewer than `minReplicas` now.
    CurrentBelowMinimum,
    /// There are more than `maxReplicas` now.
    CurrentAboveMaximum,
    /// Somebody set the target to 0 replicas, which switches the HPA off.
    ScalingDisabled,
}

impl Reason {
    /// The reason of the `ScalingLimited` condition, for those that the controller puts there.
    pub fn condition(self) -> Option<&'static str> {
        match self {
            Reason::TooFewReplicas => Some("TooFewReplicas"),
            Reason::TooManyReplicas => Some("TooManyReplicas"),
            Reason::ScaleUpLimit => Some("ScaleUpLimit"),
            Reason::CurrentBelowMinimum | Reason::CurrentAboveMaximum | Reason::ScalingDisabled => {
                None
            }
        }
    }
}

/// How fast an HPA may scale up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleUp {
    /// Without a `spec.behavior`: in one sync to twice the present count, or to 4
    /// (`calculateScaleUpLimit`).
    Doubling,
    /// The policies of its `spec.behavior` are wide enough for any count within the HPA's bounds.
    Unlimited,
}

/// The replica count that the controller sets for `input`.
pub fn desired(input: &Input) -> Decision {
    let (current, min, max) = (input.spec_replicas, input.min_replicas, input.max_replicas);
    if let Some((desired, reason)) = without_metric(current, min, max) {
        return Decision { desired, limited: Some(reason), rule: Rule::NoMetricRead };
    }
    let (proposal, rule) = propose(input);
    let scale_up_limit = match input.scale_up {
        ScaleUp::Doubling => current.saturating_mul(2).max(4),
        ScaleUp::Unlimited => i32::MAX,
    };
    let (highest, too_many) = if scale_up_limit < max {
        (scale_up_limit, Reason::ScaleUpLimit)
    } else {
        (max, Reason::TooManyReplicas)
    };
    let (desired, limited) = if proposal < min {
        (min, Some(Reason::TooFewReplicas))
    } else if highest < proposal {
        (highest, Some(too_many))
    } else {
        (proposal, None)
    };
    Decision { desired, limited, rule }
}

/// What is decided by the present count alone.
fn without_metric(current: i32, min: i32, max: i32) -> Option<(i32, Reason)> {
    if current == 0 && min != 0 {
        Some((0, Reason::ScalingDisabled))
    } else if max < current {
        Some((max, Reason::CurrentAboveMaximum))
    } else if current < min {
        Some((min, Reason::CurrentBelowMinimum))
    } else {
        None
    }
}

/// The count that the metric asks for, before any limit.
fn propose(input: &Input) -> (i32, Rule) {
    let within = (1.0 - input.tolerance..=1.0 + input.tolerance).contains(&usage_ratio(input));
    let kept = match input.target {
        Target::AverageValue(_) => Some(input.status_replicas),
        // From 0 replicas any usage at all brings up a pod.
        Target::Value { .. } => Some(input.spec_replicas).filter(|&replicas| replicas != 0),
    };
    match kept {
        Some(replicas) if within => (replicas, Rule::WithinTolerance),
        _ => {
            let proposal = ceil(unrounded(input)).max(0); // reconcileAutoscaler starts from 0
            (proposal, Rule::Ceil { proposal })
        }
    }
}

/// The number that the controller rounds up when the metric is off its target.
fn unrounded(input: &Input) -> f64 {
    match input.target {
        Target::AverageValue(target) => float(input.usage_milli) / float(target),
        Target::Value { .. } if input.spec_replicas == 0 => usage_ratio(input),
        Target::Value { ready_pods, .. } => usage_ratio(input) * f64::from(ready_pods),
    }
}

/// How far the metric is from its target, 1 being on it. At 0 replicas an average target has no
/// ratio: the result is infinite or not a number, and so outside of any tolerance.
fn usage_ratio(input: &Input) -> f64 {
    let usage = float(input.usage_milli);
    match input.target {
        Target::AverageValue(target) => usage / (float(target) * f64::from(input.status_replicas)),
        Target::Value { target_milli, .. } => usage / float(target_milli),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the controller divides in float64 as well")]
fn float(milli: i64) -> f64 {
    milli as f64
}

#[expect(clippy::cast_possible_truncation, reason = "whole after ceil, and `as` saturates")]
fn ceil(count: f64) -> i32 {
    count.ceil() as i32
}
