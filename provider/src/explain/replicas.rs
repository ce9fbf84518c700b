//! The HPA controller's replica arithmetic for external metrics; pure.
//!
//! Source: Kubernetes 1.37, `pkg/controller/podautoscaler/replica_calculator.go`
//! (`GetExternalPerPodMetricReplicas`, `GetExternalMetricReplicas`) and `horizontal.go`
//! (`computeReplicasForMetrics`, `normalizeDesiredReplicas`, `calculateScaleUpLimitWithScalingRules`).
//! All numbers are thousandths: the controller reads quantities so.

use k8s_openapi::api::autoscaling::v2::{
    HPAScalingRules, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricTarget,
};

use crate::{explain::facts::Scale, quantity};

/// The largest change that is ignored, as a part of the target
/// (`--horizontal-pod-autoscaler-tolerance`).
const TOLERANCE: f64 = 0.1;

/// What an external metric aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Type `AverageValue`: so much for each replica.
    AverageValue(i64),
    /// Type `Value`: so much for all pods that are ready.
    Value(i64),
}

/// What one metric asks for, before any limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// So many replicas.
    pub replicas: i32,
    /// How that was computed.
    pub text: String,
}

/// What the controller makes of all proposals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// So many replicas.
    pub replicas: i32,
    /// Why not what the metrics ask for.
    pub limit: Option<Limit>,
}

/// What keeps the controller from the count that the metrics ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The HPA's `minReplicas`.
    Min(i32),
    /// The HPA's `maxReplicas`.
    Max(i32),
    /// How fast it may scale up.
    Up(i32),
    /// How fast it may scale down.
    Down(i32),
    /// A metric has no value, so that nothing is scaled down.
    MissingValue,
    /// The target has 0 replicas by somebody else's hand.
    Disabled,
}

impl Target {
    /// The target as it stands in the HPA; `averageValue` wins, as in the controller.
    pub fn read(target: &MetricTarget) -> Option<Self> {
        let read = |text: &Option<_>| text.as_ref().and_then(milli).filter(|milli| *milli > 0);
        match (
            read(&target.average_value.as_ref().map(|it| &it.0)),
            read(&target.value.as_ref().map(|it| &it.0)),
        ) {
            (Some(average), _) => Some(Self::AverageValue(average)),
            (None, Some(value)) => Some(Self::Value(value)),
            (None, None) => None,
        }
    }

    /// `9 per replica (AverageValue)`.
    pub fn text(self) -> String {
        match self {
            Self::AverageValue(target) => format!("{} per replica (AverageValue)", shown(target)),
            Self::Value(target) => format!("{} in all (Value)", shown(target)),
        }
    }
}

/// A quantity in thousandths, rounded up as the controller does.
pub fn milli(text: impl AsRef<str>) -> Option<i64> {
    let scaled = quantity::parse(text.as_ref())? * 1e3;
    let nearest = scaled.round();
    // 2.007 is a hair more than 2007 thousandths in binary.
    let whole = if (scaled - nearest).abs() < 1e-6 { nearest } else { scaled.ceil() };
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as the controller does")]
    Some(whole as i64)
}

/// What a metric with this value asks for. `ready` is the number of pods that are ready.
pub fn propose(target: Target, usage: i64, scale: Scale, tolerance: (f64, f64)) -> Proposal {
    let ready = scale.ready.unwrap_or(scale.there);
    let (base, divisor) = match target {
        Target::AverageValue(target) => (scale.there, float(target) * f64::from(scale.there)),
        Target::Value(target) => (scale.wanted, float(target)),
    };
    let ratio = float(usage) / divisor;
    let fetched = decimal(float(usage) / 1e3);
    let weighed = match target {
        // What TARGETS shows is rounded up to thousandths.
        Target::AverageValue(_) if scale.there > 0 => {
            let average = (float(usage) / f64::from(scale.there)).ceil() / 1e3;
            let average = quantity::format(average).unwrap_or_default();
            format!("{fetched} fetched, {average} × {} replicas", scale.there)
        }
        Target::AverageValue(_) => format!("{fetched} fetched"),
        Target::Value(_) => format!("{fetched} fetched, {ready} of {} pods ready", scale.there),
    };
    let (down, up) = (1.0 - tolerance.0, 1.0 + tolerance.1);
    if base != 0 && (down..=up).contains(&ratio) {
        let by = match target {
            Target::AverageValue(target) => format!("({} × {})", shown(target), scale.there),
            Target::Value(target) => shown(target),
        };
        let text = format!(
            "{weighed}; {fetched} / {by} = {}, within {}–{} → stays {base}",
            decimal(ratio),
            decimal(down),
            decimal(up)
        );
        return Proposal { replicas: base, text };
    }
    let (unrounded, by) = match target {
        Target::AverageValue(target) => (float(usage) / float(target), shown(target)),
        Target::Value(target) if scale.wanted == 0 => (ratio, shown(target)),
        Target::Value(target) => {
            (ratio * f64::from(ready), format!("{} × {ready} ready", shown(target)))
        }
    };
    #[expect(clippy::cast_possible_truncation, reason = "whole after ceil, and `as` saturates")]
    let replicas = (unrounded.ceil() as i32).max(0);
    let text = format!("{weighed}; {fetched} / {by} → ceil {} = {replicas}", decimal(unrounded));
    Proposal { replicas, text }
}

