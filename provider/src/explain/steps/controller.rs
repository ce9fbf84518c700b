//! What the HPA controller says, and what it computes.

use crate::explain::{
    Link, Step,
    facts::{Facts, Found, Scale},
    replicas::{self, Decision, Limit, Proposal, Target},
    steps::{
        WAY,
        about::{About, condition},
        broken, in_namespace, ok, unknown,
    },
};

pub(super) fn conditions(facts: &Facts) -> Step {
    const FOLLOWS: [Link; 6] = [
        Link::Metric,
        Link::Query,
        Link::Calls,
        Link::Sample,
        Link::Answer,
        Link::ControllerRights,
    ];
    let all = facts.hpa.status.as_ref().and_then(|status| status.conditions.clone());
    let all = all.unwrap_or_default();
    let namespace = facts.hpa.metadata.namespace.as_deref().unwrap_or_default();
    let name = facts.hpa.metadata.name.as_deref().unwrap_or_default();
    if all.is_empty() {
        return unknown(
            Link::Conditions,
            "none: the HPA controller has not looked at it yet, which it does every 15s",
        );
    }
    for kind in ["AbleToScale", "ScalingActive"] {
        if let Some(("False", message, reason)) = condition(facts, kind) {
            let hint = hint(message).map(|hint| format!(" ({hint})")).unwrap_or_default();
            return broken(
                Link::Conditions,
                format!("{kind} is False, {reason}: {message}{hint}"),
                in_namespace(
                    namespace,
                    &format!("describe hpa {name}; it is looked at every 15s, so this may be over"),
                ),
            )
            .follows(&WAY)
            .follows(&FOLLOWS);
        }
    }
    let texts: Vec<_> = all
        .iter()
        .map(|it| {
            format!("{} {} ({})", it.type_, it.status, it.reason.as_deref().unwrap_or("no reason"))
        })
        .collect();
    ok(Link::Conditions, texts.join(", "))
}

/// What kube-apiserver's own words mean; the provider's say it themselves.
fn hint(message: &str) -> Option<&'static str> {
    [
        ("could not find the requested resource", "nobody is registered for external metrics"),
        ("unable to handle the request", "kube-apiserver does not reach who is registered"),
        ("is forbidden", "RBAC"),
    ]
    .iter()
    .find(|(words, _)| message.contains(words))
    .map(|(_, hint)| *hint)
}

pub(super) fn replicas(facts: &Facts, metrics: &[About<'_>]) -> Step {
    const FOLLOWS: [Link; 5] =
        [Link::Metric, Link::Calls, Link::Sample, Link::Answer, Link::ControllerRights];
    let Some(spec) = &facts.hpa.spec else { return unknown(Link::Replicas, "the HPA has no spec") };
    let status = facts.hpa.status.clone().unwrap_or_default();
    let current = status.current_replicas.unwrap_or(0);
    let scale = facts.scale.get().copied();
    let scale = scale.unwrap_or(Scale { wanted: current, there: current, ready: None });
    let tolerance = replicas::tolerance(spec);
    let proposals: Vec<_> = metrics
        .iter()
        .filter_map(|about| {
            let usage = about.item().and_then(|item| replicas::milli(&item.value))?;
            Some((about, replicas::propose(about.target?, usage, scale, tolerance)))
        })
        .collect();
    let external = spec.metrics.iter().flatten().filter(|it| it.type_ == "External").count();
    let others = spec.metrics.iter().flatten().count() - external;
    let missing = proposals.len() < metrics.len();
    let only: Vec<_> = proposals.iter().map(|(_, proposal)| proposal.clone()).collect();
    if only.is_empty() {
        let finding =
            format!("no value, so nothing to compute: the HPA keeps its {current} replicas");
        let asked = facts.answers.iter().any(|answer| matches!(answer, Found::Is(_)));
        if asked {
            return broken(Link::Replicas, finding, "see above").follows(&WAY).follows(&FOLLOWS);
        }
        return unknown(Link::Replicas, finding);
    }
    let mut text = sums(&proposals);
    let Some(decision) = replicas::decide(&only, missing, spec, scale.wanted) else {
        return unknown(Link::Replicas, text);
    };
    let (limit, remedy) = limit(facts, &decision);
    text.push_str(&limit);
    if others > 0 {
        text.push_str("; its metrics of other types may ask for more");
    }
    text.push_str(&against(facts, &decision, scale, others));
    let ready = "the pods that are ready are not known and taken for all";
    let by_value = metrics.iter().any(|about| matches!(about.target, Some(Target::Value(_))));
    if by_value && scale.ready.is_none() {
        text = format!("{text}; {ready}");
    }
    let step = ok(Link::Replicas, text);
    match remedy {
        Some(remedy) => step.advice(remedy),
        None => step,
    }
}

/// Each metric's own sum, and which wins.
fn sums(proposals: &[(&About<'_>, Proposal)]) -> String {
    let [(_, only)] = proposals else {
        let texts: Vec<_> = proposals
            .iter()
            .map(|(about, proposal)| format!("{}: {}", about.source.metric.name, proposal.text))
            .collect();
        let largest = proposals.iter().map(|(_, proposal)| proposal.replicas).max().unwrap_or(0);
        return format!("{}; the largest wins: {largest}", texts.join("; "));
    };
    only.text.clone()
}

/// What limits the count, and what could be done about it.
fn limit(facts: &Facts, decision: &Decision) -> (String, Option<String>) {
    let namespace = facts.hpa.metadata.namespace.as_deref().unwrap_or_default();
    let name = facts.hpa.metadata.name.as_deref().unwrap_or_default();
    let replicas = decision.replicas;
    let patch = |field: &str| {
        in_namespace(namespace, &format!("patch hpa {name} -p '{{\"spec\":{{\"{field}\":N}}}}'"))
    };
    match decision.limit {
        None => (String::new(), None),
        Some(Limit::Max(_)) => {
            (format!(", limited to {replicas} by maxReplicas"), Some(patch("maxReplicas")))
        }
        Some(Limit::Min(_)) => (format!(", raised to {replicas} by minReplicas"), None),
        Some(Limit::Up(_)) => (format!(", limited to {replicas} in one step"), None),
        Some(Limit::Down(_)) => (format!(", not below {replicas} in one step"), None),
        Some(Limit::MissingValue) => (
            format!(
                "; another metric has no value, so that nothing is scaled down: stays {replicas}"
            ),
            None,
        ),
        Some(Limit::Disabled) => (", and 0 replicas switch the HPA off".to_owned(), None),
    }
}

/// How that agrees with what the HPA wants.
fn against(facts: &Facts, decision: &Decision, scale: Scale, others: usize) -> String {
    let Some(status) = &facts.hpa.status else { return String::new() };
    let wants = status.desired_replicas;
    if wants == decision.replicas {
        return format!(": the HPA wants {wants}");
    }
    let held = condition(facts, "AbleToScale").is_some_and(|it| it.2 == "ScaleDownStabilized");
    if held || (decision.replicas < wants && wants <= scale.wanted) {
        let window = facts.hpa.spec.as_ref().and_then(|spec| {
            spec.behavior.as_ref()?.scale_down.as_ref()?.stabilization_window_seconds
        });
        return format!(
            ": the HPA still wants {wants}, which its stabilization window holds for {}s",
            window.unwrap_or(300)
        );
    }
    let why = if others > 0 { "its other metrics, or " } else { "" };
    format!(
        ": the HPA wants {wants} ({why}it asked at another moment: the provider asks Datadog and the HPA the \
         provider each at their own pace, so the numbers agree only while the load is steady)"
    )
}
