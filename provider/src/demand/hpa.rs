//! From one HPA to the external metrics that it names; pure.

use k8s_openapi::api::autoscaling::v2::{ExternalMetricSource, HorizontalPodAutoscaler};

use crate::{
    demand::{Autoscaler, Kind, MetricKey},
    selector::{Selector, SelectorError},
};

/// One external metric of one HPA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What the HPA controller will ask for.
    pub key: MetricKey,
    /// The name in its original case.
    pub name: String,
}

/// Why one metric source of an HPA cannot be served; its other sources are not touched by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    /// `type: External` without its block.
    #[error("metric source {position} is of type External but has no `external` block")]
    NoExternalBlock {
        /// Position in `spec.metrics`, from 0.
        position: usize,
    },
    /// The selector cannot be read.
    #[error("metric {metric:?}: {source}")]
    Selector {
        /// The metric's name as written.
        metric: String,
        /// What is wrong with the selector.
        source: SelectorError,
    },
}

/// Who this HPA is.
pub fn autoscaler(hpa: &HorizontalPodAutoscaler) -> Autoscaler {
    Autoscaler {
        kind: Kind::Hpa,
        namespace: hpa.metadata.namespace.clone().unwrap_or_default(),
        name: hpa.metadata.name.clone().unwrap_or_default(),
        uid: hpa.metadata.uid.clone().unwrap_or_default(),
        created: hpa.metadata.creation_timestamp.as_ref().map(|time| time.0),
    }
}

/// The external metrics that `hpa` names, in the order of its `spec.metrics`.
pub fn wishes(hpa: &HorizontalPodAutoscaler) -> Vec<Result<Wish, BadSource>> {
    let namespace = hpa.metadata.namespace.as_deref().unwrap_or_default();
    let metrics = hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    metrics
        .enumerate()
        .filter(|(_, metric)| metric.type_ == "External")
        .map(|(position, metric)| match &metric.external {
            Some(source) => wish(namespace, source),
            None => Err(BadSource::NoExternalBlock { position }),
        })
        .collect()
}

fn wish(namespace: &str, source: &ExternalMetricSource) -> Result<Wish, BadSource> {
    let name = &source.metric.name;
    let selector = source
        .metric
        .selector
        .as_ref()
        .map_or_else(|| Ok(Selector::default()), Selector::try_from)
        .map_err(|source| BadSource::Selector { metric: name.clone(), source })?;
    Ok(Wish { key: MetricKey::new(namespace, name, selector), name: name.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hpa(metrics: &serde_json::Value) -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "default", "name": "nginxext"},
            "spec": {
                "maxReplicas": 5,
                "scaleTargetRef": {"kind": "Deployment", "name": "nginx"},
                "metrics": metrics,
            },
        }))
        .unwrap()
    }

    #[test]
    fn every_external_source_is_a_wish_and_others_are_left_alone() {
        let hpa = hpa(&json!([
            {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}},
            {"type": "External", "external": {
                "metric": {"name": "Queue.Depth", "selector": {"matchLabels": {"queue": "a"}}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {
                "metric": {"name": "Queue.Depth", "selector": {"matchLabels": {"queue": "b"}}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {
                "metric": {"name": "plain"}, "target": {"type": "Value"}}},
        ]));
        let keys: Vec<_> =
            wishes(&hpa).into_iter().map(|wish| wish.unwrap().key.to_string()).collect();
        assert_eq!(
            keys,
            ["default/queue.depth{queue=a}", "default/queue.depth{queue=b}", "default/plain{}"]
        );
        assert_eq!(wishes(&hpa)[0].as_ref().unwrap().name, "Queue.Depth");
    }

    #[test]
    fn a_bad_source_hurts_only_itself() {
        let hpa = hpa(&json!([
            {"type": "External"},
            {"type": "External", "external": {
                "metric": {"name": "m", "selector": {"matchExpressions": [
                    {"key": "a", "operator": "Near", "values": ["x"]}]}},
                "target": {"type": "Value"}}},
            {"type": "External", "external": {"metric": {"name": "good"}, "target": {"type": "Value"}}},
        ]));
        let wishes = wishes(&hpa);
        assert_eq!(wishes[0], Err(BadSource::NoExternalBlock { position: 0 }));
        assert!(matches!(&wishes[1], Err(BadSource::Selector { metric, .. }) if metric == "m"));
        assert_eq!(wishes[2].as_ref().unwrap().name, "good");
    }

    #[test]
    fn an_hpa_without_metrics_wants_nothing() {
        assert!(wishes(&HorizontalPodAutoscaler::default()).is_empty());
    }
}
