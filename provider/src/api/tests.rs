use axum::body::{Body, to_bytes};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    demand::MetricKey,
    sample::Sample,
    store::{Entry, Outcome},
    testing,
};

mod formats;

struct Fixture {
    router: Router,
    store: watch::Sender<Arc<Snapshot>>,
    stopping: CancellationToken,
}

fn fixture(snapshot: Snapshot) -> Fixture {
    let (store, receiver) = watch::channel(Arc::new(snapshot));
    let stopping = CancellationToken::new();
    let demand = receiver.clone();
    let readiness = Readiness::new(stopping.clone()).with("demand", move || {
        if demand.borrow().ready { Ok(()) } else { Err("HPAs not read yet".to_owned()) }
    });
    let config = Config { store: receiver };
    Fixture {
        router: router(Some(config), readiness, Arc::default(), Guard::default()),
        store,
        stopping,
    }
}

fn key(selector: &str) -> MetricKey {
    MetricKey {
        namespace: "default".into(),
        metric: "queue.depth".into(),
        selector: selector::parse(selector).unwrap(),
    }
}

fn wanted(selector: &str, sample: impl Into<Option<Sample>>) -> Snapshot {
    let sample = sample.into();
    let last = sample.map(|sample| (sample.at, Outcome::Sampled));
    let entry = Entry { sample, last, ..testing::entry("avg:Queue.Depth{*}.rollup(30)") };
    testing::snapshot(key(selector), "Queue.Depth", entry)
}

fn fresh(value: f64) -> Sample {
    Sample { value, at: Timestamp::now() }
}

