use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::{
    demand::{ObjectName, Raw, datadog_metric::ALWAYS_ACTIVE},
    query::{Aggregator, Query},
    testing,
};

fn index() -> Index {
    Index::new(&Config {
        autoscalers: crate::selector::Selector::default(),
        datadog_metrics: true,
        wpas: true,
        templates: template::Values::default(),
        defaults: testing::DEFAULTS,
    })
}

fn hpa(name: &str, metric: &str) -> HorizontalPodAutoscaler {
    annotated(name, metric, &json!({}))
}

fn annotated(name: &str, metric: &str, annotations: &Value) -> HorizontalPodAutoscaler {
    serde_json::from_value(json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": "default", "name": name, "annotations": annotations},
        "spec": {
            "maxReplicas": 5,
            "scaleTargetRef": {"kind": "Deployment", "name": "nginx"},
            "metrics": [{"type": "External", "external": {
                "metric": {"name": metric}, "target": {"type": "Value"}}}],
        },
    }))
    .unwrap()
}

fn datadog_metric(name: &str, spec: &Value) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "datadoghq.com/v1alpha1",
        "kind": "DatadogMetric",
        "metadata": {"namespace": "web", "name": name},
        "spec": spec,
    }))
    .unwrap()
}

fn wpa(name: &str, metric: &str) -> DynamicObject {
    serde_json::from_value(json!({
        "apiVersion": "datadoghq.com/v1alpha1",
        "kind": "WatermarkPodAutoscaler",
        "metadata": {"namespace": "default", "name": name},
        "spec": {"metrics": [{"type": "External", "external": {"metricName": metric}}]},
    }))
    .unwrap()
}

fn list_all<K: Clone>(index: &mut Index, change: fn(Event<K>) -> Change, objects: &[K]) -> bool {
    assert!(!index.apply(&change(Event::Init)));
    for object in objects {
        assert!(!index.apply(&change(Event::InitApply(object.clone()))));
    }
    index.apply(&change(Event::InitDone))
}

/// With empty lists of the others.
fn listed(hpas: &[HorizontalPodAutoscaler]) -> Index {
    let mut index = index();
    assert!(list_all(&mut index, Change::Wpa, &[]));
    assert!(list_all(&mut index, Change::DatadogMetric, &[]));
    assert!(!index.is_ready());
    assert!(list_all(&mut index, Change::Hpa, hpas));
    assert!(index.is_ready());
    index
}

fn apply(index: &mut Index, hpa: HorizontalPodAutoscaler) -> bool {
    index.apply(&Change::Hpa(Event::Apply(hpa)))
}

fn define(index: &mut Index, name: &str, spec: &Value) -> bool {
    index.apply(&Change::DatadogMetric(Event::Apply(datadog_metric(name, spec))))
}

fn metrics(index: &Index) -> Vec<String> {
    index.demand().iter().map(|(_, wanted)| wanted.name.clone()).collect()
}

/// The query of the only metric, or why there is none.
fn query(index: &Index) -> Result<String, String> {
    let demand = index.demand();
    assert_eq!(demand.len(), 1);
    let (key, wanted) = demand.iter().next().unwrap();
    let resolved = resolve::resolve(key, wanted, &testing::DEFAULTS);
    resolved.ask.map(|ask| ask.query.to_string()).map_err(|error| error.to_string())
}

fn object(name: &str) -> ObjectName {
    ObjectName { namespace: "web".into(), name: name.into() }
}

#[test]
fn a_change_of_status_alone_changes_no_demand() {
    let mut index = listed(&[hpa("a", "m")]);
    let mut touched = hpa("a", "m");
    touched.metadata.resource_version = Some("2".into());
    touched.status = Some(k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerStatus {
        desired_replicas: 3,
        ..Default::default()
    });
    assert!(!apply(&mut index, touched));
    assert!(define(&mut index, "d", &json!({"query": "sum:m{*}"})));
    let mut touched = datadog_metric("d", &json!({"query": "sum:m{*}"}));
    touched.data["status"] = json!({"currentValue": "7"});
    assert!(!index.apply(&Change::DatadogMetric(Event::Apply(touched))));
}

