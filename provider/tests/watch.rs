//! The watches of autoscalers and `DatadogMetric`s: a real client over a scripted kube-apiserver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use kube::client::Body;
use provider::{
    api::selector,
    demand::{
        Demand, Source,
        watch::{self as demand_watch, Config},
    },
    query::{Aggregator, Defaults, template},
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_test::mock::{self, SendResponse};

const HPAS: &str = "/apis/autoscaling/v2/horizontalpodautoscalers";
const WPAS: &str = "/apis/datadoghq.com/v1alpha1/watermarkpodautoscalers";
const DATADOG_METRICS: &str = "/apis/datadoghq.com/v1alpha1/datadogmetrics";

/// Answers each request with the next answer that is meant for it; one without an answer waits for
/// it, as a watch does in which nothing happens.
#[derive(Clone, Default)]
struct Apiserver(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Paths with whether it is a watch, code and body.
    answers: VecDeque<(&'static str, bool, u16, Value)>,
    waiting: Vec<(Request<Body>, SendResponse<Response<Body>>)>,
    /// Paths and queries.
    seen: Vec<(String, String)>,
}

impl Apiserver {
    fn start() -> (Self, kube::Client) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let this = Self::default();
        let apiserver = this.clone();
        tokio::spawn(async move {
            while let Some((request, respond)) = handle.next_request().await {
                let query = request.uri().query().unwrap_or_default().to_owned();
                let mut state = apiserver.0.lock().unwrap();
                state.seen.push((request.uri().path().to_owned(), query));
                state.waiting.push((request, respond));
                state.settle();
            }
        });
        (this, kube::Client::new(service, "default"))
    }

    fn answer(&self, path: &'static str, is_watch: bool, code: u16, body: Value) {
        let mut state = self.0.lock().unwrap();
        state.answers.push_back((path, is_watch, code, body));
        state.settle();
    }

    /// As kube-apiserver does for a kind that it does not know: without a Status.
    fn unknown(&self, path: &'static str) {
        self.answer(path, false, 404, "404 page not found".into());
    }

    fn list(&self, path: &'static str, items: &[Value]) {
        let body = json!({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items});
        self.answer(path, false, 200, body);
    }

    fn event(&self, path: &'static str, kind: &str, object: &Value) {
        self.answer(path, true, 200, json!({"type": kind, "object": object}));
    }

    fn refuse(&self, path: &'static str, code: u16, reason: &str) {
        let body = json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code,
            "message": format!("{path}: {reason}")});
        self.answer(path, false, code, body);
    }

    /// The queries of all requests to a path so far.
    fn queries(&self, path: &str) -> Vec<String> {
        let state = self.0.lock().unwrap();
        state.seen.iter().filter(|(it, _)| it == path).map(|(_, query)| query.clone()).collect()
    }
}

impl State {
    fn settle(&mut self) {
        let State { answers, waiting, .. } = self;
        let mut rest = Vec::new();
        for (request, respond) in waiting.drain(..) {
            let query = request.uri().query().unwrap_or_default();
            let is_watch = query.contains("watch=true");
            let found = answers
                .iter()
                .position(|(path, watch, ..)| *path == request.uri().path() && *watch == is_watch);
            match found.and_then(|position| answers.remove(position)) {
                Some((_, _, code, body)) => {
                    let body = match body {
                        Value::String(text) => format!("{text}\n"),
                        body => format!("{body}\n"),
                    };
                    let body = Body::from(body.into_bytes());
                    respond.send_response(Response::builder().status(code).body(body).unwrap());
                }
                None => rest.push((request, respond)),
            }
        }
        *waiting = rest;
    }
}

fn hpa(name: &str, metric: &str) -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": "default", "name": name, "resourceVersion": "2"},
        "spec": {
            "maxReplicas": 5,
            "scaleTargetRef": {"kind": "Deployment", "name": "nginx"},
            "metrics": [{"type": "External", "external": {
                "metric": {"name": metric}, "target": {"type": "Value"}}}],
        },
    })
}

fn wpa(name: &str, metric: &str) -> Value {
    json!({
        "apiVersion": "datadoghq.com/v1alpha1",
        "kind": "WatermarkPodAutoscaler",
        "metadata": {"namespace": "default", "name": name, "resourceVersion": "2"},
        "spec": {"metrics": [{"type": "External", "external": {"metricName": metric}}]},
    })
}

