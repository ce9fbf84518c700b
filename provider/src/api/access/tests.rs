use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    http::Response,
    middleware::from_fn_with_state,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::{
    api::{self, health::Readiness, review::testing::Apiserver},
    serve::guard::Guard,
    store::Snapshot,
};

struct Fake(Verdict);

impl Certificates for Fake {
    fn certificate(&self, _: &Peer, headers: &mut HeaderMap) -> Verdict {
        headers.remove("x-remote-user");
        self.0.clone()
    }
}

fn user(name: &str) -> User {
    User { name: name.to_owned(), ..User::default() }
}

fn access(verdict: Verdict) -> (Apiserver, Access) {
    let (apiserver, client) = Apiserver::start();
    let metrics = Metrics::default();
    let tokens = Tokens::new(Some(client.clone()), vec![], metrics.clone()).unwrap();
    let config = rights::Config { broad: false, ..rights::Config::default() };
    let access = Access {
        certificates: Arc::new(Fake(verdict)),
        tokens: Arc::new(tokens),
        rights: Arc::new(Rights::new(Some(client), config, metrics)),
    };
    (apiserver, access)
}

fn peer() -> Extension<Arc<Peer>> {
    Extension(Arc::new(Peer::new(([127, 0, 0, 1], 1).into(), vec![])))
}

/// The real routes, for a client of which its certificate says `verdict`.
fn guarded(verdict: Verdict) -> (Apiserver, Router) {
    let (apiserver, access) = access(verdict);
    let store = watch::channel(Arc::new(Snapshot::default())).1;
    let readiness = Readiness::new(CancellationToken::new());
    let config = api::Config { store };
    let guard = Guard::default();
    let router = api::guarded(Some(config), readiness, Arc::default(), guard, access);
    (apiserver, router.layer(peer()))
}

fn get(uri: &str) -> http::request::Builder {
    Request::builder().uri(uri)
}

