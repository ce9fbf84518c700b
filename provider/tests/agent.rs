//! Port 5005 as node agents, replicas and strangers see it: real sockets, a real server, a real
//! client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{Router, routing::get};
use prometheus_client::{encoding::text, registry::Registry};
use provider::{
    agent::{
        self, Parts,
        auth::Requests,
        cluster_id::ClusterId,
        identity,
        routes::{self, Facts},
        service_map::{Change, Event, Metadata, ServiceMap, Watched, objects::Slice},
        token::{Source, Token},
    },
    serve::{Server, guard::Guard, tls, tls::metrics::Expiry},
};
use reqwest::StatusCode;
use rustls::server::NoClientAuth;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

#[path = "agent/node_check.rs"]
mod node_check;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn token(text: &str) -> Token {
    Token::parse(text, &Source::Variable).unwrap()
}

/// A provider's port.
struct Port {
    address: SocketAddr,
    map: watch::Sender<ServiceMap>,
    tokens: watch::Sender<Token>,
    metrics: Registry,
    running: JoinHandle<std::io::Result<()>>,
}

impl Port {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (tokens, receiver) = watch::channel(token(TOKEN));
        let (certificates, _) = identity::start(&token(TOKEN), Expiry::default()).await.unwrap();
        let tls = tls::config(&certificates, Arc::new(NoClientAuth));
        let (map, seen) = watch::channel(ServiceMap::default());
        let facts = Facts {
            map: seen,
            cluster_id: Arc::new(ClusterId::new(None)),
            hostname: "dca-0".into(),
        };
        let mut metrics = Registry::default();
        let requests = Requests::default();
        requests.register(&mut metrics);
        let server = Server::default();
        let parts = Parts { tokens: receiver, guard: Guard::new(&server.limits), requests };
        // What other parts bring along is under the same rule.
        let other = Router::new().route("/other/{x}", get(async || "other"));
        let router = agent::router(parts, [routes::routes(facts), other]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let running = tokio::spawn(server.run(listener, tls, router, CancellationToken::new()));
        Self { address, map, tokens, metrics, running }
    }

    fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        self.map.send_modify(|map| changes.into_iter().for_each(|change| map.apply(change)));
    }

    /// As a node agent asks: it verifies nothing.
    async fn ask(&self, path: &str, authorization: Option<&str>) -> (u16, String) {
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .build()
            .unwrap();
        let mut request = client.get(format!("https://{}{path}", self.address));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> String {
        let (code, text) = self.ask(path, Some(&format!("Bearer {TOKEN}"))).await;
        format!("{code} {}", text.trim_end())
    }
}

fn slice(service: &str, pods: &[(&str, &str)]) -> Change {
    Change::Slice(Event::Is(Slice {
        namespace: "default".into(),
        name: format!("{service}-1").into(),
        service: Some(service.into()),
        pods: pods.iter().map(|(node, pod)| ((*node).into(), (*pod).into())).collect(),
    }))
}

fn metadata(label: &str) -> Metadata {
    let pair = |name: &str| [(Box::from(name), Box::from(label))].into();
    Metadata { labels: pair("label"), annotations: pair("annotation") }
}

/// Two Services, two nodes with pods and one without, one namespace.
fn cluster() -> Vec<Change> {
    let node = |name: &str| Change::Node(Event::Is((name.into(), metadata(name))));
    vec![
        Change::Slice(Event::Begin),
        slice("web", &[("n1", "p1"), ("n2", "p2")]),
        slice("all", &[("n1", "p1")]),
        Change::Slice(Event::End),
        Change::Node(Event::Begin),
        node("n1"),
        node("n3"),
        Change::Node(Event::End),
        Change::Namespace(Event::Begin),
        Change::Namespace(Event::Is(("default".into(), metadata("ns")))),
        Change::Namespace(Event::End),
    ]
}

