//! What kube-apiserver sees of the provider's writes: a real client over a scripted apiserver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use jiff::Timestamp;
use kube::client::Body;
use provider::{
    demand::{Autoscaler, Builder, DatadogMetricUse, Demand, Kind, MetricKey, ObjectName, Source},
    query::{Ask, Overrides, Query},
    sample::Sample,
    selector::Selector,
    store::{Entry, Outcome, Snapshot},
    write::{self, Config},
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tower_test::mock::{self, Handle};

/// A provider that writes, and the kube-apiserver that it writes to.
struct World {
    apiserver: Handle<Request<Body>, Response<Body>>,
    store: watch::Sender<Arc<Snapshot>>,
    stop: CancellationToken,
    writing: JoinHandle<()>,
}

/// One request as kube-apiserver sees it.
struct Seen {
    line: String,
    content_type: String,
    body: Value,
}

impl World {
    fn start(snapshot: Snapshot, autogen: bool) -> Self {
        let (service, apiserver) = mock::pair::<Request<Body>, Response<Body>>();
        let (store, receiver) = watch::channel(Arc::new(snapshot));
        let config = Config {
            namespace: "datadog".into(),
            pod_name: "dca-0".into(),
            datadog_metrics: true,
            autogen,
        };
        let stop = CancellationToken::new();
        let client = kube::Client::new(service, "datadog");
        let writing = tokio::spawn(write::run(client, config, receiver, stop.clone()));
        Self { apiserver, store, stop, writing }
    }

    async fn answer(&mut self, code: u16, body: &Value) -> Seen {
        let (request, respond) = self.apiserver.next_request().await.expect("a request");
        let line = format!("{} {}", request.method(), request.uri());
        let content_type = request.headers().get("content-type");
        let content_type =
            content_type.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let sent = request.into_body().collect_bytes().await.unwrap();
        let response = Body::from(body.to_string().into_bytes());
        respond.send_response(Response::builder().status(code).body(response).unwrap());
        Seen { line, content_type, body: serde_json::from_slice(&sent).unwrap_or_default() }
    }

    async fn refuse(&mut self, code: u16) -> Seen {
        let message = format!("refused with {code}");
        let status = json!({"kind": "Status", "status": "Failure", "code": code,
            "reason": "Refused", "message": message});
        self.answer(code, &status).await
    }

    /// Nothing is written in an hour of tokio's time.
    async fn rests(&mut self) {
        let next = tokio::time::timeout(Duration::from_secs(3600), self.apiserver.next_request());
        if let Ok(Some((request, _))) = next.await {
            panic!("unexpected: {} {}", request.method(), request.uri());
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(60), self.writing).await.unwrap().unwrap();
    }
}

fn hpa(name: &str) -> Autoscaler {
    let (kind, namespace, uid) = (Kind::Hpa, "default".into(), format!("uid-of-{name}"));
    Autoscaler { kind, namespace, name: name.into(), uid, created: None }
}

fn key(metric: &str) -> MetricKey {
    MetricKey::new("default", metric, Selector::default())
}

fn query(metric: &str) -> String {
    format!("avg:{metric}{{*}}.rollup(30)")
}

/// Demand for metrics by selector, all wanted by one HPA.
fn demand(metrics: &[&str]) -> Demand {
    let mut demand = Builder::default();
    for metric in metrics {
        let name = (*metric).to_owned();
        demand.add(key(metric), name, Source::Selector, Overrides::default(), hpa("nginxext"));
    }
    demand.build()
}

fn snapshot(demand: Demand, outcome: &Outcome) -> Snapshot {
    let entries = demand.iter().map(|(key, _)| {
        let now = Timestamp::now();
        let window = Duration::from_secs(300);
        Arc::new(Entry {
            ask: Ok(Ask { window, query: Query::new(query(&key.metric)) }),
            rollup: Some(Duration::from_secs(30)),
            age_limit: Duration::from_secs(7200),
            fallback: None,
            since: now,
            sample: outcome.is_sample().then_some(Sample { value: 26.5, at: now }),
            last: Some((now, outcome.clone())),
            last_error: None,
        })
    });
    let entries: Vec<_> = entries.collect();
    Snapshot::new(Arc::new(demand), &entries)
}

fn created() -> Value {
    json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "any"},
        "eventTime": null})
}

const EVENTS: &str = "POST /apis/events.k8s.io/v1/namespaces/default/events?";

