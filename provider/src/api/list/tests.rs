use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tower::ServiceExt;

use super::*;
use crate::{
    demand::MetricKey,
    sample::Sample,
    store::{Entry, Outcome},
    testing,
};

fn now() -> Timestamp {
    "2026-11-25T05:00:00Z".parse().unwrap()
}

fn snapshot(metrics: &[(&str, &str, Option<f64>)]) -> Snapshot {
    let demand = testing::demand(
        metrics.iter().map(|(namespace, name, _)| (testing::key(namespace, name), *name)),
    );
    let entry = |(key, _): (&MetricKey, _)| {
        let wanted = metrics.iter().find(|it| (it.0, it.1) == (&key.namespace, &key.metric));
        let sample = wanted.unwrap().2.map(|value| Sample { value, at: now() });
        let outcome = if sample.is_some() { Outcome::Sampled } else { Outcome::NoSeries };
        Arc::new(Entry { sample, last: Some((now(), outcome)), ..testing::entry("avg:x{*}") })
    };
    let entries: Vec<_> = demand.iter().map(entry).collect();
    Snapshot::new(demand, &entries)
}

fn listed(namespace: &str, snapshot: &Snapshot) -> Result<Vec<(String, String)>, Status> {
    let items = items(namespace, snapshot, now())?;
    Ok(items.into_iter().map(|item| (item.metric_name, item.value)).collect())
}

#[test]
fn what_has_a_value_in_the_namespace_is_listed() {
    let snapshot = snapshot(&[
        ("a", "y.count", Some(1.5)),
        ("a", "x.count", Some(0.0)),
        ("a", "z.empty", None),
        ("b", "x.count", Some(3.0)),
    ]);
    let item = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let of_a = [item("x.count", "0"), item("y.count", "1500m")];
    assert_eq!(listed("a", &snapshot).unwrap(), of_a);
    assert_eq!(listed("b", &snapshot).unwrap(), [item("x.count", "3")]);
    assert_eq!(listed("none", &snapshot).unwrap(), []);
    // Their limit is 120 s.
    let later = now() + jiff::SignedDuration::from_secs(121);
    assert_eq!(items("a", &snapshot, later).unwrap(), []);
}

#[test]
fn before_the_demand_is_known_there_is_no_list() {
    assert_eq!(listed("a", &Snapshot::default()).unwrap_err().code(), 503);
}

#[test]
fn nobody_is_scaled_by_the_sum_of_all() {
    let snapshot =
        snapshot(&[("a", NAME, Some(1.0)), ("a", "x", Some(2.0)), ("b", "x", Some(2.0))]);
    let refusal = listed("a", &snapshot).unwrap_err();
    assert_eq!(refusal.code(), 422);
    insta::assert_snapshot!(refusal.message(), @"externalmetrics is the reserved name of the list of all metrics, which is no metric to scale by; ask for the metric by a DatadogMetric");
    assert_eq!(listed("b", &snapshot).unwrap().len(), 1);
}

async fn ask(query: &str, accept: &str) -> (u16, String) {
    let (_sender, store) = watch::channel(Arc::new(Snapshot::new(Arc::default(), &[])));
    let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/a/externalmetrics{query}");
    let request = Request::get(path).header("accept", accept).body(Body::empty()).unwrap();
    let response = routes(store).oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn an_empty_list_is_a_list() {
    let (code, body) = ask("?limit=500", "*/*").await;
    assert_eq!(code, 200);
    insta::assert_snapshot!(body, @r#"{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[]}"#);
}

#[tokio::test]
async fn what_would_not_be_the_list_is_refused() {
    let hpa = "application/vnd.kubernetes.protobuf, */*";
    let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    for (query, accept, expected) in [
        ("", kubectl, 200),
        ("?labelSelector=", kubectl, 200),
        ("?labelSelector=a%3Db", kubectl, 400),
        ("?labelSelector=a+b", kubectl, 400),
        ("?watch=true", kubectl, 405),
        ("", hpa, 422),
    ] {
        let (code, body) = ask(query, accept).await;
        assert_eq!(code, expected, "{query} {accept}: {body}");
    }
}
