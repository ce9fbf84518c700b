//! A kube-apiserver that answers from a table, and refuses everything else.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
};

use axum::http::{Request as HttpRequest, Response};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;
use crate::{
    cli::paint::Paint,
    explain::{Link, Mark, explain, text},
};

/// By method and path, without the query.
type Table = HashMap<String, (u16, Value)>;

fn client(table: Table) -> Client {
    let table = Arc::new(table);
    let service = tower::service_fn(move |request: HttpRequest<Body>| {
        let key = format!("{} {}", request.method(), request.uri().path());
        let answer = table.get(&key).cloned();
        let refusal = || {
            let message = format!("{key} is forbidden");
            (
                403,
                json!({"kind": "Status", "status": "Failure", "code": 403, "reason": "Forbidden", "message": message}),
            )
        };
        let (code, body) = answer.unwrap_or_else(refusal);
        let body = Body::from(body.to_string().into_bytes());
        let response = Response::builder().status(code).body(body).unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    Client::new(service, "default")
}

fn request(name: &str) -> Request {
    Request { namespace: "default".into(), name: name.into(), provider: None }
}

fn silent(_: &str) -> Ready<Found<View>> {
    ready(Found::Unknown("not known: nobody answers at port 5005".into()))
}

const HPAS: &str = "GET /apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const METRIC: &str =
    "GET /apis/external.metrics.k8s.io/v1beta1/namespaces/default/nginx.net.request_per_s";

fn hpa() -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"namespace": "default", "name": "nginxext", "managedFields": [{"manager": "kubectl"}],
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}},
        "spec": {"minReplicas": 1, "maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nginx"},
            "metrics": [{"type": "External", "external": {
                "metric": {"name": "nginx.net.request_per_s"},
                "target": {"type": "AverageValue", "averageValue": "9"}}}]},
        "status": {"currentReplicas": 1, "desiredReplicas": 3},
    })
}

fn list(items: &Value) -> Value {
    json!({"metadata": {}, "items": items})
}

fn only_the_hpa() -> Table {
    Table::from([(format!("{HPAS}/nginxext"), (200, hpa()))])
}

#[tokio::test]
async fn an_hpa_that_is_not_there_or_not_readable_cannot_be_explained() {
    let missing = json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"});
    let table = Table::from([(format!("{HPAS}/nginx"), (404, missing))]);
    let error = gather(&client(table), request("nginx"), silent).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no HPA default/nginx, see `kubectl get hpa -A`");
    let error = gather(&client(Table::new()), request("nginx"), silent).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "HPA default/nginx cannot be read: not known: it takes the right to get \
         horizontalpodautoscalers.autoscaling"
    );
}

#[tokio::test]
async fn a_refusal_names_the_right_and_ends_nothing() {
    let facts = gather(&client(only_the_hpa()), request("nginxext"), silent).await.unwrap();
    assert!(facts.hpa.metadata.managed_fields.is_none());
    assert_eq!(facts.hpa.metadata.annotations, Some(BTreeMap::new()));
    let explanation = explain(&facts);
    assert!(explanation.works);
    let unknown = explanation.steps.iter().filter(|step| step.mark == Mark::Unknown).count();
    assert_eq!(unknown, explanation.steps.len() - 2, "all but the HPA and its metric");
    insta::assert_snapshot!(text(&explanation, Paint::Plain));
}

#[tokio::test]
async fn what_is_there_is_found() {
    let mut table = only_the_hpa();
    let mut other = hpa();
    other["metadata"]["name"] = json!("rival");
    other["spec"]["scaleTargetRef"]["name"] = json!("other");
    table.insert(HPAS.into(), (200, list(&json!([hpa(), other]))));
    let scale = json!({"metadata": {"name": "nginx"}, "spec": {"replicas": 1},
        "status": {"replicas": 1, "selector": "app=nginx"}});
    table.insert(
        "GET /apis/apps/v1/namespaces/default/deployments/nginx/scale".into(),
        (200, scale),
    );
    let running = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
    let pod = json!({"metadata": {"name": "it", "labels": {"app": "it"}}, "status": running,
        "spec": {"serviceAccountName": "dca", "containers": [{"name": "it", "env": [
            {"name": "DD_EXTERNAL_METRICS_PROVIDER_ENABLED", "value": "false"},
            {"name": "DD_API_KEY", "value": "canary"}]}]}});
    table.insert("GET /api/v1/namespaces/default/pods".into(), (200, list(&json!([pod]))));
    let review = json!({"spec": {}, "status": {"allowed": false}});
    table.insert("POST /apis/authorization.k8s.io/v1/subjectaccessreviews".into(), (201, review));
    table.insert(
        METRIC.into(),
        (404, json!({"kind": "Status", "code": 404, "message": "Returned series slice empty: it"})),
    );
    let facts = gather(&client(table), request("nginxext"), silent).await.unwrap();
    assert_eq!(facts.rivals, Found::Is(vec![]));
    let scale = crate::explain::facts::Scale { wanted: 1, there: 1, ready: Some(1) };
    assert_eq!(facts.scale, Found::Is(scale));
    let answer = facts.answers[0].get().unwrap();
    assert_eq!((answer.code, answer.message.as_str()), (404, "Returned series slice empty: it"));
    assert!(facts.rights.iter().all(|right| right.allowed == Found::Missing));
    assert_eq!(
        facts.rights[0].what,
        "list nginx.net.request_per_s.external.metrics.k8s.io in namespace default"
    );
    assert!(!serde_json::to_string(&facts).unwrap().contains("canary"));
    let explanation = explain(&facts);
    let broken: Vec<_> = explanation
        .steps
        .iter()
        .filter(|step| step.mark == Mark::Broken)
        .map(|step| step.link)
        .collect();
    assert_eq!(broken, [Link::Provider, Link::ControllerRights, Link::ProviderRights]);
}

#[tokio::test]
async fn an_answer_in_plain_text_is_kept_as_it_is() {
    let mut table = only_the_hpa();
    table.insert(METRIC.into(), (503, json!("service unavailable")));
    let facts = gather(&client(table), request("nginxext"), silent).await.unwrap();
    let answer = facts.answers[0].get().unwrap();
    assert_eq!((answer.code, answer.message.as_str()), (503, "\"service unavailable\""));
}
