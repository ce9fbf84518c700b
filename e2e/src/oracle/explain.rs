//! Explains a status of the HPA: which usage, and which rule, lead to the count that it shows.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus,
};

use crate::oracle::{
    DEFAULT_TOLERANCE, Decision, Input, Reason, Rule, Target, behavior, desired, float, metrics,
    metrics::Reading, propose, unrounded, usage_ratio,
};

/// Replica counts above this are not tried as the base of a decision: the search is quadratic.
const MOST_REPLICAS: i32 = 1_000;

/// One way in which the controller can have come to its decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// The input that leads to the decision: the status tells the usage only up to rounding. Of
    /// several metrics, that of the one which asks for the most replicas.
    pub input: Input,
    /// The decision, the same as in the status.
    pub decision: Decision,
    /// What a unit of the metric is called in the text, such as ` per s`.
    unit: &'static str,
    /// How many metrics the HPA has.
    metrics: usize,
}

impl Explanation {
    /// Whether the decision was taken while as many replicas existed as were wanted. Just after a
    /// change `status.replicas` of the scale object still has the old count.
    pub fn is_settled(&self) -> bool {
        self.input.spec_replicas == self.input.status_replicas
    }

    /// Without the value of one of its metrics an HPA may only scale up (`horizontal.go`,
    /// `computeReplicasForMetrics`).
    fn adds_to(self, current: i32) -> Result<Self, Mismatch> {
        if propose(&self.input).0 < current {
            let computed = format!("{current}, since the value of a metric is missing");
            return Err(Mismatch::Desired { seen: self.decision.desired, computed });
        }
        Ok(self)
    }
}

/// Why a status has no explanation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The status holds nothing that could be checked.
    #[error("the HPA's status shows no current value of its metric")]
    NoValue,
    /// The HPA uses what this oracle does not compute.
    #[error("the oracle cannot judge this HPA: {what}")]
    Unsupported {
        /// What it would have to know.
        what: String,
    },
    /// The controller decided something else than its rules give.
    #[error("the HPA wants {seen} replicas, its rules give {computed}")]
    Desired {
        /// `desiredReplicas` of the status.
        seen: i32,
        /// The oracle's own way from the value in the status.
        computed: String,
    },
    /// The count is right, the condition `ScalingLimited` is not.
    #[error("the condition ScalingLimited says {seen}, the rules give {computed}")]
    Limited {
        /// The condition in the status.
        seen: String,
        /// The oracle's own way from the value in the status.
        computed: String,
    },
}

impl Mismatch {
    /// Whether the status contradicts the rules; false when it just cannot be judged (yet).
    pub fn contradicts(&self) -> bool {
        matches!(self, Mismatch::Desired { .. } | Mismatch::Limited { .. })
    }
}

