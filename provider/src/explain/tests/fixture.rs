//! The walkthrough's HPA at three replicas, with everything in order.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, from_value, json};

use crate::explain::{
    facts::{Answer, Deployment, Event, Facts, Found, Item, NodeAgent, Pod, Right, Scale, Whose},
    view::{Call, ExternalMetrics, Metric, View},
};

pub(super) const QUERY: &str = "sum:nginx.net.request_per_s{kube_container_name:nginx}.rollup(30)";
pub(super) const METRIC: &str = "nginx.net.request_per_s";

pub(super) fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

pub(super) fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

pub(super) fn hpa() -> Value {
    json!({
        "metadata": {"namespace": "default", "name": "nginxext", "uid": "1"},
        "spec": {
            "minReplicas": 1, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nginx"},
            "metrics": [{"type": "External", "external": {
                "metric": {"name": METRIC, "selector": {"matchLabels": {"kube_container_name": "nginx"}}},
                "target": {"type": "AverageValue", "averageValue": "9"}}}],
        },
        "status": {
            "currentReplicas": 3, "desiredReplicas": 3,
            "conditions": [
                {"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale", "message": "recommended size matches current size"},
                {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound", "message": "the HPA was able to successfully calculate a replica count"},
                {"type": "ScalingLimited", "status": "False", "reason": "DesiredWithinRange", "message": "the desired count is within the acceptable range"},
            ],
        },
    })
}

pub(super) fn api_service(name: &str, condition: (&str, &str, &str)) -> Value {
    json!({
        "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1",
            "groupPriorityMinimum": 100, "versionPriority": 100, "insecureSkipTLSVerify": true,
            "service": {"namespace": "default", "name": name, "port": 443},
        },
        "status": {"conditions": [{"type": "Available", "status": condition.0, "reason": condition.1, "message": condition.2}]},
    })
}

pub(super) fn service(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name, "labels": {"app": "datadog-cluster-agent"}},
        "spec": {"type": "ClusterIP", "selector": {"app": "datadog-cluster-agent"},
            "ports": [{"name": "metricsapi", "port": 443, "targetPort": "metricsapi"}]},
    })
}

pub(super) fn slices(port: i32, ready: bool) -> Value {
    json!([{
        "metadata": {"namespace": "default", "name": "it"}, "addressType": "IPv4",
        "ports": [{"name": "metricsapi", "port": port}],
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": ready}}],
    }])
}

pub(super) fn value(value: &str, age: i64) -> Found<Answer> {
    let item = Item { value: value.into(), timestamp: Some(ago(age)), metric_labels: None };
    Found::Is(Answer { code: 200, message: String::new(), items: vec![item] })
}

pub(super) fn refusal(code: u16, message: &str) -> Vec<Found<Answer>> {
    vec![Found::Is(Answer { code, message: message.into(), items: Vec::new() })]
}

pub(super) fn no_series(query: &str) -> String {
    format!(
        "Returned series slice empty: Datadog has no series for {query} in the last 300s, check the \
         metric's name and tags"
    )
}

pub(super) fn right(whose: Whose, what: &str) -> Right {
    let user = match whose {
        Whose::Controller => "system:serviceaccount:kube-system:horizontal-pod-autoscaler",
        Whose::Provider => "system:serviceaccount:default:dca",
    };
    Right { whose, user: user.into(), what: what.into(), allowed: Found::Is(()) }
}

pub(super) fn pod() -> Pod {
    let labels = [("app", "datadog-cluster-agent"), ("pod-template-hash", "7b7f6d5547")];
    Pod {
        name: "datadog-cluster-agent-7b7f6d5547-cmdtc".into(),
        labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        ports: vec![8443, 5005],
        account: "dca".into(),
        ready: true,
        state: "Running".into(),
        enabled: Found::Is("true".into()),
        token: Some("Secret datadogtoken, key token".into()),
    }
}

pub(super) fn metric() -> Metric {
    Metric {
        namespace: "default".into(),
        name: METRIC.into(),
        selector: "kube_container_name=nginx".into(),
        query: Some(QUERY.into()),
        last: Some(Call { at: ago(12), error: None }),
        value: Some(25.0),
        timestamp: Some(ago(40)),
        max_age: Some(120.0),
        ..Metric::default()
    }
}

pub(super) fn healthy() -> Facts {
    let (controller, provider) = (Whose::Controller, Whose::Provider);
    Facts {
        now: now(),
        hpa: from_value(hpa()).unwrap(),
        events: Found::Is(vec![Event {
            warning: false,
            reason: "SuccessfulRescale".into(),
            note: "New size: 3; reason: external metric above target".into(),
            count: 1,
        }]),
        rivals: Found::Is(Vec::new()),
        scale: Found::Is(Scale { wanted: 3, there: 3, ready: Some(3) }),
        datadog_metrics: BTreeMap::new(),
        namespace: "default".into(),
        deployment: Found::Is(Deployment { name: "datadog-cluster-agent".into(), replicas: 1 }),
        pods: Found::Is(vec![pod()]),
        view: Found::Is(View {
            external_metrics: Some(ExternalMetrics {
                metrics: vec![metric()],
                ..ExternalMetrics::default()
            }),
        }),
        node_agents: Found::Is(vec![NodeAgent {
            name: "datadog-agent".into(),
            enabled: Found::Is("true".into()),
            token: Some("Secret datadogtoken, key token".into()),
        }]),
        answers: vec![value("25", 40)],
        api_versions: Found::Is(vec![
            "autoscaling/v2".into(),
            "external.metrics.k8s.io/v1beta1".into(),
        ]),
        aggregation: Found::Is(true),
        api_service: Found::Is(
            from_value(api_service("datadog-custom-metrics-server", ("True", "Passed", "")))
                .unwrap(),
        ),
        service: Found::Is(from_value(service("datadog-custom-metrics-server")).unwrap()),
        services: Found::Is(vec![from_value(service("datadog-custom-metrics-server")).unwrap()]),
        slices: Found::Is(from_value(slices(8443, true)).unwrap()),
        rights: vec![
            right(
                controller,
                "list nginx.net.request_per_s.external.metrics.k8s.io in namespace default",
            ),
            right(provider, "list horizontalpodautoscalers.autoscaling"),
            right(provider, "create tokenreviews.authentication.k8s.io"),
            right(provider, "create subjectaccessreviews.authorization.k8s.io"),
        ],
    }
}
