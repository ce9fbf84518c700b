//! The harness's node check, the stand-in for Datadog's node agent, against the real port.

use std::time::Duration;

use axum::{Json, Router, routing::post};
use fake_datadog::node_check::{
    cluster_agent,
    round::{Checker, Config},
};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;

/// An nginx and an intake that hands on what it gets.
async fn datadog() -> (SocketAddr, mpsc::UnboundedReceiver<Value>) {
    let (sender, received) = mpsc::unbounded_channel();
    let intake = move |Json(body): Json<Value>| async move {
        sender.send(body).unwrap();
        Json(json!({}))
    };
    let page = async || {
        "Active connections: 6 \nserver accepts handled requests\n 7 7 7 \nReading: 0 Writing: 3 \
         Waiting: 3 \n"
    };
    let router = Router::new().route("/status", get(page)).route("/api/v1/series", post(intake));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, received)
}

fn pod(nginx: SocketAddr) -> Arc<Pod> {
    let instances = json!([{"nginx_status_url": format!("http://{nginx}/status")}]);
    let pod = json!({
        "metadata": {"name": "p1", "namespace": "default", "uid": "1", "annotations": {
            "ad.datadoghq.com/nginx.check_names": r#"["nginx"]"#,
            "ad.datadoghq.com/nginx.init_configs": "[{}]",
            "ad.datadoghq.com/nginx.instances": instances.to_string(),
        }},
        "spec": {"nodeName": "n1", "containers": [{"name": "nginx"}]},
        "status": {"phase": "Running", "podIP": "127.0.0.1"},
    });
    Arc::new(serde_json::from_value(pod).unwrap())
}

fn checker(datadog: SocketAddr, port: SocketAddr, token: &str) -> Checker {
    Checker::new(Config {
        datadog_url: format!("http://{datadog}").parse().unwrap(),
        api_key: "a key".into(),
        interval: Duration::from_millis(100),
        shared_status_url: None,
        cluster_agent: Some(cluster_agent::Config {
            url: format!("https://{port}").parse().unwrap(),
            token: token.into(),
        }),
    })
    .unwrap()
}

/// The `kube_service` tags of what a round submits.
async fn tags(
    checker: &mut Checker,
    nginx: SocketAddr,
    submitted: &mut mpsc::UnboundedReceiver<Value>,
) -> Vec<String> {
    let round = checker.round(&[pod(nginx)]).await;
    assert!(round.submitted.unwrap() > 0);
    // Whoever comes next finds that it is time.
    tokio::time::sleep(round.until_next).await;
    let body = submitted.recv().await.unwrap();
    let tags = body["series"][0]["tags"].as_array().unwrap().iter();
    let tags = tags.filter_map(|tag| tag.as_str().filter(|tag| tag.starts_with("kube_service:")));
    tags.map(str::to_owned).collect()
}

#[tokio::test]
async fn series_have_the_services_of_their_pod() {
    let port = Port::start().await;
    port.apply(cluster());
    let (datadog, mut submitted) = datadog().await;
    let mut checker = checker(datadog, port.address, TOKEN);
    let found = tags(&mut checker, datadog, &mut submitted).await;
    assert_eq!(found, ["kube_service:all", "kube_service:web"]);
    // The port is gone: what was known stays.
    port.running.abort();
    assert_eq!(tags(&mut checker, datadog, &mut submitted).await, found);
}

#[tokio::test]
async fn without_tags_series_are_sent_all_the_same() {
    let port = Port::start().await;
    let (datadog, mut submitted) = datadog().await;
    let nowhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let wrong = "f".repeat(32);
    // A wrong token, a map that is not read yet, nobody there; then it works without a restart.
    for (address, token) in [(port.address, wrong.as_str()), (nowhere, TOKEN)] {
        let mut checker = checker(datadog, address, token);
        assert_eq!(tags(&mut checker, datadog, &mut submitted).await, [""; 0]);
    }
    let mut checker = checker(datadog, port.address, TOKEN);
    assert_eq!(tags(&mut checker, datadog, &mut submitted).await, [""; 0]);
    port.apply(cluster());
    assert_eq!(tags(&mut checker, datadog, &mut submitted).await.len(), 2);
}
