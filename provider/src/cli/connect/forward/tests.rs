use axum::{Json, Router, body::Body, http::StatusCode, response::IntoResponse, routing::get};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

/// A cluster that answers `answers` by path, and 404 to all else.
fn cluster(answers: &[(&str, Value)]) -> Cluster {
    let router = answers.iter().fold(Router::new(), |router, (path, answer)| {
        let answer = answer.clone();
        let code = answer["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let code = code.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
        router.route(path, get(async move || (code, Json(answer)).into_response()))
    });
    let missing = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "not found", "reason": "NotFound", "code": 404});
    let router = router.fallback(async move || (StatusCode::NOT_FOUND, Json(missing)));
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        router.clone().oneshot(request.map(Body::new))
    });
    Cluster { kube: Client::new(service, "default"), namespace: "default".to_owned() }
}

fn args() -> Connect {
    use clap::Parser;
    let line = ["datadog-cluster-agent", "status", "-n", "default"];
    let command = crate::args::Args::try_parse_from(line).unwrap().command;
    let crate::args::Command::Status(ask) = command else { panic!("not status") };
    ask.connect
}

fn pod(name: &str, ready: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": ready}]}})
}

const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/default/leases/datadog-leader-election";
const SERVICE: &str = "/api/v1/namespaces/default/services/datadog-cluster-agent";
const PODS: &str = "/api/v1/namespaces/default/pods";

fn lease() -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "datadog-leader-election"}, "spec": {"holderIdentity": "dca-1"}})
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "datadog-cluster-agent"},
        "spec": {"selector": {"app": "datadog-cluster-agent"}}})
}

#[tokio::test]
async fn the_leader_is_preferred_as_long_as_it_is_ready() {
    let list = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {},
        "items": [pod("dca-1", "False"), pod("dca-2", "True")]});
    for (ready, found) in [("True", "dca-1"), ("False", "dca-2")] {
        let leader = format!("{PODS}/dca-1");
        let cluster = cluster(&[
            (LEASE, lease()),
            (&leader, pod("dca-1", ready)),
            (SERVICE, service()),
            (PODS, list.clone()),
        ]);
        assert_eq!(find(&args(), &cluster).await.unwrap(), found);
    }
}

#[tokio::test]
async fn no_pod_and_no_right_are_said() {
    let error = find(&args(), &cluster(&[])).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"no agent's pod found in namespace default: neither Lease datadog-leader-election names one nor has Service datadog-cluster-agent a ready one; give --pod, or the right -n");
    let forbidden = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "no", "reason": "Forbidden", "code": 403});
    let error = find(&args(), &cluster(&[(SERVICE, forbidden)])).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @"kube-apiserver does not let you read Service datadog-cluster-agent (get services) in namespace default: ask for that right, or use kubectl exec");
}