fn datadog_metric(name: &str, query: &str) -> Value {
    json!({
        "apiVersion": "datadoghq.com/v1alpha1",
        "kind": "DatadogMetric",
        "metadata": {"namespace": "web", "name": name, "resourceVersion": "2"},
        "spec": {"query": query},
    })
}

struct Watching {
    demand: watch::Receiver<Option<Arc<Demand>>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Watching {
    fn start(client: kube::Client, labels: &str, is_datadog: bool) -> Self {
        let (sender, demand) = watch::channel(None);
        let stop = CancellationToken::new();
        let config = Config {
            autoscalers: selector::parse(labels).unwrap(),
            datadog_metrics: is_datadog,
            wpas: is_datadog,
            templates: template::Values::default(),
            defaults: Defaults {
                aggregator: Aggregator::Sum,
                rollup: Duration::from_secs(30),
                max_age: Duration::from_secs(120),
                window: Duration::from_secs(300),
                max_window: Duration::from_secs(86_400),
            },
        };
        let task = tokio::spawn(demand_watch::run(client, config, sender, stop.clone()));
        Self { demand, stop, task }
    }

    /// Each metric with the query that its object gives, or why there is none.
    fn metrics(&self) -> Option<Vec<String>> {
        let demand = self.demand.borrow().clone()?;
        let say = |wanted: &provider::demand::Wanted| match &wanted.source {
            Source::Selector => wanted.name.clone(),
            Source::DatadogMetric(Ok(raw)) => raw.query.to_string(),
            Source::DatadogMetric(Err(error)) => error.to_string(),
        };
        Some(demand.iter().map(|(_, wanted)| say(wanted)).collect())
    }

    async fn until(&mut self, expected: &[&str]) {
        let waited = tokio::time::timeout(Duration::from_secs(3600), async {
            while self.metrics().as_deref().is_none_or(|metrics| metrics != expected) {
                self.demand.changed().await.unwrap();
            }
        });
        assert!(waited.await.is_ok(), "{:?} is not {expected:?}", self.metrics());
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn demand_follows_the_hpas_and_survives_an_apiserver_that_is_away() {
    let (apiserver, client) = Apiserver::start();
    let mut watching = Watching::start(client, "", false);
    // Refused at first: nothing is known, which is not the same as nothing wanted.
    apiserver.refuse(HPAS, 403, "Forbidden");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(watching.metrics().is_none());

    apiserver.list(HPAS, &[hpa("a", "Queue.Depth")]);
    watching.until(&["Queue.Depth"]).await;
    apiserver.event(HPAS, "MODIFIED", &hpa("a", "Queue.Age"));
    watching.until(&["Queue.Age"]).await;

    // The watch breaks; what was wanted stays wanted while it is taken up again.
    apiserver.answer(HPAS, true, 500, json!({}));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(watching.metrics().unwrap(), ["Queue.Age"]);
    apiserver.event(HPAS, "DELETED", &hpa("a", "Queue.Age"));
    watching.until(&[]).await;
    watching.end().await;
}

#[tokio::test(start_paused = true)]
async fn demand_waits_for_the_first_list_of_every_kind_and_follows_them_all() {
    let (apiserver, client) = Apiserver::start();
    let mut watching = Watching::start(client, "", true);
    apiserver.list(HPAS, &[hpa("a", "datadogmetric@web:Requests")]);
    apiserver.list(WPAS, &[wpa("b", "depth")]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(watching.metrics().is_none(), "the DatadogMetrics are not known yet");

    apiserver.list(DATADOG_METRICS, &[datadog_metric("requests", "sum:m{*}")]);
    watching.until(&["depth", "sum:m{*}"]).await;
    apiserver.event(DATADOG_METRICS, "MODIFIED", &datadog_metric("requests", "sum:n{*}"));
    watching.until(&["depth", "sum:n{*}"]).await;
    apiserver.event(DATADOG_METRICS, "DELETED", &datadog_metric("requests", "sum:n{*}"));
    watching.until(&["depth", "there is no DatadogMetric web/requests"]).await;
    apiserver.event(WPAS, "DELETED", &wpa("b", "depth"));
    watching.until(&["there is no DatadogMetric web/requests"]).await;
    watching.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_crd_holds_nothing_up_and_is_found_when_it_is_installed() {
    let (apiserver, client) = Apiserver::start();
    for _ in 0..20 {
        apiserver.unknown(WPAS);
        apiserver.unknown(DATADOG_METRICS);
    }
    let mut watching = Watching::start(client, "", true);
    apiserver.list(HPAS, &[hpa("a", "depth"), hpa("b", "datadogmetric@web:requests")]);
    watching
        .until(&[
            "depth",
            "DatadogMetric web/requests cannot be read: the cluster has no DatadogMetrics, install \
             manifests/datadogmetric-crd.yaml",
        ])
        .await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let asked = apiserver.queries(DATADOG_METRICS).len();
    assert!((5..15).contains(&asked), "{asked} lists in two minutes");

    apiserver.event(HPAS, "MODIFIED", &hpa("a", "age"));
    watching.until(&["age", &watching.metrics().unwrap()[1]]).await;
    apiserver.list(DATADOG_METRICS, &[datadog_metric("requests", "sum:m{*}")]);
    watching.until(&["age", "sum:m{*}"]).await;
    watching.end().await;
}

#[tokio::test(start_paused = true)]
async fn missing_rights_are_said_where_they_matter() {
    let (apiserver, client) = Apiserver::start();
    apiserver.refuse(DATADOG_METRICS, 403, "Forbidden");
    apiserver.list(WPAS, &[]);
    let mut watching = Watching::start(client, "", true);
    apiserver.list(HPAS, &[hpa("a", "datadogmetric@web:requests")]);
    watching
        .until(&["DatadogMetric web/requests cannot be read: \
                 /apis/datadoghq.com/v1alpha1/datadogmetrics: Forbidden (HTTP 403): give the \
                 provider's ClusterRole list and watch, as \
                 manifests/cluster-agent/rbac-cluster-agent.yaml does"])
        .await;
    watching.end().await;
}

#[tokio::test(start_paused = true)]
async fn one_object_that_cannot_be_read_does_not_hide_the_others() {
    let (apiserver, client) = Apiserver::start();
    let mut watching = Watching::start(client, "", true);
    let mut bad = datadog_metric("bad", "sum:m{*}");
    bad["spec"]["query"] = json!(["no", "text"]);
    bad["status"] = json!({"conditions": "none"});
    let mut bad_wpa = wpa("bad", "m");
    bad_wpa["spec"]["metrics"][0]["external"]["metricName"] = json!(7);
    apiserver.list(HPAS, &[hpa("a", "datadogmetric@web:bad"), hpa("b", "datadogmetric@web:good")]);
    apiserver.list(WPAS, &[bad_wpa, wpa("good", "depth")]);
    apiserver.list(DATADOG_METRICS, &[bad, datadog_metric("good", "sum:n{*}")]);
    watching
        .until(&[
            "depth",
            "DatadogMetric web/bad: its spec cannot be read: invalid type: sequence, expected a \
             string",
            "sum:n{*}",
        ])
        .await;
    watching.end().await;
}

#[tokio::test(start_paused = true)]
async fn only_autoscalers_are_selected_by_their_labels() {
    let (apiserver, client) = Apiserver::start();
    let mut watching = Watching::start(client, "team=web,!keda", true);
    for path in [HPAS, WPAS, DATADOG_METRICS] {
        apiserver.list(path, &[]);
    }
    watching.until(&[]).await;
    for path in [HPAS, WPAS] {
        for query in apiserver.queries(path) {
            assert!(query.contains("labelSelector=%21keda%2Cteam%3Dweb"), "{path} {query}");
        }
    }
    assert!(apiserver.queries(DATADOG_METRICS).iter().all(|it| !it.contains("labelSelector")));
    watching.end().await;
}

/// What [`demand_watch::check`] says about a cluster with these versions of `autoscaling`.
async fn checked(versions: &[&str]) -> Result<(), String> {
    let (apiserver, client) = Apiserver::start();
    let versions: Vec<_> = versions
        .iter()
        .map(
            |version| json!({"groupVersion": format!("autoscaling/{version}"), "version": version}),
        )
        .collect();
    let group = json!({"name": "autoscaling", "versions": versions});
    apiserver.answer("/apis", false, 200, json!({"kind": "APIGroupList", "groups": [group]}));
    demand_watch::check(&client).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_cluster_that_is_too_old_is_told_at_start() {
    assert_eq!(checked(&["v2", "v1"]).await, Ok(()));
    assert_eq!(
        checked(&["v1", "v2beta2"]).await.unwrap_err(),
        "the cluster has no autoscaling/v2, only autoscaling/v1, autoscaling/v2beta2: the provider \
         needs Kubernetes 1.23 or newer"
    );
    let (apiserver, client) = Apiserver::start();
    apiserver.refuse("/apis", 503, "ServiceUnavailable");
    assert!(demand_watch::check(&client).await.is_ok(), "it may be away for a moment only");
}