#[test]
fn updates_and_deletions_count_at_once() {
    let mut index = listed(&[hpa("a", "m")]);
    assert!(apply(&mut index, hpa("a", "n")));
    assert_eq!(metrics(&index), ["n"]);
    assert!(apply(&mut index, hpa("b", "o")));
    assert_eq!(metrics(&index), ["n", "o"]);
    assert!(index.apply(&Change::Hpa(Event::Delete(hpa("a", "n")))));
    assert_eq!(metrics(&index), ["o"]);
    assert!(!index.apply(&Change::Hpa(Event::Delete(hpa("a", "n")))));
    assert!(index.apply(&Change::Wpa(Event::Apply(wpa("b", "p")))));
    assert_eq!(metrics(&index), ["o", "p"], "a WPA of the same name is another object");
}

#[test]
fn a_new_list_drops_what_went_away_while_the_watch_was_broken() {
    let mut index = listed(&[hpa("a", "m"), hpa("b", "n")]);
    index.apply(&Change::Hpa(Event::Init));
    index.apply(&Change::Hpa(Event::InitApply(hpa("b", "n"))));
    assert_eq!(metrics(&index), ["m", "n"], "the old list holds until the new one is complete");
    assert!(index.apply(&Change::Hpa(Event::InitDone)));
    assert_eq!(metrics(&index), ["n"]);
    assert!(!list_all(&mut index, Change::Hpa, &[hpa("b", "n")]), "the same list is no news");
}

#[test]
fn the_first_list_is_news_even_if_it_is_empty() {
    assert_eq!(metrics(&listed(&[])), Vec::<String>::new());
}

#[test]
fn options_and_their_problems_are_part_of_the_demand() {
    let annotations = json!({
        "external-metrics.datadoghq.com/aggregator": "max",
        "external-metrics.datadoghq.com/rollup": "soon",
    });
    let mut index = listed(&[annotated("a", "m", &annotations)]);
    assert_eq!(query(&index).unwrap(), "max:m{*}.rollup(30)");
    let problems = index.demand().problems;
    let said: Vec<_> = problems.iter().map(|(by, it)| format!("{by} {}", it.reason)).collect();
    assert_eq!(said, ["hpa:default/a InvalidOption"]);
    assert!(apply(&mut index, hpa("a", "m")), "a new annotation is news");
    assert_eq!(index.demand().problems, []);
}

#[test]
fn a_reference_follows_its_object() {
    let mut index = listed(&[hpa("a", "datadogmetric@web:Requests")]);
    assert_eq!(query(&index).unwrap_err(), "there is no DatadogMetric web/requests");
    let spec = json!({"query": "sum:m{*}", "maxAge": "10m", "timeWindow": "1h"});
    assert!(define(&mut index, "requests", &spec));
    assert_eq!(query(&index).unwrap(), "sum:m{*}");
    let raw = Raw {
        query: Query::new("sum:m{*}"),
        max_age: Some(Duration::from_secs(600)),
        window: Some(Duration::from_secs(3600)),
    };
    let demand = index.demand();
    assert_eq!(demand.iter().next().unwrap().1.source, Source::DatadogMetric(Ok(raw)));
    let used = &demand.datadog_metrics[&object("requests")];
    assert!(used.active);
    assert_eq!(
        used.referenced_by,
        [Autoscaler { uid: String::new(), ..testing::hpa("default", "a") }]
    );
    assert_eq!(demand.position(&used.key), Some(0));
    assert!(define(&mut index, "requests", &json!({"query": "a,b"})));
    assert_eq!(
        query(&index).unwrap_err(),
        "DatadogMetric web/requests: the query has a comma outside brackets at character 2, which \
         makes two queries of it; write one query"
    );
    let gone = datadog_metric("requests", &json!({}));
    assert!(index.apply(&Change::DatadogMetric(Event::Delete(gone))));
    assert!(query(&index).unwrap_err().starts_with("there is no DatadogMetric"));
}