async fn send(
    router: &Router,
    request: http::request::Builder,
) -> (http::response::Parts, Vec<u8>) {
    use tower::ServiceExt;
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

async fn request(router: &Router, method: &str, path: &str) -> (u16, String) {
    let (parts, body) = send(router, Request::builder().method(method).uri(path)).await;
    (parts.status.as_u16(), String::from_utf8(body).unwrap())
}

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue.depth";

#[tokio::test]
async fn a_value_has_the_fields_and_the_order_of_kubernetes() {
    let sample = fresh(1.5);
    let fixture = fixture(wanted("queue=a", sample));
    let (code, body) =
        request(&fixture.router, "GET", &format!("{PATH}?labelSelector=queue%3Da")).await;
    let time = sample.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(code, 200);
    insta::assert_snapshot!(body.replace(&time, "TIME"), @r#"{"kind":"ExternalMetricValueList","apiVersion":"external.metrics.k8s.io/v1beta1","metadata":{},"items":[{"metricName":"Queue.Depth","metricLabels":{"queue":"a"},"timestamp":"TIME","window":30,"value":"1500m"}]}"#);
}

#[tokio::test]
async fn the_name_is_matched_without_regard_to_case() {
    let fixture = fixture(wanted("", fresh(7.0)));
    let (code, _) =
        request(&fixture.router, "GET", &PATH.replace("queue.depth", "Queue.Depth")).await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn every_way_to_write_the_selector_finds_the_metric() {
    let fixture = fixture(wanted("a in (x,y),!b", fresh(7.0)));
    for selector in ["%21b%2Ca+in+%28y%2Cx%29", "a%20in%20(x,y),!b", "!b,+a+in+(x,+y)"] {
        let (code, body) =
            request(&fixture.router, "GET", &format!("{PATH}?labelSelector={selector}")).await;
        assert_eq!(code, 200, "{selector}: {body}");
    }
}

#[tokio::test]
async fn errors_are_status_objects() {
    let fixture = fixture(wanted("", fresh(7.0)));
    let (code, body) = request(&fixture.router, "GET", &format!("{PATH}?labelSelector=a+b")).await;
    assert_eq!(code, 400);
    insta::assert_snapshot!(body, @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt","reason":"BadRequest","code":400}"#);
    for (method, path, expected) in [
        ("GET", "/apis/external.metrics.k8s.io/v1beta1/queue.depth", 404),
        ("GET", "/apis/external.metrics.k8s.io/v1beta1/namespaces/default", 404),
        ("GET", "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/a/b", 404),
        ("GET", "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/other", 404),
        ("GET", "/openapi/v4", 404),
        ("DELETE", PATH, 405),
        ("POST", "/apis/external.metrics.k8s.io/v1beta1", 405),
        ("GET", &format!("{PATH}?watch=true"), 405),
    ] {
        let (code, body) = request(&fixture.router, method, path).await;
        assert_eq!(code, expected, "{method} {path}");
        let status: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (status["kind"].as_str(), status["code"].as_u64()),
            (Some("Status"), Some(expected.into()))
        );
    }
}

#[tokio::test]
async fn discovery_lists_one_fixed_resource() {
    let fixture = fixture(Snapshot::default());
    for path in ["/apis", "/apis/external.metrics.k8s.io", "/apis/external.metrics.k8s.io/v1beta1"]
    {
        let (code, body) = request(&fixture.router, "GET", path).await;
        assert_eq!(code, 200);
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        insta::assert_json_snapshot!(path.trim_matches('/').replace('/', "-"), json);
    }
}

#[tokio::test]
async fn the_reserved_name_lists_the_namespace() {
    let fixture = fixture(wanted("queue=a", fresh(1.5)));
    let list = PATH.replace("queue.depth", "externalmetrics");
    let (code, body) = request(&fixture.router, "GET", &list).await;
    let one = request(&fixture.router, "GET", &format!("{PATH}?labelSelector=queue%3Da")).await;
    assert_eq!((code, &body), (one.0, &one.1));
    assert_eq!((code, request(&fixture.router, "DELETE", &list).await.0), (200, 405));
    let (_, other) = request(&fixture.router, "GET", &list.replace("default", "other")).await;
    assert!(other.ends_with("\"items\":[]}\n"), "{other}");
    let all = "/apis/external.metrics.k8s.io/v1beta1/externalmetrics";
    assert_eq!(request(&fixture.router, "GET", all).await, one);
    let named = format!("{list}/Queue.Depth");
    assert_eq!(request(&fixture.router, "GET", &named).await, one);
    let (code, typo) = request(&fixture.router, "GET", &format!("{list}/typo")).await;
    assert_eq!(code, 404);
    let message =
        r#""externalmetrics.external.metrics.k8s.io \"typo\" not found, or it has no value""#;
    assert!(typo.contains(message), "{typo}");
}

#[tokio::test]
async fn openapi_is_mounted() {
    let fixture = fixture(Snapshot::default());
    let document = "/openapi/v3/apis/external.metrics.k8s.io/v1beta1";
    for path in ["/openapi/v2", "/openapi/v3", document] {
        assert_eq!(request(&fixture.router, "GET", path).await.0, 200, "{path}");
    }
    assert_eq!(request(&fixture.router, "GET", "/openapi/v3/apis/apps/v1").await.0, 404);
}

#[tokio::test]
async fn readiness_waits_for_the_demand_and_ends_with_shutdown() {
    let fixture = fixture(Snapshot::default());
    let (code, body) = request(&fixture.router, "GET", "/readyz").await;
    assert_eq!(code, 500);
    assert!(body.contains("[-]demand failed: reason withheld"), "{body}");
    assert_eq!(request(&fixture.router, "GET", "/livez").await, (200, "ok".into()));
    fixture.store.send_replace(Arc::new(Snapshot::new(Arc::default(), &[])));
    assert_eq!(request(&fixture.router, "GET", "/readyz").await, (200, "ok".into()));
    fixture.stopping.cancel();
    let (code, body) = request(&fixture.router, "GET", "/readyz").await;
    assert_eq!(code, 500);
    assert!(body.contains("[-]shutdown failed"), "{body}");
}

#[tokio::test]
async fn switched_off_there_is_health_but_no_api() {
    let readiness = Readiness::new(CancellationToken::new());
    let router = router(None, readiness, Arc::default(), Guard::default());
    assert_eq!(request(&router, "GET", "/readyz").await, (200, "ok".into()));
    assert_eq!(request(&router, "GET", PATH).await.0, 404);
    assert_eq!(request(&router, "GET", "/apis/external.metrics.k8s.io/v1beta1").await.0, 404);
}

#[tokio::test]
async fn metrics_count_requests_and_tell_valid_from_invalid() {
    let fixture = fixture(wanted("", fresh(7.0)));
    request(&fixture.router, "GET", PATH).await;
    request(&fixture.router, "GET", &PATH.replace("depth", "typo")).await;
    let (code, body) = request(&fixture.router, "GET", "/metrics").await;
    assert_eq!(code, 200);
    for line in [
        "external_metrics{valid=\"true\",join_leader=\"true\"} 1.0",
        "external_metrics{valid=\"false\",join_leader=\"true\"} 0.0",
        "external_metrics_replica{valid=\"true\"} 1",
        "external_metrics_api_requests_total{handler=\"get\",in_error=\"false\"} 1",
        "external_metrics_api_requests_total{handler=\"get\",in_error=\"true\"} 1",
        "apiserver_request_total{verb=\"LIST\",resource=\"metric\",code=\"404\"} 1",
        "metrics_apiserver_metric_freshness_seconds_count{group=\"external.metrics.k8s.io\"} 1",
    ] {
        assert!(body.contains(line), "{line}\n{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_the_first_answer_but_not_longer_than_a_second() {
    let fixture = fixture(wanted("", None));
    let started = tokio::time::Instant::now();
    let (code, body) = request(&fixture.router, "GET", PATH).await;
    assert_eq!(code, 404);
    assert!(body.contains("has not answered the first query"), "{body}");
    assert_eq!(started.elapsed().as_secs(), 1);

    let waiting = tokio::spawn({
        let router = fixture.router.clone();
        async move { request(&router, "GET", PATH).await.0 }
    });
    tokio::task::yield_now().await;
    fixture.store.send_replace(Arc::new(wanted("", fresh(7.0))));
    assert_eq!(waiting.await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn only_two_requests_wait_for_the_same_metric() {
    let fixture = fixture(wanted("", None));
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let router = fixture.router.clone();
        waiting.spawn(async move {
            let started = tokio::time::Instant::now();
            request(&router, "GET", PATH).await;
            started.elapsed().as_secs()
        });
    }
    let mut waited = waiting.join_all().await;
    waited.sort_unstable();
    assert_eq!(waited, [0, 1, 1]);
}