#[tokio::test]
async fn node_agents_get_what_datadogs_agent_gives_them() {
    let port = Port::start().await;
    port.apply(cluster());
    let mut seen = String::new();
    for path in [
        "/hostname",
        "/api/v1/tags/pod/n1/default/p1",
        "/api/v1/metadata/n1/default/p1",
        "/api/v1/tags/pod/n1/default/unknown",
        "/api/v1/tags/pod/n1",
        "/api/v1/tags/pod/n3",
        "/api/v1/tags/pod",
        "/api/v1/tags/node/n1",
        "/api/v1/tags/node/n9",
        "/api/v1/annotations/node/n1",
        "/api/v1/tags/namespace/default",
        "/api/v1/metadata/namespace/default",
        "/api/v1/tags/namespace/unknown",
        "/api/v1/cluster/id",
        "/nothing/here",
    ] {
        seen.extend([path, "\n  ", &port.get(path).await, "\n"]);
    }
    insta::assert_snapshot!(seen);
    let version: serde_json::Value =
        serde_json::from_str(port.get("/version").await.strip_prefix("200 ").unwrap()).unwrap();
    let keys: Vec<_> = version.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["Commit", "Major", "Meta", "Minor", "Patch", "Pre"]);
}

#[tokio::test]
async fn what_is_not_read_yet_is_no_empty_answer() {
    let port = Port::start().await;
    for path in ["/api/v1/tags/pod/n/ns/p", "/api/v1/tags/node/n", "/api/v1/tags/namespace/x"] {
        assert!(port.get(path).await.starts_with("503 "), "{path}");
    }
    port.map.send_modify(|map| {
        map.unreadable(Watched::EndpointSlices, "forbidden".to_owned());
        map.unreadable(Watched::Nodes, "forbidden".to_owned());
    });
    insta::assert_snapshot!(port.get("/api/v1/tags/pod").await, @r#"503 {"Errors":"endpointslices cannot be read: forbidden","Warnings":["endpointslices cannot be read: forbidden","nodes cannot be read: forbidden"]}"#);
}

#[tokio::test]
async fn only_the_newest_token_opens_any_path() {
    let port = Port::start().await;
    port.apply(cluster());
    let good = format!("Bearer {TOKEN}");
    let wrong = format!("Bearer {}", "f".repeat(32));
    let table = [
        (None, 401),
        (Some(""), 401),
        (Some("Bearer"), 401),
        (Some(TOKEN), 401),
        (Some("Basic dXNlcjpwYXNz"), 401),
        (Some(wrong.as_str()), 403),
        (Some("Bearer "), 401),
        (Some(good.as_str()), 200),
    ];
    for path in ["/version", "/other/x"] {
        for (authorization, expected) in table {
            let (code, text) = port.ask(path, authorization).await;
            assert_eq!(code, expected, "{path} {authorization:?}: {text}");
            assert!(!text.contains(TOKEN) && !text.contains(&token(TOKEN).fingerprint()));
        }
    }
    // A stranger does not learn which paths there are.
    assert_eq!(port.ask("/nothing/here", None).await.0, 401);
    assert_eq!(port.ask("/nothing/here", Some(&wrong)).await.0, 403);
    insta::assert_snapshot!(port.ask("/version", Some(&wrong)).await.1.trim_end(), @"the token is not that of this cluster agent: compare `datadog-cluster-agent env` here with `env` there (DD_CLUSTER_AGENT_AUTH_TOKEN)");
    insta::assert_snapshot!(port.ask("/version", None).await.1.trim_end(), @"no token was sent: the header Authorization must be Bearer and the cluster agent's token (DD_CLUSTER_AGENT_AUTH_TOKEN)");
    port.tokens.send_replace(token(&"f".repeat(32)));
    assert_eq!(port.ask("/version", Some(&good)).await.0, 403);
    assert_eq!(port.ask("/version", Some(&wrong)).await.0, 200);
    let mut told = String::new();
    text::encode(&mut told, &port.metrics).unwrap();
    for line in [
        r#"api_requests_total{handler="getVersion",status="200"} 2"#,
        r#"api_requests_total{handler="/other/{x}",status="403"} 1"#,
        r#"api_requests_total{handler="other",status="401"} 1"#,
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

#[tokio::test]
async fn a_replica_verifies_the_port_before_it_sends_its_token() {
    let port = Port::start().await;
    port.apply(cluster());
    let ask = async |token: &Token| {
        let config = identity::client_config(token).await.unwrap();
        let client = identity::http_client(&config, port.address).unwrap();
        let url = format!("https://{}/version", identity::NAME);
        client.get(url).header("authorization", token.bearer()).send().await
    };
    assert_eq!(ask(&token(TOKEN)).await.unwrap().status(), StatusCode::OK);
    assert!(ask(&token(&"f".repeat(32))).await.unwrap_err().is_connect());
}
