use std::net::SocketAddr;

use axum::{extract::Request as HttpRequest, middleware, response::IntoResponse};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    agent::{
        self,
        config::Setting,
        flare::tests::{facts, unpack},
        health::Health,
        status::{Status, tests::snapshot},
    },
    serve::Server,
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A real server with our routes, behind `token`; and who trusts it.
fn serve(token: &'static str, stop: &CancellationToken) -> (SocketAddr, Arc<ClientConfig>) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed([identity::NAME.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let tls = ServerConfig::builder().with_no_client_auth();
    let tls = tls.with_single_cert(vec![certificate.clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let check = move |request: HttpRequest, next: middleware::Next| async move {
        if request.headers()[header::AUTHORIZATION] == format!("Bearer {token}") {
            next.run(request).await
        } else {
            StatusCode::FORBIDDEN.into_response()
        }
    };
    let facts = facts(&[], snapshot(), "INFO it runs\n", "a note");
    let router = agent::commands(&facts).layer(middleware::from_fn(check));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Server::default().run(listener, Arc::new(tls), router, stop.clone()));
    (address, Arc::new(client))
}

fn args(arguments: &[&str]) -> Connect {
    use clap::Parser;
    let arguments = ["datadog-cluster-agent", "status"].iter().chain(arguments);
    let command = crate::args::Args::try_parse_from(arguments).unwrap().command;
    let crate::args::Command::Status(ask) = command else { panic!("not status") };
    ask.connect
}

fn found() -> token::Found {
    let source = token::Source::Variable;
    token::Found { token: token::Token::parse(TOKEN, &source).unwrap(), source }
}

async fn agent(address: SocketAddr, tls: Arc<ClientConfig>) -> Result<Agent, Error> {
    let way = direct(&args(&["--address", &address.to_string()])).await?;
    Agent::over(way, tls, found()).await
}

#[tokio::test]
async fn a_running_agent_answers_all_commands() {
    let stop = CancellationToken::new();
    let (address, tls) = serve(TOKEN, &stop);
    let mut agent = agent(address, tls).await.unwrap();
    let status: Status = agent.get("/status").await.unwrap();
    assert_eq!(status.external_metrics.unwrap().total, 5);
    let health: Health = agent.get("/status/health").await.unwrap();
    assert_eq!(health.healthy, ["ping", "shutdown"]);
    let settings: Vec<Setting> = agent.get("/config").await.unwrap();
    assert!(settings.iter().any(|setting| setting.name == "site"));
    let zip = agent.ask(Method::POST, "/flare").await.unwrap();
    assert_eq!(unpack(&zip).len(), 12);
    let error = agent.ask(Method::GET, "/nothing").await.unwrap_err().to_string();
    assert!(error.contains("does not know /nothing"), "{error}");
    let error = agent.get::<Health>("/config").await.unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    stop.cancel();
}

#[tokio::test]
async fn a_token_that_differs_is_said_with_its_fingerprint_alone() {
    let stop = CancellationToken::new();
    let (address, tls) = serve("another", &stop);
    let mut agent = agent(address, tls).await.unwrap();
    let error = agent.ask(Method::GET, "/status").await.unwrap_err().to_string();
    let error = error.replace(&address.to_string(), "ADDRESS");
    insta::assert_snapshot!(error, @"the agent at ADDRESS refuses the token of DD_CLUSTER_AGENT_AUTH_TOKEN, 64 characters, fingerprint a8ae6e6e (HTTP 403): compare it with the fingerprint that `env` shows in its pod");
    stop.cancel();
}

#[tokio::test]
async fn a_server_that_does_not_know_the_token_gets_nothing() {
    let stop = CancellationToken::new();
    let (address, _) = serve(TOKEN, &stop);
    let (_, other) = serve(TOKEN, &stop);
    let error = agent(address, other).await.unwrap_err();
    assert!(matches!(error, Error::Unverified { .. }), "{error}");
    let error = error.to_string().replace(&address.to_string(), "ADDRESS");
    insta::assert_snapshot!(error, @"what listens at ADDRESS does not know the token of DD_CLUSTER_AGENT_AUTH_TOKEN, 64 characters, fingerprint a8ae6e6e (invalid peer certificate: BadSignature): give the token that the agent there has, or its right port; `env` in its pod shows the fingerprint");
    stop.cancel();
}

#[tokio::test]
async fn what_is_no_address_and_where_nobody_listens_is_said() {
    let error = Agent::connect(&args(&["--address=nowhere"])).await.unwrap_err().to_string();
    insta::assert_snapshot!(error, @r#"--address "nowhere" is no HOST:PORT, write one such as 10.0.0.7:5005"#);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Agent::connect(&args(&["--address", &free.to_string()])).await.unwrap_err();
    let error = error.to_string().replace(&free.to_string(), "ADDRESS");
    insta::assert_snapshot!(error, @"no agent at ADDRESS (Connection refused (os error 111)): start it there, correct DD_CLUSTER_AGENT_CMD_PORT, or reach another by --address HOST:PORT or -n NAMESPACE");
}

#[test]
fn a_missing_right_is_named() {
    let status = kube::core::Status::failure("no", "Forbidden").with_code(403).boxed();
    let error = Error::of_kube(&kube::Error::Api(status), "read pods (list pods)", "default");
    insta::assert_snapshot!(error, @"kube-apiserver does not let you read pods (list pods) in namespace default: ask for that right, or use kubectl exec");
}