async fn send(router: &Router, request: http::request::Builder) -> Response<Body> {
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn code(router: &Router, request: http::request::Builder) -> u16 {
    send(router, request).await.status().as_u16()
}

async fn body(response: Response<Body>) -> Vec<u8> {
    to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
}

async fn text(router: &Router, request: http::request::Builder) -> String {
    String::from_utf8(body(send(router, request).await).await).unwrap()
}

const METRIC: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/web/queue.depth";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf, */*";

fn allow(_: &Value) -> Value {
    json!({"allowed": true})
}

fn deny(_: &Value) -> Value {
    json!({"allowed": false})
}

/// Believes the token `good`; everybody may do everything.
fn believe(spec: &Value) -> Value {
    match spec["token"].as_str() {
        None => json!({"allowed": true}),
        Some("good") => json!({"authenticated": true, "user": {"username": "jo"}}),
        Some(_) => json!({"authenticated": false}),
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_user_may_not_do_is_refused_in_the_words_of_kubernetes() {
    let (apiserver, router) = guarded(Verdict::NoOpinion);
    apiserver.always(deny);
    let response = send(&router, get(METRIC)).await;
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-cache, private");
    let body = String::from_utf8(body(response).await).unwrap();
    insta::assert_snapshot!(body, @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"queue.depth.external.metrics.k8s.io is forbidden: User \"system:anonymous\" cannot list resource \"queue.depth\" in API group \"external.metrics.k8s.io\" in the namespace \"web\"","reason":"Forbidden","details":{"group":"external.metrics.k8s.io","kind":"queue.depth"},"code":403}"#);
    insta::assert_snapshot!(text(&router, get("/metrics")).await, @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden: User \"system:anonymous\" cannot get path \"/metrics\"","reason":"Forbidden","details":{},"code":403}"#);
    let message = |body: String| serde_json::from_str::<Value>(&body).unwrap()["message"].clone();
    let status = text(&router, get(&METRIC.replace("queue.depth", "status"))).await;
    assert_eq!(
        message(status),
        r#"namespaces.external.metrics.k8s.io "web" is forbidden: User "system:anonymous" cannot get resource "namespaces/status" in API group "external.metrics.k8s.io" in the namespace "web""#
    );
    let everywhere = text(&router, get("/apis/external.metrics.k8s.io/v1beta1/m")).await;
    assert_eq!(
        message(everywhere),
        r#"m.external.metrics.k8s.io is forbidden: User "system:anonymous" cannot list resource "m" in API group "external.metrics.k8s.io" at the cluster scope"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_html_and_gives_the_reason() {
    let (apiserver, router) = guarded(Verdict::User(user("<a&b>\\\"\n")));
    apiserver.answer(&json!({"allowed": false, "reason": "not today"}));
    insta::assert_snapshot!(text(&router, get("/%3Cp%3E")).await, @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"forbidden: User \"\u0026lt;a\u0026amp;b\u0026gt;\\\\\\\"\\n\" cannot get path \"/\u0026lt;p\u0026gt;\": not today","reason":"Forbidden","details":{},"code":403}"#);
}

#[tokio::test(start_paused = true)]
async fn the_same_in_protobuf_has_the_bytes_of_go() {
    let (apiserver, router) = guarded(Verdict::NoOpinion);
    apiserver.always(deny);
    let forbidden = body(send(&router, get(METRIC).header("accept", PROTOBUF)).await).await;
    let details: &[&[u8]] = &[
        b"\x22\x09Forbidden",
        b"\x2a\x2c\x0a\x00\x12\x17external.metrics.k8s.io\x1a\x0bqueue.depth\x28\x00\x32\x00",
        b"\x30\x93\x03\x1a\x00\x22\x00",
    ];
    let tail = details.concat();
    assert!(forbidden.starts_with(b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status\x12"));
    assert!(forbidden.ends_with(&tail), "{}", forbidden.escape_ascii());

    let (_, router) = guarded(Verdict::Refused("a wrong CA".to_owned()));
    let unauthorized = body(send(&router, get(METRIC).header("accept", PROTOBUF)).await).await;
    let expected: &[&[u8]] = &[
        b"k8s\0\x0a\x0c\x0a\x02v1\x12\x06Status",
        b"\x12\x30\x0a\x06\x0a\x00\x12\x00\x1a\x00\x12\x07Failure",
        b"\x1a\x0cUnauthorized\x22\x0cUnauthorized\x30\x91\x03",
        b"\x1a\x00\x22\x00",
    ];
    let expected = expected.concat();
    assert_eq!(unauthorized.escape_ascii().to_string(), expected.escape_ascii().to_string());
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_not_believed_are_a_401_without_a_why() {
    let (apiserver, router) = guarded(Verdict::NoOpinion);
    apiserver.always(believe);
    let refused = get(METRIC).header("authorization", "Bearer for-another-audience");
    insta::assert_snapshot!(text(&router, refused).await, @r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#);
    // Neither are they believed where nobody needs any.
    assert_eq!(code(&router, get("/healthz").header("authorization", "Bearer bad")).await, 401);
    assert_eq!(code(&router, get("/healthz")).await, 200);
    apiserver.refuse(403);
    let not_reviewed = get(METRIC).header("authorization", "Bearer new");
    assert_eq!(code(&router, not_reviewed).await, 401);
}

#[tokio::test(start_paused = true)]
async fn without_a_review_there_is_no_answer_but_a_reason() {
    let (apiserver, router) = guarded(Verdict::User(user("jo")));
    apiserver.refuse(403);
    let response = send(&router, get("/metrics")).await;
    assert_eq!(response.status(), 500);
    let status: Value = serde_json::from_slice(&body(response).await).unwrap();
    let cause = status["details"]["causes"][0]["message"].as_str().unwrap();
    let expected = "whether User \"jo\" can get path \"/metrics\" is not known: \
                    kube-apiserver cannot review it: ";
    assert!(cause.starts_with(expected), "{cause}");
    assert_eq!(status["message"], format!("Internal error occurred: {cause}"));
    assert_eq!(status["reason"], "InternalError");
}

/// Which users reviews were asked about.
fn reviewed(apiserver: &Apiserver) -> Vec<String> {
    let who = |spec: &Value| match spec["token"].as_str() {
        Some(token) => format!("token {token}"),
        None => spec["user"].as_str().unwrap().to_owned(),
    };
    apiserver.asked().iter().map(who).collect()
}

#[tokio::test(start_paused = true)]
async fn a_certificate_comes_before_a_token_and_a_token_before_nobody() {
    let bearer = |token: &str| get("/metrics").header("authorization", format!("Bearer {token}"));
    let refused = || Verdict::Refused("wrong CA".to_owned());
    for (verdict, request, expected, asked) in [
        (Verdict::User(user("ca")), bearer("bad"), 200, vec!["ca"]),
        (Verdict::NoOpinion, bearer("good"), 200, vec!["token good", "jo"]),
        (Verdict::NoOpinion, bearer("bad"), 401, vec!["token bad"]),
        (Verdict::NoOpinion, get("/metrics"), 200, vec!["system:anonymous"]),
        (refused(), bearer("good"), 200, vec!["token good", "jo"]),
        (refused(), bearer("bad"), 401, vec!["token bad"]),
        (refused(), get("/metrics"), 401, vec![]),
    ] {
        let (apiserver, router) = guarded(verdict.clone());
        apiserver.always(believe);
        assert_eq!(code(&router, request).await, expected, "{verdict:?}");
        assert_eq!(reviewed(&apiserver), asked, "{verdict:?}");
    }
}

#[test]
fn a_token_is_read_as_go_reads_it() {
    let some = |token: &str| Token::Bearer(token.to_owned());
    for (value, expected) in [
        ("Bearer abc", some("abc")),
        ("bearer abc", some("abc")),
        ("bEaReR abc", some("abc")),
        (" Bearer abc ", some("abc")),
        ("Bearer abc def ghi", some("abc")),
        ("Bearer abc,Bearer def", some("abc,Bearer")),
        ("Bearer  abc", Token::None),
        ("Bearer", Token::None),
        ("Bearer ", Token::None),
        ("Bearer\tabc", Token::None),
        ("Basic abc", Token::None),
        ("abc", Token::None),
        ("", Token::None),
        ("Bearer é", Token::Unreadable("the Authorization header is not ASCII")),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        assert_eq!(bearer(&headers), expected, "{value:?}");
    }
    assert_eq!(bearer(&HeaderMap::new()), Token::None);
}

#[tokio::test(start_paused = true)]
async fn two_tokens_are_refused_whichever_of_them_is_good() {
    for (first, second) in [("good", "bad"), ("bad", "good"), ("good", "good")] {
        let (apiserver, router) = guarded(Verdict::NoOpinion);
        apiserver.always(believe);
        let request = get(METRIC)
            .header("Authorization", format!("Bearer {first}"))
            .header("authorization", format!("Bearer {second}"));
        assert_eq!(code(&router, request).await, 401);
        assert!(apiserver.asked().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_who_it_is_and_no_credentials() {
    let (apiserver, access) = access(Verdict::NoOpinion);
    apiserver.always(believe);
    let echo = |request: Request| async move {
        let user = request.extensions().get::<Arc<User>>().unwrap();
        format!("{} {:?} {:?}", user.name, user.groups, request.headers())
    };
    let router =
        Router::new().fallback(echo).layer(from_fn_with_state(access, check)).layer(peer());
    let request = get("/x").header("authorization", "Bearer good").header("x-remote-user", "root");
    let response = send(&router, request).await;
    let user = response.extensions().get::<Arc<User>>().unwrap().clone();
    assert_eq!(user.name, "jo", "for the request log");
    let seen = String::from_utf8(body(response).await).unwrap();
    assert_eq!(seen, r#"jo ["system:authenticated"] {}"#);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_keeps_no_http2_connection() {
    let closes = async |verdict: Verdict, version: Version, uri: &str| {
        let (apiserver, router) = guarded(verdict);
        apiserver.always(allow);
        let response = send(&router, get(uri).version(version)).await;
        response.extensions().get::<CloseConnection>().is_some()
    };
    let (h1, h2) = (Version::HTTP_11, Version::HTTP_2);
    let refused = || Verdict::Refused("no".to_owned());
    assert!(closes(Verdict::NoOpinion, h2, "/healthz").await);
    assert!(closes(Verdict::NoOpinion, h2, "/unknown").await, "a 404 too");
    assert!(closes(refused(), h2, METRIC).await);
    assert!(!closes(Verdict::NoOpinion, h1, METRIC).await);
    assert!(!closes(refused(), h1, METRIC).await);
    assert!(!closes(Verdict::User(user("jo")), h2, METRIC).await);
}

#[tokio::test(start_paused = true)]
async fn a_request_of_nowhere_is_not_answered() {
    let (apiserver, access) = access(Verdict::User(user("jo")));
    apiserver.always(allow);
    let router = Router::new().fallback(|| async {}).layer(from_fn_with_state(access, check));
    assert_eq!(code(&router, get("/healthz")).await, 500);
}

/// Paths that try to be judged as something else than what is served. Whatever they are judged as,
/// the real router has no metric and no other secret for them.
#[tokio::test(start_paused = true)]
async fn no_other_spelling_of_a_path_is_served() {
    let (apiserver, router) = guarded(Verdict::User(user("jo")));
    apiserver.always(allow);
    let code_of = async |uri: &str| code(&router, get(uri)).await;
    // As it should be: the metric's own handler, which has read no HPAs yet.
    assert_eq!(code_of(METRIC).await, 503);
    for uri in [
        "//apis/external.metrics.k8s.io/v1beta1/namespaces/web/m",
        "/apis//external.metrics.k8s.io/v1beta1/namespaces/web/m",
        "/apis/external.metrics.k8s.io/v1beta1//namespaces/web/m",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces//m",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/web//m",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/web/m/",
        "/apis/external.metrics.k8s.io/v1beta1/namespaces/web/m/x",
        "/apis/external.metrics.k8s.io/v1beta1/./namespaces/web/m",
        "/healthz/../apis/external.metrics.k8s.io/v1beta1/namespaces/web/m",
        "/healthz/../metrics",
        "/healthz%2F..%2Fmetrics",
        "/%6detrics",
        "/%61pis/external.metrics.k8s.io/v1beta1/namespaces/web/m",
        "/apis%2Fexternal.metrics.k8s.io/v1beta1/namespaces/web/m",
        "/apis/external.metrics.k8s.io/v1beta1/%6eamespaces/web/m",
        "/METRICS",
        "/metrics/",
        "/metrics;x",
    ] {
        assert_eq!(code_of(uri).await, 404, "{uri}");
    }
}

/// The review names what the handler then looks up, for spellings that both of them decode.
#[tokio::test(start_paused = true)]
async fn what_is_reviewed_is_what_is_looked_up() {
    let (apiserver, router) = guarded(Verdict::User(user("jo")));
    apiserver.always(deny);
    for (tail, namespace, resource) in [
        ("web/q%75eue", "web", "queue"),
        ("w%65b/m", "web", "m"),
        ("web/a%2Fb", "web", "a/b"),
        ("web%2Fx/m", "web/x", "m"),
        ("web/%252e", "web", "%2e"),
        ("web/m?labelSelector=a&labelSelector=b", "web", "m"),
        ("*/m", "*", "m"),
    ] {
        let uri = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{tail}");
        assert_eq!(code(&router, get(&uri)).await, 403, "{uri}");
        let asked = apiserver.asked();
        let attributes = &asked[0]["resourceAttributes"];
        assert_eq!(attributes["namespace"], namespace, "{uri}");
        assert_eq!(attributes["resource"], resource, "{uri}");
    }
}