/// Finds the usage that explains the decision in `status`, or says what contradicts it.
///
/// The status shows `averageValue = ceil(usage / replicas)`, so that each average stands for a
/// range of usages; the decision is explained when one of them leads to it. The `replicas` in that
/// formula are the scale object's, which the status does not show and which lag behind while pods
/// come and go: the count in the status is tried first, then the others within the HPA's bounds.
///
/// `window` is the controller's down-scale window, for HPAs that have none of their own. While there is
/// one, a count between what the rules give and what there is can be a recommendation of the past, and
/// is not judged.
pub fn explains(
    status: &HorizontalPodAutoscalerStatus,
    spec: &HorizontalPodAutoscalerSpec,
    window: Duration,
) -> Result<Explanation, Mismatch> {
    let windowed = !behavior::downscale_window(spec).unwrap_or(window).is_zero();
    let metrics = metrics::of(spec)?;
    let current = status.current_replicas.unwrap_or(0);
    let template = Input {
        target: Target::AverageValue(1),
        usage_milli: 0,
        spec_replicas: current,
        status_replicas: current,
        scale_up: behavior::scale_up(spec)?,
        min_replicas: spec.min_replicas.unwrap_or(1),
        max_replicas: spec.max_replicas,
        tolerance: DEFAULT_TOLERANCE,
    };
    let explain = |input: Input, unit| Explanation {
        decision: desired(&input),
        input,
        unit,
        metrics: metrics.len(),
    };

    let unread = explain(template.clone(), "");
    match unread.decision {
        // Before the first sync the count reads 0 as well.
        Decision { limited: Some(Reason::ScalingDisabled), .. }
            if !has_reason(status, "ScalingActive", "ScalingDisabled") =>
        {
            return Err(Mismatch::NoValue);
        }
        Decision { rule: Rule::NoMetricRead, .. } => return verdict(status, unread, windowed),
        Decision { .. } => {}
    }
    let readings = metrics::read(&metrics, status).ok_or(Mismatch::NoValue)?;
    let mut first = None;
    for base in bases(current, spec.max_replicas) {
        for (input, unit) in largest(&template, &readings, base) {
            let explained = verdict(status, explain(input, unit), windowed);
            let complete = readings.len() == metrics.len();
            match explained.and_then(|it| if complete { Ok(it) } else { it.adds_to(current) }) {
                Ok(explanation) => return Ok(explanation),
                Err(mismatch) => first = first.or(Some(mismatch)),
            }
        }
    }
    Err(first.unwrap_or(Mismatch::NoValue))
}

/// The inputs that may have decided at `base` replicas (or ready pods): those of each metric, where
/// every other one can have asked for as many replicas at most.
fn largest(
    template: &Input,
    readings: &[Reading],
    base: i32,
) -> impl Iterator<Item = (Input, &'static str)> {
    let each: Vec<_> = readings.iter().map(|reading| inputs(template, reading, base)).collect();
    let proposal = |input: &Input| propose(input).0;
    let least = |inputs: &Vec<Input>| inputs.iter().map(proposal).min();
    // None where this base cannot show the value of a metric.
    let floor = each.iter().map(least).collect::<Option<Vec<_>>>();
    let floor = floor.and_then(|least| least.into_iter().max());
    let units = readings.iter().map(|reading| reading.unit);
    let all = each.into_iter().zip(units);
    all.flat_map(|(inputs, unit)| inputs.into_iter().map(move |input| (input, unit)))
        .filter(move |(input, _)| floor.is_some_and(|floor| floor <= proposal(input)))
}

fn has_reason(status: &HorizontalPodAutoscalerStatus, type_: &str, reason: &str) -> bool {
    let mut conditions = status.conditions.iter().flatten();
    conditions.any(|it| it.type_ == type_ && it.reason.as_deref() == Some(reason))
}

/// Counts of replicas (or ready pods) to try: what the status shows, then the rest.
fn bases(current: i32, max: i32) -> impl Iterator<Item = i32> {
    let rest = (0..=max.min(MOST_REPLICAS)).filter(move |&base| base != current);
    std::iter::once(current).chain(rest)
}

/// All inputs that show the value of `reading` in the status at `base` replicas (or ready pods), those
/// with the roundest usage first: they read best, and one is as good as another.
fn inputs(template: &Input, reading: &Reading, base: i32) -> Vec<Input> {
    let Reading { target, milli: value, .. } = *reading;
    let mut inputs: Vec<Input> = match target {
        Target::AverageValue(_) => usages(value, base)
            .map(|usage_milli| Input {
                target,
                usage_milli,
                status_replicas: base,
                ..template.clone()
            })
            .collect(),
        Target::Value { target_milli, .. } => {
            let target = Target::Value { target_milli, ready_pods: base };
            vec![Input { target, usage_milli: value, ..template.clone() }]
        }
    };
    let zeros = |usage| [1_000, 100, 10].iter().filter(|&unit| usage % unit == 0).count();
    inputs.sort_by_cached_key(|input| std::cmp::Reverse(zeros(input.usage_milli)));
    inputs
}

