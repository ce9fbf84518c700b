use std::{
    convert::Infallible,
    sync::{Mutex, PoisonError},
};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn config(value: &str, file: Option<&Path>) -> Config {
    Config {
        value: Some(value.into()),
        file: file.map(Path::to_owned),
        secret: "datadogtoken".to_owned(),
    }
}

fn encoded(token: &str) -> Value {
    let data = serde_json::to_value(k8s_openapi::ByteString(token.as_bytes().to_vec())).unwrap();
    json!({"metadata": {"name": "datadogtoken"}, "data": {"token": data}})
}

/// What kube-apiserver answers to the next calls, in this order, and the calls.
#[derive(Clone)]
struct Script(Arc<Mutex<Calls>>);

struct Calls {
    answers: Vec<(u16, Value)>,
    seen: Vec<String>,
}

impl Script {
    fn new(answers: &[(u16, Value)]) -> (Self, Cluster) {
        let answers = answers.iter().rev().cloned().collect();
        let this = Self(Arc::new(Mutex::new(Calls { answers, seen: Vec::new() })));
        let script = this.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let mut script = script.0.lock().unwrap_or_else(PoisonError::into_inner);
            script.seen.push(format!("{} {}", request.method(), request.uri()));
            let (code, body) = script.answers.pop().unwrap_or_else(|| refused(500, "Unexpected"));
            drop(script);
            let sent = request.into_body();
            async move {
                // A Secret that is created is answered as it was sent.
                let body = if body.is_null() {
                    sent.collect_bytes().await.unwrap().to_vec()
                } else {
                    body.to_string().into_bytes()
                };
                let response = Response::builder().status(code).body(Body::from(body));
                Ok::<_, Infallible>(response.unwrap())
            }
        });
        let kube = kube::Client::new(service, "default");
        (this, Cluster { kube, namespace: "ns".to_owned() })
    }

    /// Method and path of each call.
    fn calls(&self) -> String {
        let script = self.0.lock().unwrap();
        let calls = script.seen.iter().map(|call| call.split('?').next().unwrap());
        calls.collect::<Vec<_>>().join("\n")
    }
}

fn refused(code: u16, reason: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": format!("secrets \"datadogtoken\": {reason}")});
    (code, status)
}

#[test]
fn a_token_is_long_enough_and_fits_into_a_header() {
    let parse = |text: &str| Token::parse(text, &Source::Variable).map_err(|it| it.to_string());
    assert_eq!(parse(&format!(" {TOKEN}\n")).unwrap().expose(), TOKEN);
    insta::assert_snapshot!(parse("secret ").unwrap_err(), @"the cluster agent's token in DD_CLUSTER_AGENT_AUTH_TOKEN has 6 characters, at least 32 are needed: `openssl rand -hex 32` makes one");
    for bad in ["0123456789abcdef 0123456789abcdef", "ä0123456789abcdef0123456789abcdef"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(parse(bad).unwrap_err(), @"the cluster agent's token in DD_CLUSTER_AGENT_AUTH_TOKEN has characters that an HTTP header cannot carry, only printable ASCII without spaces can be used");
        }
    }
}

#[test]
fn a_token_shows_its_length_and_fingerprint_alone() {
    let token = Token::parse(TOKEN, &Source::Variable).unwrap();
    insta::assert_snapshot!(token, @"32 characters, fingerprint 3eb1bd43");
    insta::assert_debug_snapshot!(token, @"Token(32 characters, fingerprint 3eb1bd43)");
    assert_eq!(format!("{:?}", token.bearer()), "Sensitive");
    assert_eq!(token.bearer().as_bytes(), format!("Bearer {TOKEN}").as_bytes());
}