#[test]
fn a_reference_without_readable_objects_says_why() {
    let mut index = listed(&[hpa("a", "datadogmetric@web:requests")]);
    let reason = || "the kind is gone".to_owned();
    assert!(index.unreadable(Watched::DatadogMetrics, reason(), true));
    assert!(!index.unreadable(Watched::DatadogMetrics, reason(), true));
    assert_eq!(
        query(&index).unwrap_err(),
        "DatadogMetric web/requests cannot be read: the kind is gone"
    );
    assert!(list_all(&mut index, Change::DatadogMetric, &[]), "they are back");
    assert!(!index.unreadable(Watched::DatadogMetrics, reason(), false), "a list outlives trouble");
    index.datadog_metrics = None;
    assert!(query(&index).unwrap_err().contains("USE_DATADOGMETRIC_CRD=true"));
    assert!(apply(&mut index, hpa("a", "datadogmetric@web")));
    assert!(query(&index).unwrap_err().contains("there is no `:`"));
}

#[test]
fn a_missing_kind_holds_nothing_up() {
    let mut index = index();
    assert!(list_all(&mut index, Change::Hpa, &[hpa("a", "m")]));
    assert!(!index.is_ready());
    assert!(index.unreadable(Watched::Wpas, "none".into(), true));
    assert!(index.unreadable(Watched::DatadogMetrics, "forbidden".into(), false));
    assert!(index.is_ready());
    assert_eq!(metrics(&index), ["m"]);
}

#[test]
fn only_what_is_referred_to_or_always_active_is_asked() {
    let mut index = listed(&[]);
    define(&mut index, "idle", &json!({"query": "sum:idle{*}"}));
    let mut always = datadog_metric("always", &json!({"query": "sum:always{*}"}));
    always.metadata.annotations = Some([(ALWAYS_ACTIVE.to_owned(), "true".to_owned())].into());
    index.apply(&Change::DatadogMetric(Event::Apply(always)));
    let demand = index.demand();
    assert_eq!(metrics(&index), ["datadogmetric@web:always"]);
    let active: Vec<_> =
        demand.datadog_metrics.iter().map(|(name, it)| (name.to_string(), it.active)).collect();
    assert_eq!(active, [("web/always".to_owned(), true), ("web/idle".to_owned(), false)]);
    assert_eq!(query(&index).unwrap(), "sum:always{*}");
}

#[test]
fn an_autogenerated_object_is_the_metric_that_it_stands_for() {
    let mut index = listed(&[hpa("a", "Requests"), hpa("b", "requests")]);
    assert!(index.apply(&Change::Wpa(Event::Apply(wpa("c", "Requests")))));
    let spec = json!({"query": "sum:Requests{*}.rollup(30)", "externalMetricName": "Requests"});
    define(&mut index, "dcaautogen-1", &spec);
    let spec = json!({"query": "sum:other{*}.rollup(30)", "externalMetricName": "other"});
    define(&mut index, "dcaautogen-2", &spec);
    define(&mut index, "by-hand", &json!({"query": "sum:Requests{*}.rollup(30)"}));
    let demand = index.demand();
    assert_eq!(demand.len(), 1);
    let used = &demand.datadog_metrics[&object("dcaautogen-1")];
    assert!(used.active);
    assert_eq!(used.key, testing::key("default", "requests"));
    let by: Vec<_> = used.referenced_by.iter().map(ToString::to_string).collect();
    assert_eq!(by, ["hpa:default/a", "hpa:default/b", "wpa:default/c"]);
    assert!(!demand.datadog_metrics[&object("dcaautogen-2")].active);
    assert!(!demand.datadog_metrics[&object("by-hand")].active, "nobody refers to that one");
}

#[test]
fn an_average_target_over_an_average_is_said() {
    let mut index = index();
    index.defaults.aggregator = Aggregator::Avg;
    let mut per_pod = hpa("a", "m");
    per_pod.spec.as_mut().unwrap().metrics.as_mut().unwrap()[0]
        .external
        .as_mut()
        .unwrap()
        .target
        .type_ = "AverageValue".into();
    list_all(&mut index, Change::Hpa, &[per_pod]);
    let problems = index.demand().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].1.reason, "AverageOfAverages");
}
