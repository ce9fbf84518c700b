//! From one `WatermarkPodAutoscaler` to the external metrics that it names; pure.
//!
//! `datadoghq.com/v1alpha1`, <https://github.com/DataDog/watermarkpodautoscaler>
//! (`apis/datadoghq/v1alpha1/watermarkpodautoscaler_types.go`). Only what is needed is read, each
//! metric source by itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use serde::Deserialize;

use crate::demand::{
    Kind,
    wish::{self, BadSource, External, Wishes},
};

/// How kube-apiserver calls them.
pub fn resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("datadoghq.com", "v1alpha1", "WatermarkPodAutoscaler");
    ApiResource::from_gvk_with_plural(&kind, "watermarkpodautoscalers")
}

#[derive(Deserialize)]
struct MetricSpec {
    #[serde(rename = "type")]
    type_: String,
    external: Option<ExternalSource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExternalSource {
    metric_name: String,
    metric_selector: Option<LabelSelector>,
}

/// The external metrics that `wpa` names.
pub fn read(wpa: &DynamicObject) -> Wishes {
    let metrics = wpa.data.pointer("/spec/metrics").and_then(|metrics| metrics.as_array());
    let sources: Vec<Result<ExternalSource, BadSource>> = metrics
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(position, metric)| match MetricSpec::deserialize(metric) {
            Ok(metric) if metric.type_ != "External" => None,
            Ok(metric) => Some(metric.external.ok_or(BadSource::NoExternalBlock { position })),
            Err(error) => Some(Err(BadSource::Unreadable { position, error: error.to_string() })),
        })
        .collect();
    let sources = sources.iter().map(|source| match source {
        Ok(source) => Ok(External {
            name: &source.metric_name,
            selector: source.metric_selector.as_ref(),
            // Its watermarks are values; what it divides by is its own affair (`algorithm`).
            average_value: false,
        }),
        Err(error) => Err(error.clone()),
    });
    wish::read(Kind::Wpa, &wpa.metadata, sources)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wpa(metrics: &serde_json::Value) -> Wishes {
        let wpa = serde_json::from_value(json!({
            "apiVersion": "datadoghq.com/v1alpha1",
            "kind": "WatermarkPodAutoscaler",
            "metadata": {"namespace": "web", "name": "requests", "uid": "u"},
            "spec": {"algorithm": "average", "metrics": metrics},
        }))
        .unwrap();
        read(&wpa)
    }

    #[test]
    fn external_sources_are_wishes_like_those_of_an_hpa() {
        let wishes = wpa(&json!([
            {"type": "Resource", "resource": {"name": "cpu", "highWatermark": "80"}},
            {"type": "External", "external": {
                "metricName": "Custom.Duration", "highWatermark": "400m", "lowWatermark": "150m",
                "metricSelector": {"matchLabels": {"app": "web"}}}},
            {"type": "External", "external": {"metricName": "datadogmetric@web:requests"}},
        ]));
        assert_eq!(wishes.autoscaler.to_string(), "wpa:web/requests");
        let keys: Vec<_> = wishes.wishes.iter().map(|wish| wish.key.to_string()).collect();
        assert_eq!(keys, ["web/custom.duration{app=web}", "web/datadogmetric@web:requests{}"]);
        assert_eq!(wishes.wishes[0].name, "Custom.Duration");
        assert_eq!(wishes.problems, []);
    }

    #[test]
    fn a_source_that_cannot_be_read_hurts_only_itself() {
        let wishes = wpa(&json!([
            {"type": "External"},
            {"type": "External", "external": {"metricName": 7}},
            {"type": "External", "external": {"metricName": "m"}},
        ]));
        assert_eq!(wishes.wishes.len(), 1);
        let notes: Vec<_> = wishes.problems.iter().map(|it| it.note.as_str()).collect();
        assert_eq!(
            notes,
            [
                "metric source 0 is of type External but has no `external` block",
                "metric source 1 cannot be read: invalid type: integer `7`, expected a string",
            ]
        );
        assert!(wpa(&json!("none")).wishes.is_empty());
    }
}
