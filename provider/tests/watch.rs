//! The watch of HPAs: a real client over a scripted kube-apiserver.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use kube::client::Body;
use provider::demand::{self, Demand};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower_test::mock::{self, Handle};

type Apiserver = Handle<Request<Body>, Response<Body>>;

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

fn list(items: &[Value]) -> Value {
    json!({
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscalerList",
        "metadata": {"resourceVersion": "1"},
        "items": items,
    })
}

/// Answers the next request, which must be a list or a watch of all namespaces.
async fn answer(apiserver: &mut Apiserver, is_watch: bool, code: u16, body: &Value) {
    let (request, respond) = apiserver.next_request().await.expect("the client asks again");
    assert_eq!(request.uri().path(), "/apis/autoscaling/v2/horizontalpodautoscalers");
    let query = request.uri().query().unwrap_or_default();
    assert_eq!(query.contains("watch=true"), is_watch, "{query}");
    let body = format!("{body}\n");
    respond.send_response(
        Response::builder().status(code).body(Body::from(body.into_bytes())).unwrap(),
    );
}

fn names(demand: &watch::Receiver<Option<Arc<Demand>>>) -> Vec<String> {
    let demand = demand.borrow().clone().expect("the demand was read");
    demand.iter().map(|(_, wanted)| wanted.name.clone()).collect()
}

async fn changed(demand: &mut watch::Receiver<Option<Arc<Demand>>>) -> Vec<String> {
    tokio::time::timeout(Duration::from_secs(3600), demand.changed()).await.unwrap().unwrap();
    demand.borrow_and_update();
    names(demand)
}

#[tokio::test(start_paused = true)]
async fn demand_follows_the_hpas_and_survives_an_apiserver_that_is_away() {
    let (service, mut apiserver) = mock::pair::<Request<Body>, Response<Body>>();
    let client = kube::Client::new(service, "default");
    let (sender, mut demand) = watch::channel(None);
    let stop = CancellationToken::new();
    let watching = tokio::spawn(demand::watch::run(client, sender, stop.clone()));

    // Refused at first: nothing is known, which is not the same as nothing wanted.
    let refusal = json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "horizontalpodautoscalers is forbidden"});
    answer(&mut apiserver, false, 403, &refusal).await;
    assert!(demand.borrow().is_none());

    answer(&mut apiserver, false, 200, &list(&[hpa("a", "Queue.Depth")])).await;
    assert_eq!(changed(&mut demand).await, ["Queue.Depth"]);

    let event = json!({"type": "MODIFIED", "object": hpa("a", "Queue.Age")});
    answer(&mut apiserver, true, 200, &event).await;
    assert_eq!(changed(&mut demand).await, ["Queue.Age"]);

    // The watch breaks; what was wanted stays wanted while it is taken up again.
    answer(&mut apiserver, true, 500, &json!({})).await;
    assert_eq!(names(&demand), ["Queue.Age"]);
    let event = json!({"type": "DELETED", "object": hpa("a", "Queue.Age")});
    answer(&mut apiserver, true, 200, &event).await;
    assert_eq!(changed(&mut demand).await, Vec::<String>::new());

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(60), watching).await.unwrap().unwrap();
}