/// What the controller sets for `proposals`, of which the largest wins; `None` without any. `missing`
/// says that another metric has no value.
pub fn decide(
    proposals: &[Proposal],
    missing: bool,
    spec: &HorizontalPodAutoscalerSpec,
    current: i32,
) -> Option<Decision> {
    let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let limited = |replicas, limit| Some(Decision { replicas, limit: Some(limit) });
    if current == 0 && min != 0 {
        return limited(0, Limit::Disabled);
    } else if current > max {
        return limited(max, Limit::Max(max));
    } else if current < min {
        return limited(min, Limit::Min(min));
    }
    let wanted = proposals.iter().map(|proposal| proposal.replicas).max()?;
    if missing && wanted < current {
        return limited(current, Limit::MissingValue);
    }
    let (lowest, highest) = one_step(spec.behavior.as_ref(), current);
    if wanted > current && highest < wanted.min(max) {
        return limited(highest.max(current), Limit::Up(highest));
    } else if wanted < current && lowest > wanted.max(min) {
        return limited(lowest.min(current), Limit::Down(lowest));
    } else if wanted < min {
        return limited(min, Limit::Min(min));
    } else if wanted > max {
        return limited(max, Limit::Max(max));
    }
    Some(Decision { replicas: wanted, limit: None })
}

/// How far one step may go down and up, where nothing was scaled in the last period.
fn one_step(behavior: Option<&HorizontalPodAutoscalerBehavior>, current: i32) -> (i32, i32) {
    let Some(behavior) = behavior else {
        return (0, current.saturating_mul(2).max(4));
    };
    let up = policies(behavior.scale_up.as_ref(), &[("Pods", 4), ("Percent", 100)]);
    let down = policies(behavior.scale_down.as_ref(), &[("Percent", 100)]);
    let of = |(kind, value): (String, i32), sign: f64| {
        let count = f64::from(current);
        let to = if kind == "Pods" {
            count + sign * f64::from(value)
        } else {
            count * (1.0 + sign * f64::from(value) / 100.0)
        };
        #[expect(clippy::cast_possible_truncation, reason = "`as` saturates; down is cut as in Go")]
        let to = if sign > 0.0 { to.ceil() as i32 } else { to as i32 };
        to.max(0)
    };
    let pick = |rules: Option<&HPAScalingRules>| rules.and_then(|it| it.select_policy.clone());
    let ups = up.into_iter().map(|policy| of(policy, 1.0));
    let highest = match pick(behavior.scale_up.as_ref()).as_deref() {
        Some("Disabled") => Some(current),
        Some("Min") => ups.min(),
        _ => ups.max(),
    };
    let downs = down.into_iter().map(|policy| of(policy, -1.0));
    let lowest = match pick(behavior.scale_down.as_ref()).as_deref() {
        Some("Disabled") => Some(current),
        Some("Min") => downs.max(),
        _ => downs.min(),
    };
    (lowest.unwrap_or(0), highest.unwrap_or(i32::MAX))
}

fn policies(rules: Option<&HPAScalingRules>, default: &[(&str, i32)]) -> Vec<(String, i32)> {
    let set = rules.and_then(|rules| rules.policies.as_ref()).filter(|set| !set.is_empty());
    match set {
        Some(set) => set.iter().map(|policy| (policy.type_.clone(), policy.value)).collect(),
        None => default.iter().map(|(kind, value)| ((*kind).to_owned(), *value)).collect(),
    }
}

/// The tolerances down and up.
pub fn tolerance(spec: &HorizontalPodAutoscalerSpec) -> (f64, f64) {
    let of = |rules: Option<&HPAScalingRules>| {
        let own = rules.and_then(|rules| rules.tolerance.as_ref());
        own.and_then(|text| quantity::parse(&text.0)).unwrap_or(TOLERANCE)
    };
    let behavior = spec.behavior.as_ref();
    (
        of(behavior.and_then(|it| it.scale_down.as_ref())),
        of(behavior.and_then(|it| it.scale_up.as_ref())),
    )
}

#[expect(clippy::cast_precision_loss, reason = "the controller divides in float64 as well")]
fn float(milli: i64) -> f64 {
    milli as f64
}

/// Thousandths as a plain number.
pub fn shown(milli: i64) -> String {
    decimal(float(milli) / 1e3)
}

/// `number` with two decimals at most, or with six where two would hide that it is not whole.
pub fn decimal(number: f64) -> String {
    let short = format!("{number:.2}");
    let hides = short.ends_with(".00") && number.fract() != 0.0;
    let text = if hides { format!("{number:.6}") } else { short };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