#[test]
fn only_the_same_token_is_the_same() {
    let token = Token::parse(TOKEN, &Source::Variable).unwrap();
    assert!(token.is(TOKEN));
    for other in ["", &TOKEN[1..], &format!("{TOKEN}0"), &TOKEN.to_uppercase()] {
        assert!(!token.is(other), "{other}");
    }
    let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
    assert_ne!(one, other);
    assert_eq!(one.expose().len(), 64);
    assert!(one.expose().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
}

#[tokio::test]
async fn the_variable_counts_before_the_file_and_the_file_before_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{}\n", "f".repeat(40))).unwrap();
    let (script, cluster) = Script::new(&[]);
    let found = find(&config(TOKEN, Some(&path)), Some(&cluster)).await.unwrap();
    assert_eq!((found.token.expose(), found.source), (TOKEN, Source::Variable));
    let found = find(&config("  ", Some(&path)), Some(&cluster)).await.unwrap();
    assert_eq!((found.token.expose().len(), found.source), (40, Source::File(path.clone())));
    // A file that was named and cannot be used is an error, never a reason to look further.
    std::fs::write(&path, "short").unwrap();
    let error = find(&config("", Some(&path)), Some(&cluster)).await.unwrap_err();
    assert!(matches!(error, Error::TooShort { length: 5, .. }), "{error}");
    let missing = folder.path().join("missing");
    let error = find(&config("", Some(&missing)), Some(&cluster)).await.unwrap_err().to_string();
    assert!(error.starts_with("the cluster agent's token cannot be read from file "), "{error}");
    assert_eq!(script.calls(), "");
}

