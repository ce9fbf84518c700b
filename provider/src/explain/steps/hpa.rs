//! The HPA, and the metrics that it names.

use std::time::Duration;

use crate::{
    demand::{hpa, wish::Origin},
    explain::{
        Link, Step,
        cause::Cause,
        facts::{Facts, Found},
        replicas::Target,
        steps::{
            about::{About, condition},
            broken, in_namespace, ok,
        },
    },
    query::{Aggregator, resolve},
};

pub(super) fn hpa(facts: &Facts, metrics: &[About<'_>]) -> Step {
    let metadata = &facts.hpa.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    let spec = facts.hpa.spec.clone().unwrap_or_default();
    let to = format!("{}/{}", spec.scale_target_ref.kind, spec.scale_target_ref.name);
    let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    if metrics.is_empty() {
        return broken(
            Link::Hpa,
            format!(
                "{namespace}/{name} has no metric of type External, so the provider has no part in it"
            ),
            in_namespace(namespace, &format!("describe hpa {name}")),
        );
    }
    let rivals = facts.rivals.get().map(Vec::as_slice).unwrap_or_default();
    let ambiguous = condition(facts, "ScalingActive").is_some_and(|it| it.2 == "AmbiguousSelector");
    if !rivals.is_empty() || ambiguous {
        let who = if rivals.is_empty() {
            "another HPA".to_owned()
        } else {
            format!("HPA {}", rivals.join(", "))
        };
        let delete = rivals.first().map_or("OTHER", String::as_str);
        return broken(
            Link::Hpa,
            format!(
                "{who} scales {to}, too: the HPA controller then scales for neither (AmbiguousSelector)"
            ),
            format!(
                "put all metrics into one HPA (the largest proposal wins), then {}",
                in_namespace(namespace, &format!("delete hpa {delete}"))
            ),
        );
    }
    if facts.scale == Found::Missing {
        return broken(
            Link::Hpa,
            format!("it scales {to}, which is not there"),
            in_namespace(namespace, &format!("edit hpa {name}, and correct spec.scaleTargetRef")),
        );
    }
    let status = facts.hpa.status.clone().unwrap_or_default();
    let now = status.current_replicas.unwrap_or(0);
    if now == 0
        && min != 0
        && condition(facts, "ScalingActive").is_some_and(|it| it.2 == "ScalingDisabled")
    {
        return broken(
            Link::Hpa,
            format!("{to} was set to 0 replicas, which switches the HPA off"),
            in_namespace(namespace, &format!("scale {to} --replicas={}", min.max(1))),
        );
    }
    let finding =
        format!("{namespace}/{name} scales {to} between {min} and {max} replicas, now {now}");
    let note = hpa::read(&facts.hpa).problems.into_iter().find(|it| it.reason != "BadMetricSource");
    let others = spec.metrics.iter().flatten().filter(|metric| metric.type_ != "External").count();
    let finding = match others {
        0 => finding,
        _ => {
            format!("{finding}; {others} of its metrics are not of type External and not looked at")
        }
    };
    match note {
        Some(note) => ok(Link::Hpa, finding).advice(note.note),
        None => ok(Link::Hpa, finding),
    }
}

pub(super) fn metric(facts: &Facts, about: &About<'_>) -> Step {
    let target = about.target.map_or_else(|| "no target".to_owned(), Target::text);
    let text = format!("{}, target {target}", about.text());
    let namespace = facts.hpa.metadata.namespace.as_deref().unwrap_or_default();
    let name = facts.hpa.metadata.name.as_deref().unwrap_or_default();
    let bad = |finding: String, cause: Cause| {
        broken(Link::Metric, finding, cause.remedy(None)).follows(&[Link::Hpa])
    };
    let wish = match &about.wish {
        Ok(wish) => wish,
        Err(problem) => return bad(problem.clone(), Cause::Name),
    };
    match &wish.origin {
        Origin::DatadogMetric(Err(problem)) => return bad(problem.to_string(), Cause::Name),
        Origin::DatadogMetric(Ok(object))
            if facts.datadog_metrics.get(&object.to_string()) == Some(&Found::Missing) =>
        {
            return bad(format!("there is no DatadogMetric {object}"), Cause::NoDatadogMetric);
        }
        Origin::DatadogMetric(Ok(_)) => {}
        Origin::Selector => {
            let (key, name) = (&wish.key, &wish.name);
            let query =
                resolve::query(name, &key.selector, Aggregator::Avg, Duration::from_secs(30));
            if let Err(problem) = query {
                return bad(problem.to_string(), Cause::Name);
            }
        }
    }
    if let Some((cause, words)) = about.trouble.filter(|(cause, _)| cause.link() == Link::Metric) {
        // What is not read is not seen; that is no fault of the HPA.
        return broken(Link::Metric, words, cause.remedy(None)).follows(&[
            Link::Hpa,
            Link::Provider,
            Link::ProviderRights,
        ]);
    }
    match about.problem(facts, "ConflictingOptions") {
        Some(note) => broken(
            Link::Metric,
            format!("two HPAs are in conflict: {note}"),
            in_namespace(namespace, &format!("edit hpa {name}, and write the same in both")),
        ),
        None => ok(Link::Metric, text),
    }
}
