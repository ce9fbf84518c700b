//! From the query to what the API says.

use crate::explain::{
    Link, Step,
    cause::Cause,
    facts::Facts,
    replicas::{Target, decimal},
    steps::{
        WAY,
        about::{About, ago},
        broken, ok, unknown,
    },
};
use crate::quantity;

/// What breaks everything on Datadog's side.
const BEFORE: [Link; 4] = [Link::Hpa, Link::Metric, Link::Provider, Link::ProviderRights];

/// Why something of Datadog's side is not known.
fn untold(facts: &Facts) -> &'static str {
    match facts.view.get() {
        Some(_) => "the provider tells of none",
        None => "not known: the provider's port 5005 would tell",
    }
}

pub(super) fn query(facts: &Facts, about: &About<'_>) -> Step {
    let metric = &about.source.metric.name;
    let per_replica = matches!(about.target, Some(Target::AverageValue(_)));
    let chosen = about.wish.as_ref().is_ok_and(|wish| wish.overrides.aggregator.is_some());
    let averages = about.query().is_some_and(|query| query.starts_with("avg:"));
    let told = about.query().is_none() && about.problem(facts, "AverageOfAverages").is_some();
    if per_replica && about.is_plain() && !chosen && (averages || told) {
        let query = about.query().map(|query| format!("{query}: ")).unwrap_or_default();
        return broken(
            Link::Query,
            format!(
                "{query}the query is an average over the series and the target an AverageValue, so that \
                 what each pod reports is divided by the number of pods twice"
            ),
            format!(
                "kubectl -n {} set env deployment/datadog-cluster-agent DD_EXTERNAL_METRICS_AGGREGATOR=sum, or \
                 annotate the HPA with external-metrics.datadoghq.com/{metric}.aggregator=sum (avg, if that is meant)",
                facts.namespace
            ),
        );
    }
    match about.query() {
        Some(query) => ok(Link::Query, query),
        None => unknown(Link::Query, untold(facts)),
    }
}

pub(super) fn calls(facts: &Facts, about: &About<'_>) -> Step {
    let last = about.view.and_then(|view| view.last.as_ref());
    let when = last.map(|call| format!("{} ago: ", ago(facts, call.at))).unwrap_or_default();
    if let Some((cause, words)) = about.trouble.filter(|(cause, _)| cause.link() == Link::Calls) {
        let mut step = broken(Link::Calls, format!("{when}{words}"), cause.remedy(about.query()));
        step.follows = BEFORE.into();
        if cause == Cause::NoSeries && about.needs_service_tag() {
            step.follows = vec![Link::Hpa, Link::Metric, Link::Provider, Link::NodeAgents];
            step.remedy = step.remedy.map(|remedy| {
                format!(
                    "{remedy}; the tag kube_service comes from node agents with DD_CLUSTER_AGENT_ENABLED=true \
                     and the cluster agent's token: datadog-cluster-agent metamap"
                )
            });
        }
        return step;
    }
    let external = facts.view.get().and_then(|view| view.external_metrics.as_ref());
    let failing = last.and_then(|call| call.error.as_deref());
    let failing =
        failing.or_else(|| external.and_then(|external| external.asking.trouble.as_deref()));
    match (failing, last) {
        // The last sample is still served.
        (Some(words), _) if about.item().is_some() => {
            let cause = Cause::of(words);
            let remedy = cause.map(|cause| cause.remedy(about.query()));
            let finding = format!("{when}{words}; the last sample is served until it is too old");
            broken(Link::Calls, finding, remedy.unwrap_or_else(|| "see the provider's log".into()))
        }
        (_, Some(_)) if failing.is_none() => ok(Link::Calls, format!("{when}a sample")),
        _ if about.item().is_some()
            || about.trouble.is_some_and(|it| it.0.link() == Link::Sample) =>
        {
            ok(Link::Calls, "Datadog answers")
        }
        _ => unknown(Link::Calls, untold(facts)),
    }
}

pub(super) fn sample(facts: &Facts, about: &About<'_>) -> Step {
    let follows = &[Link::Hpa, Link::Metric, Link::Provider, Link::ProviderRights, Link::Calls];
    if let Some((cause, words)) = about.trouble.filter(|(cause, _)| cause.link() == Link::Sample) {
        return broken(Link::Sample, words, cause.remedy(about.query())).follows(follows);
    }
    let fallback = about.item().filter(|item| {
        item.metric_labels.iter().flatten().any(|(key, value)| key == "fallback" && value == "true")
    });
    if let Some(item) = fallback {
        let finding =
            format!("there is no fresh one, so that the fallback {} is served", item.value);
        return broken(Link::Sample, finding, "see the provider's log, or its command status")
            .follows(follows);
    }
    let limit = about.view.and_then(|view| view.max_age);
    let limited =
        limit.map(|limit| format!(", the limit is {}s", decimal(limit))).unwrap_or_default();
    if let Some((value, at)) = about.view.and_then(|view| view.value.zip(view.timestamp)) {
        let finding = format!("{}, {} old{limited}", decimal(value), ago(facts, at));
        let age = facts.now.duration_since(at).as_secs_f64();
        return match limit.filter(|limit| age > *limit) {
            Some(_) => {
                broken(Link::Sample, finding, Cause::Stale.remedy(about.query())).follows(follows)
            }
            None => ok(Link::Sample, finding),
        };
    }
    match about.item() {
        Some(item) => {
            let value = quantity::parse(&item.value).map_or(item.value.clone(), decimal);
            let age =
                item.timestamp.map(|at| format!(", {} old", ago(facts, at))).unwrap_or_default();
            ok(Link::Sample, format!("{value}{age}"))
        }
        None if about.trouble.is_some() => {
            broken(Link::Sample, "there is none that may be served", "see the calls")
                .follows(follows)
        }
        None => unknown(Link::Sample, untold(facts)),
    }
}

pub(super) fn answer(_: &Facts, about: &About<'_>) -> Step {
    const FOLLOWS: [Link; 3] = [Link::Metric, Link::Calls, Link::Sample];
    let Some(answer) = about.answer.get() else {
        return unknown(Link::Answer, super::why(about.answer, "was not asked for"));
    };
    match answer.items.as_slice() {
        [item] => ok(Link::Answer, format!("{}, HTTP {}", item.value, answer.code)),
        [] if answer.code == 200 => broken(
            Link::Answer,
            "an empty list, which no HPA can use; this provider never says that",
            "kubectl get apiservice v1beta1.external.metrics.k8s.io",
        ),
        [] => broken(
            Link::Answer,
            format!("HTTP {}: {}", answer.code, answer.message),
            "see the provider's log",
        ),
        items => broken(
            Link::Answer,
            format!("{} items, which the HPA adds up; this provider never says that", items.len()),
            "kubectl get apiservice v1beta1.external.metrics.k8s.io",
        ),
    }
    .follows(&WAY)
    .follows(&FOLLOWS)
}