#[tokio::test]
async fn a_command_reads_the_secret_and_makes_none() {
    let (script, cluster) = Script::new(&[(200, encoded(TOKEN)), refused(404, "NotFound")]);
    let found = find(&config("", None), Some(&cluster)).await.unwrap();
    assert_eq!(found.token.expose(), TOKEN);
    assert_eq!(found.source.to_string(), "Secret ns/datadogtoken, key token");
    let error = find(&config("", None), Some(&cluster)).await.unwrap_err();
    insta::assert_snapshot!(error, @"there is no cluster agent's token: DD_CLUSTER_AGENT_AUTH_TOKEN is not set, file /etc/datadog-agent/cluster_agent.auth_token is not there, and Secret ns/datadogtoken does not exist");
    insta::assert_snapshot!(script.calls(), @r"
    GET /api/v1/namespaces/ns/secrets/datadogtoken
    GET /api/v1/namespaces/ns/secrets/datadogtoken
    ");
}

#[tokio::test]
async fn the_first_replica_makes_the_secret() {
    let (script, cluster) = Script::new(&[refused(404, "NotFound"), (201, Value::Null)]);
    let found = find_or_create(&config("", None), Some(&cluster)).await.unwrap();
    assert_eq!(found.token.expose().len(), 64);
    insta::assert_snapshot!(script.calls(), @r"
    GET /api/v1/namespaces/ns/secrets/datadogtoken
    POST /api/v1/namespaces/ns/secrets
    ");
}

#[tokio::test]
async fn of_two_replicas_that_make_it_the_second_takes_the_firsts() {
    let answers = [refused(404, "NotFound"), refused(409, "AlreadyExists"), (200, encoded(TOKEN))];
    let (_, cluster) = Script::new(&answers);
    let found = find_or_create(&config("", None), Some(&cluster)).await.unwrap();
    assert_eq!(found.token.expose(), TOKEN);
}

#[tokio::test]
async fn without_rights_the_token_is_in_memory() {
    let denied = [
        vec![refused(403, "Forbidden")],
        vec![refused(404, "NotFound"), refused(403, "Forbidden")],
        vec![refused(500, "InternalError")],
    ];
    for answers in denied {
        let (_, cluster) = Script::new(&answers);
        let found = find_or_create(&config("", None), Some(&cluster)).await.unwrap();
        assert_eq!(found.source, Source::Memory);
        assert_eq!(found.token.expose().len(), 64);
    }
    assert_eq!(find_or_create(&config("", None), None).await.unwrap().source, Source::Memory);
}

#[tokio::test]
async fn a_secret_that_is_no_token_is_an_error() {
    let empty = json!({"metadata": {"name": "datadogtoken"}});
    let (_, cluster) = Script::new(&[(200, encoded("short")), (200, empty)]);
    let error = find_or_create(&config("", None), Some(&cluster)).await.unwrap_err();
    insta::assert_snapshot!(error, @"the cluster agent's token in Secret ns/datadogtoken, key token has 5 characters, at least 32 are needed: `openssl rand -hex 32` makes one");
    let error = find_or_create(&config("", None), Some(&cluster)).await.unwrap_err();
    insta::assert_snapshot!(error, @"Secret ns/datadogtoken, key token is missing: the Secret has no such key");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_followed_and_one_that_cannot_be_used_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let (sender, mut tokens) = watch::channel(Token::parse(TOKEN, &Source::Variable).unwrap());
    let stop = CancellationToken::new();
    let following =
        tokio::spawn(follow(Source::File(path.clone()), String::new(), None, sender, stop.clone()));
    std::fs::write(&path, "short").unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(25)).await;
    assert!(!tokens.has_changed().unwrap());
    std::fs::write(&path, "e".repeat(32)).unwrap();
    tokens.changed().await.unwrap();
    assert_eq!(tokens.borrow().expose(), "e".repeat(32));
    stop.cancel();
    following.await.unwrap();
}

/// A list, then a watch that tells of one change.
#[tokio::test(start_paused = true)]
async fn a_secret_that_changes_is_followed() {
    let list = json!({"kind": "SecretList", "apiVersion": "v1",
        "metadata": {"resourceVersion": "1"}, "items": [encoded(TOKEN)]});
    let mut changed = encoded(&"e".repeat(32));
    changed["metadata"]["resourceVersion"] = json!("2");
    let event = json!({"type": "MODIFIED", "object": changed});
    let (script, cluster) = Script::new(&[(200, list), (200, event)]);
    let (sender, mut tokens) = watch::channel(Token::random().unwrap());
    let stop = CancellationToken::new();
    let following = tokio::spawn(follow(
        Source::Memory,
        "datadogtoken".to_owned(),
        Some(cluster),
        sender,
        stop.clone(),
    ));
    let new = "e".repeat(32);
    tokens.wait_for(|it| it.is(&new)).await.unwrap();
    stop.cancel();
    following.await.unwrap();
    let calls = script.0.lock().unwrap().seen.clone();
    assert!(calls.iter().all(|call| call.contains("fieldSelector=metadata.name%3Ddatadogtoken")));
}

/// It may be about to be replaced by hand: a new one is made after a while only.
#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_is_made_again() {
    let list = json!({"kind": "SecretList", "apiVersion": "v1",
        "metadata": {"resourceVersion": "1"}, "items": []});
    let service = tower::service_fn(move |request: Request<Body>| {
        let list = list.clone();
        async move {
            let answer = match (request.method().as_str(), request.uri().query()) {
                ("GET", Some(query)) if query.contains("watch=true") => {
                    std::future::pending().await
                }
                ("GET", Some(query)) if query.contains("fieldSelector") => (200, list),
                ("GET", _) => refused(404, "NotFound"),
                _ => {
                    let sent = request.into_body().collect_bytes().await.unwrap();
                    (201, serde_json::from_slice(&sent).unwrap())
                }
            };
            let body = Body::from(answer.1.to_string().into_bytes());
            Ok::<_, Infallible>(Response::builder().status(answer.0).body(body).unwrap())
        }
    });
    let kube = kube::Client::new(service, "default");
    let cluster = Cluster { kube, namespace: "ns".to_owned() };
    let first = Token::parse(TOKEN, &Source::Variable).unwrap();
    let (sender, mut tokens) = watch::channel(first);
    let source = secret::source(&cluster, "datadogtoken");
    let begun = tokio::time::Instant::now();
    let stop = CancellationToken::new();
    let name = "datadogtoken".to_owned();
    let following = tokio::spawn(follow(source, name, Some(cluster), sender, stop.clone()));
    tokens.changed().await.unwrap();
    assert_eq!(tokens.borrow().expose().len(), 64);
    assert!(begun.elapsed() >= std::time::Duration::from_secs(10));
    stop.cancel();
    following.await.unwrap();
}