/// The usages that `ceil(usage / replicas)` makes `average`: as many as there are replicas.
fn usages(average: i64, replicas: i32) -> RangeInclusive<i64> {
    let replicas = i64::from(replicas);
    if replicas == 0 {
        return RangeInclusive::new(1, 0); // nothing divides by 0
    }
    let highest = average.saturating_mul(replicas);
    highest.saturating_sub(replicas - 1)..=highest
}

/// `explanation`, if it agrees with the count and the condition in the status.
fn verdict(
    status: &HorizontalPodAutoscalerStatus,
    explanation: Explanation,
    windowed: bool,
) -> Result<Explanation, Mismatch> {
    let seen = status.desired_replicas;
    if seen != explanation.decision.desired {
        let computed = explanation.to_string();
        // A scale-down by a part of the way says SucceededRescale, like any other.
        let held = explanation.decision.desired < seen
            && (has_reason(status, "AbleToScale", "ScaleDownStabilized")
                || (windowed && status.current_replicas.is_some_and(|current| seen <= current)));
        return Err(if held {
            // By recommendations of the past, which the status does not show.
            let what = format!("its stabilization window holds {seen}, its rules give {computed}");
            Mismatch::Unsupported { what }
        } else {
            Mismatch::Desired { seen, computed }
        });
    }
    if explanation.decision.rule == Rule::NoMetricRead {
        return Ok(explanation); // the controller leaves the condition as it was
    }
    let reason = explanation.decision.limited.and_then(Reason::condition);
    let condition =
        status.conditions.iter().flatten().find(|condition| condition.type_ == "ScalingLimited");
    match condition {
        Some(condition) if (condition.status == "True") != reason.is_some() => {}
        Some(condition) if reason.is_some() && condition.reason.as_deref() != reason => {}
        Some(_) | None => return Ok(explanation),
    }
    let seen = condition.map(|condition| {
        format!("{} ({})", condition.status, condition.reason.as_deref().unwrap_or("no reason"))
    });
    Err(Mismatch::Limited { seen: seen.unwrap_or_default(), computed: explanation.to_string() })
}

/// One line: `26 per s / 9 → ceil 2.89 = 3`.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { input, decision, unit, metrics } = self;
        let usage = decimal(float(input.usage_milli) / 1e3);
        match (decision.rule, input.target) {
            (Rule::NoMetricRead, _) => write!(f, "{} replicas now", input.spec_replicas)?,
            (Rule::WithinTolerance, target) => {
                write!(f, "{usage}{unit} / ")?;
                match target {
                    Target::AverageValue(target) => {
                        write!(
                            f,
                            "({} × {})",
                            decimal(float(target) / 1e3),
                            input.status_replicas
                        )?;
                    }
                    Target::Value { target_milli, .. } => {
                        f.write_str(&decimal(float(target_milli) / 1e3))?;
                    }
                }
                let ratio = decimal(usage_ratio(input));
                let low = decimal(1.0 - input.tolerance);
                let high = decimal(1.0 + input.tolerance);
                write!(f, " = {ratio}, within {low}–{high} → stays {}", decision.desired)?;
            }
            (Rule::Ceil { proposal }, target) => {
                write!(f, "{usage}{unit} / ")?;
                match target {
                    Target::AverageValue(target) => f.write_str(&decimal(float(target) / 1e3))?,
                    Target::Value { target_milli, ready_pods } => {
                        write!(f, "{} × {ready_pods} ready", decimal(float(target_milli) / 1e3))?;
                    }
                }
                write!(f, " → ceil {} = {proposal}", decimal(unrounded(input)))?;
            }
        }
        if 1 < *metrics && decision.rule != Rule::NoMetricRead {
            write!(f, ", the most of {metrics} metrics")?;
        }
        match decision.limited {
            Some(reason) => write!(f, ", limited to {} ({reason:?})", decision.desired),
            None => Ok(()),
        }
    }
}

/// `number` with two decimals at most, or with six where two would hide that it is not whole.
fn decimal(number: f64) -> String {
    let short = format!("{number:.2}");
    let hides = short.ends_with(".00") && number.fract() != 0.0;
    let text = if hides { format!("{number:.6}") } else { short };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