#[tokio::test(start_paused = true)]
async fn an_event_says_what_the_api_says_and_another_that_it_is_well_again() {
    let mut world = World::start(snapshot(demand(&["m"]), &Outcome::NoSeries), false);
    let mut seen = world.answer(201, &created()).await;
    assert_eq!(seen.line, EVENTS);
    seen.body["eventTime"] = json!("now");
    let name = seen.body["metadata"]["name"].take();
    assert!(name.as_str().unwrap().starts_with("nginxext."), "{name}");
    insta::assert_json_snapshot!(seen.body, @r#"
    {
      "action": "ServeExternalMetric",
      "apiVersion": "events.k8s.io/v1",
      "eventTime": "now",
      "kind": "Event",
      "metadata": {
        "name": null,
        "namespace": "default"
      },
      "note": "Returned series slice empty: Datadog has no series for avg:m{*}.rollup(30) in the last 300s, check the metric's name and tags",
      "reason": "NoSeries",
      "regarding": {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "name": "nginxext",
        "namespace": "default",
        "uid": "uid-of-nginxext"
      },
      "reportingController": "datadog-cluster-agent",
      "reportingInstance": "dca-0",
      "type": "Warning"
    }
    "#);
    world.rests().await;

    world.store.send_replace(Arc::new(snapshot(demand(&["m"]), &Outcome::Sampled)));
    let seen = world.answer(201, &created()).await;
    assert_eq!(seen.body["reason"], "MetricAvailable");
    assert_eq!(seen.body["type"], "Normal");
    world.rests().await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn events_about_two_metrics_of_one_hpa_stand_apart_and_are_paced() {
    let metrics = ["a", "b", "c"];
    let mut world = World::start(snapshot(demand(&metrics), &Outcome::NoSeries), false);
    let start = tokio::time::Instant::now();
    for metric in metrics {
        let seen = world.answer(201, &created()).await;
        assert!(seen.body["note"].as_str().unwrap().contains(&query(metric)), "{}", seen.body);
    }
    assert!(start.elapsed() >= Duration::from_millis(400), "at most five a second");
    world.rests().await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_apiserver_is_away_nothing_piles_up() {
    let mut world = World::start(snapshot(demand(&["a", "b"]), &Outcome::NoSeries), false);
    for _ in 0..5 {
        world.refuse(503).await;
    }
    world.store.send_replace(Arc::new(snapshot(demand(&["a", "b"]), &Outcome::Sampled)));
    world.rests().await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_stops_only_the_event_that_it_concerns() {
    let mut world = World::start(snapshot(demand(&["a", "b"]), &Outcome::NoSeries), false);
    world.refuse(403).await;
    let seen = world.answer(201, &created()).await;
    assert!(seen.body["note"].as_str().unwrap().contains("avg:b{*}"));
    world.rests().await;
    world.stop().await;
}

/// A `DatadogMetric` of a user that an HPA refers to.
fn referenced() -> Demand {
    let mut demand = demand(&["m"]);
    let name = ObjectName { namespace: "default".into(), name: "requests".into() };
    let use_ = DatadogMetricUse {
        uid: "uid".into(),
        key: key("m"),
        external_metric_name: None,
        active: true,
        referenced_by: vec![hpa("nginxext")],
    };
    demand.datadog_metrics.insert(name, use_);
    demand
}

fn object(status: &Value) -> Value {
    json!({"apiVersion": "datadoghq.com/v1alpha1", "kind": "DatadogMetric",
        "metadata": {"name": "requests", "namespace": "default"},
        "spec": {"query": "avg:m{*}"}, "status": status})
}

const STATUS: &str =
    "/apis/datadoghq.com/v1alpha1/namespaces/default/datadogmetrics/requests/status";

#[tokio::test(start_paused = true)]
async fn a_status_is_read_once_and_written_when_something_changed() {
    let mut world = World::start(snapshot(referenced(), &Outcome::Sampled), false);
    let long_ago = "2020-01-01T00:00:00Z";
    let before = json!({"currentValue": "1", "conditions": [
        {"type": "Active", "status": "True", "lastTransitionTime": long_ago}]});
    let seen = world.answer(200, &object(&before)).await;
    assert_eq!(seen.line, format!("GET {STATUS}"));

    let mut seen = world.answer(200, &object(&json!(null))).await;
    let params = "?&force=true&fieldManager=datadog-cluster-agent";
    assert_eq!(seen.line, format!("PATCH {STATUS}{params}"));
    assert_eq!(seen.content_type, "application/apply-patch+yaml");
    for condition in seen.body["status"]["conditions"].as_array_mut().unwrap() {
        for time in ["lastTransitionTime", "lastUpdateTime"] {
            if condition[time] != long_ago {
                condition[time] = json!("now");
            }
        }
    }
    insta::assert_json_snapshot!(seen.body, @r#"
    {
      "apiVersion": "datadoghq.com/v1alpha1",
      "kind": "DatadogMetric",
      "metadata": {
        "name": "requests",
        "namespace": "default"
      },
      "status": {
        "autoscalerReferences": "hpa:default/nginxext",
        "conditions": [
          {
            "lastTransitionTime": "2020-01-01T00:00:00Z",
            "lastUpdateTime": "now",
            "status": "True",
            "type": "Active"
          },
          {
            "lastTransitionTime": "now",
            "lastUpdateTime": "now",
            "status": "True",
            "type": "Valid"
          },
          {
            "lastTransitionTime": "now",
            "lastUpdateTime": "now",
            "status": "True",
            "type": "Updated"
          },
          {
            "lastTransitionTime": "now",
            "lastUpdateTime": "now",
            "status": "False",
            "type": "Error"
          }
        ],
        "currentValue": "26.5"
      }
    }
    "#);

    world.store.send_replace(Arc::new(snapshot(referenced(), &Outcome::Sampled)));
    world.rests().await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_gone_is_asked_for_only_now_and_then() {
    let mut world = World::start(snapshot(referenced(), &Outcome::Sampled), false);
    let seen = world.refuse(404).await;
    assert_eq!(seen.line, format!("GET {STATUS}"));
    world.rests().await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_is_made_for_a_query_that_comes_from_a_selector() {
    let metric = "nginx.net.request_per_s";
    let mut world = World::start(snapshot(demand(&[metric]), &Outcome::Sampled), true);
    let seen = world.answer(201, &object(&json!(null))).await;
    let name = "dcaautogen-32402d8dfc05cf540928a606d78ed68c0607f7";
    let path = format!("/apis/datadoghq.com/v1alpha1/namespaces/datadog/datadogmetrics/{name}");
    let params = "?&force=true&fieldManager=datadog-cluster-agent";
    assert_eq!(seen.line, format!("PATCH {path}{params}"));
    insta::assert_json_snapshot!(seen.body, @r#"
    {
      "apiVersion": "datadoghq.com/v1alpha1",
      "kind": "DatadogMetric",
      "metadata": {
        "name": "dcaautogen-32402d8dfc05cf540928a606d78ed68c0607f7"
      },
      "spec": {
        "externalMetricName": "nginx.net.request_per_s",
        "query": "avg:nginx.net.request_per_s{*}.rollup(30)"
      }
    }
    "#);
    world.rests().await;
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_of_an_object_of_our_own_is_that_of_the_metric_of_its_query() {
    let metric = "nginx.net.request_per_s";
    let name = "dcaautogen-32402d8dfc05cf540928a606d78ed68c0607f7";
    let mut demand = demand(&[metric]);
    let use_ = DatadogMetricUse {
        uid: "uid".into(),
        key: MetricKey::new("datadog", name, Selector::default()),
        external_metric_name: Some(metric.into()),
        active: false,
        referenced_by: vec![],
    };
    let object_name = ObjectName { namespace: "datadog".into(), name: name.into() };
    demand.datadog_metrics.insert(object_name, use_);
    let mut world = World::start(snapshot(demand, &Outcome::Sampled), true);
    let path = format!("/apis/datadoghq.com/v1alpha1/namespaces/datadog/datadogmetrics/{name}");
    assert_eq!(world.answer(200, &object(&json!(null))).await.line, format!("GET {path}/status"));
    let seen = world.answer(200, &object(&json!(null))).await;
    assert!(seen.line.starts_with(&format!("PATCH {path}/status?")), "{}", seen.line);
    assert_eq!(seen.body["status"]["currentValue"], "26.5");
    assert_eq!(seen.body["status"]["autoscalerReferences"], "hpa:default/nginxext");
    assert_eq!(seen.body["status"]["conditions"][0]["status"], "True", "active");
    world.rests().await;
    world.stop().await;
}
