//! What an HPA's spec and status say of its external metrics.

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricStatus, MetricTarget,
};

use crate::oracle::{Mismatch, Target, quantity};

/// One metric of the spec.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    name: String,
    target: Target,
}

/// The current value of a metric in the status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    /// What the HPA aims at.
    pub(super) target: Target,
    /// The value in thousandths, as the target counts it: for each replica, or in all.
    pub(super) milli: i64,
    /// What a unit of the metric is called, such as ` per s`.
    pub(super) unit: &'static str,
}

/// The metrics of the HPA, at least one, all of them external, with targets of one type: replicas
/// and ready pods lag behind in different ways, and the status shows neither.
pub(super) fn of(spec: &HorizontalPodAutoscalerSpec) -> Result<Vec<Metric>, Mismatch> {
    let unsupported = |what: String| Err(Mismatch::Unsupported { what });
    let mut metrics = Vec::new();
    for metric in spec.metrics.iter().flatten() {
        let Some(external) = &metric.external else {
            return unsupported(format!("a metric is of type {}, not External", metric.type_));
        };
        let (name, target) = (external.metric.name.clone(), target(&external.target)?);
        metrics.push(Metric { name, target });
    }
    let averages = |metric: &Metric| matches!(metric.target, Target::AverageValue(_));
    match metrics.as_slice() {
        [] => unsupported("it has no metrics".into()),
        [first, others @ ..] if others.iter().any(|it| averages(it) != averages(first)) => {
            unsupported("it has targets of type Value and of type AverageValue".into())
        }
        _ => Ok(metrics),
    }
}

/// The target of a metric; the count of ready pods is filled in while searching.
fn target(target: &MetricTarget) -> Result<Target, Mismatch> {
    // The controller looks at averageValue first (horizontal.go, computeStatusForExternalMetric).
    let (text, average) = match (&target.average_value, &target.value) {
        (Some(text), _) => (&text.0, true),
        (None, Some(text)) => (&text.0, false),
        (None, None) => {
            return Err(Mismatch::Unsupported { what: "its target has no value".into() });
        }
    };
    match quantity::milli(text) {
        Some(milli) if 0 < milli && average => Ok(Target::AverageValue(milli)),
        Some(target_milli) if 0 < target_milli => Ok(Target::Value { target_milli, ready_pods: 0 }),
        _ => Err(Mismatch::Unsupported { what: format!("its target {text:?} is not positive") }),
    }
}

/// The values of those metrics that the last sync got one for; `None` where it got none, could not
/// decide by those it got, or was about other metrics.
///
/// The status has one entry for each metric of the spec, in its order; that of a metric without a
/// value is blank (`horizontal.go`, `computeReplicasForMetrics`).
pub(super) fn read(
    metrics: &[Metric],
    status: &HorizontalPodAutoscalerStatus,
) -> Option<Vec<Reading>> {
    let inactive = status
        .conditions
        .iter()
        .flatten()
        .any(|condition| condition.type_ == "ScalingActive" && condition.status == "False");
    let shown = status.current_metrics.as_deref().unwrap_or_default();
    if inactive || shown.len() != metrics.len() {
        return None;
    }
    let mut readings = Vec::new();
    for (metric, shown) in metrics.iter().zip(shown) {
        match &shown.external {
            Some(external) if external.metric.name != metric.name => return None,
            Some(_) => readings.push(reading(metric, shown)?),
            None => {}
        }
    }
    (!readings.is_empty()).then_some(readings)
}

fn reading(metric: &Metric, shown: &MetricStatus) -> Option<Reading> {
    let current = &shown.external.as_ref()?.current;
    let text = match metric.target {
        Target::AverageValue(_) => current.average_value.as_ref(),
        Target::Value { .. } => current.value.as_ref(),
    };
    // At 0 replicas the controller shows what its division by 0 left in an int64.
    let milli =
        quantity::milli(&text?.0).filter(|&milli| milli != i64::MIN && milli != i64::MAX)?;
    let unit = if metric.name.ends_with("per_s") { " per s" } else { "" };
    Some(Reading { target: metric.target, milli, unit })
}
