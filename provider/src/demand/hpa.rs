//! From one HPA to the external metrics that it names; pure.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use crate::demand::{
    Kind,
    wish::{self, BadSource, External, Wishes},
};

/// The external metrics that `hpa` names.
pub fn read(hpa: &HorizontalPodAutoscaler) -> Wishes {
    let metrics = hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    let sources = metrics.enumerate().filter(|(_, metric)| metric.type_ == "External").map(
        |(position, metric)| {
            let source = metric.external.as_ref().ok_or(BadSource::NoExternalBlock { position })?;
            Ok(External {
                name: &source.metric.name,
                selector: source.metric.selector.as_ref(),
                average_value: source.target.type_ == "AverageValue",
            })
        },
    );
    wish::read(Kind::Hpa, &hpa.metadata, sources)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::demand::wish::Origin;

    fn hpa(metrics: &serde_json::Value) -> Wishes {
        let hpa = serde_json::from_value(json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "default", "name": "nginxext", "annotations": {
                "external-metrics.datadoghq.com/plain.aggregator": "max"}},
            "spec": {
                "maxReplicas": 5,
                "scaleTargetRef": {"kind": "Deployment", "name": "nginx"},
                "metrics": metrics,
            },
        }))
        .unwrap();
        read(&hpa)
    }

    fn keys(wishes: &Wishes) -> Vec<String> {
        wishes.wishes.iter().map(|wish| wish.key.to_string()).collect()
    }

    #[test]
    fn every_external_source_is_a_wish_and_others_are_left_alone() {
        let wishes = hpa(&json!([
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
            {"type": "External", "external": {
                "metric": {"name": "Queue.Depth", "selector": {"matchLabels": {"queue": "a"}}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {
                "metric": {"name": "Queue.Depth", "selector": {"matchLabels": {"queue": "b"}}},
                "target": {"type": "AverageValue"}}},
            {"type": "External", "external": {
                "metric": {"name": "Queue.Depth", "selector": {"matchExpressions": [
                    {"key": "queue", "operator": "In", "values": ["b", "a"]},
                    {"key": "zone", "operator": "DoesNotExist"}]}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {
                "metric": {"name": "plain"}, "target": {"type": "Value"}}},
        ]));
        assert_eq!(
            keys(&wishes),
            [
                "default/queue.depth{queue=a}",
                "default/queue.depth{queue=b}",
                "default/queue.depth{queue in (a,b),!zone}",
                "default/plain{}"
            ]
        );
        assert_eq!(wishes.wishes[0].name, "Queue.Depth");
        assert!(!wishes.wishes[0].average_value && wishes.wishes[1].average_value);
        assert!(wishes.wishes[0].overrides.aggregator.is_none());
        assert!(wishes.wishes[3].overrides.aggregator.is_some());
        assert_eq!(wishes.problems, []);
    }

    #[test]
    fn a_bad_source_hurts_only_itself() {
        let wishes = hpa(&json!([
            {"type": "External"},
            {"type": "External", "external": {
                "metric": {"name": "plain", "selector": {"matchExpressions": [
                    {"key": "a", "operator": "Near", "values": ["x"]}]}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {"metric": {"name": "other"}, "target": {"type": "Value"}}},
        ]));
        assert_eq!(keys(&wishes), ["default/other{}"]);
        let problems: Vec<_> =
            wishes.problems.iter().map(|it| format!("{} {}", it.reason, it.note)).collect();
        assert_eq!(
            problems,
            [
                "BadMetricSource metric source 0 is of type External but has no `external` block",
                "BadMetricSource metric \"plain\": operator \"Near\" of selector key \"a\" is unknown, \
                 use In, NotIn, Exists or DoesNotExist",
            ]
        );
    }

    #[test]
    fn a_reference_is_the_same_metric_whoever_writes_it() {
        let wishes = hpa(&json!([
            {"type": "External", "external": {
                "metric": {"name": "DatadogMetric@Web:Requests", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {
                "metric": {"name": "datadogmetric@web"}, "target": {"type": "Value"}}},
        ]));
        assert_eq!(
            keys(&wishes),
            ["web/datadogmetric@web:requests{}", "default/datadogmetric@web{}"]
        );
        assert!(matches!(&wishes.wishes[0].origin, Origin::DatadogMetric(Ok(_))));
        assert!(matches!(&wishes.wishes[1].origin, Origin::DatadogMetric(Err(_))));
    }

    #[test]
    fn an_hpa_without_metrics_wants_nothing() {
        assert!(read(&HorizontalPodAutoscaler::default()).wishes.is_empty());
    }
}
