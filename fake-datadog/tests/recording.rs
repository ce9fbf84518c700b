//! Record and replay, with a second fake as the Datadog behind.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Fault, Start, StatusEffect},
    exchange::{Running, read},
    keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY},
    record::Recording,
    replay::Replay,
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

#[path = "support/client.rs"]
mod client;

use crate::client::{base, body_of, constant, fake};

/// A fake with a series, and a recorder in front of it.
async fn upstream(out: &Path) -> (FakeDatadog, Running) {
    let fake = fake().await;
    fake.script(
        constant("m", "a:b", 4.0).starting(Start::At("2001-01-01T00:00:00Z".parse().unwrap())),
    )
    .unwrap();
    let recorder = Recording::of(fake.url().clone(), out).unwrap().start().await.unwrap();
    (fake, recorder)
}

fn get(server: &Running, path: &str) -> RequestBuilder {
    // In a build of the whole workspace reqwest has its gzip feature and would unpack by itself.
    let as_sent = reqwest::Client::builder().no_gzip().build().unwrap();
    as_sent
        .get(server.url().join(path).unwrap())
        .header("DD-API-KEY", DEFAULT_API_KEY)
        .header("DD-APPLICATION-KEY", DEFAULT_APP_KEY)
}

fn ask(server: &Running, query: &str, from: i64, to: i64) -> RequestBuilder {
    get(server, "api/v1/query").query(&[("from", from), ("to", to)]).query(&[("query", query)])
}

async fn replay(out: &Path) -> Running {
    Replay::load(out).unwrap().start().await.unwrap()
}

fn points(body: &Value) -> Vec<(i64, f64)> {
    let points = body["series"][0]["pointlist"].as_array().unwrap().iter();
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
    points.map(|point| (number(&point[0]) as i64, number(&point[1]))).collect()
}

#[tokio::test]
async fn a_recorded_answer_is_moved_into_the_window_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("exchanges.jsonl");
    let (fake, recorder) = upstream(&out).await;
    let base = base();
    let (status, seen) = body_of(ask(&recorder, "avg:m{*}.rollup(20)", base, base + 100)).await;
    assert_eq!(status, StatusCode::OK);
    recorder.stop().await;
    fake.stop().await;

    let replay = replay(&out).await;
    let (_, same) = body_of(ask(&replay, "avg:m{*}.rollup(20)", base, base + 100)).await;
    assert_eq!(same, seen);
    let (_, later) = body_of(ask(&replay, "avg:m{*}.rollup(20)", base + 3600, base + 3700)).await;
    let moved: Vec<_> = points(&seen).iter().map(|(at, it)| (at + 3_600_000, *it)).collect();
    assert_eq!(points(&later), moved);
    assert_eq!(later["to_date"], json!((base + 3700) * 1000));

    // Another distance is another question.
    let (status, missing) = body_of(ask(&replay, "avg:m{*}.rollup(20)", base, base + 200)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let listed = missing["recorded"][0].as_str().unwrap();
    assert_eq!(listed, "GET /api/v1/query?query=avg:m{*}.rollup(20)&to-from=100000ms");

    let exact = Replay::load(&out).unwrap().exact(true).start().await.unwrap();
    let request = ask(&exact, "avg:m{*}.rollup(20)", base + 1, base + 101);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let request = ask(&exact, "avg:m{*}.rollup(20)", base, base + 100);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn repeated_requests_get_the_answers_in_order_with_status_and_headers() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("exchanges.jsonl");
    let (fake, recorder) = upstream(&out).await;
    let headers = [("x-ratelimit-reset".to_owned(), "7".to_owned())].into();
    let limited = StatusEffect { code: 429, body: None, headers };
    fake.fault(Fault::new("limited", Effect::Status(limited)).times(1)).unwrap();
    for expected in [429, 200, 403] {
        let request = match expected {
            403 => reqwest::Client::new().get(recorder.url().join("api/v1/validate").unwrap()),
            _ => get(&recorder, "api/v1/validate"),
        };
        assert_eq!(request.send().await.unwrap().status().as_u16(), expected);
    }
    recorder.stop().await;

    let replay = replay(&out).await;
    for expected in [429, 200, 403, 403] {
        let response = get(&replay, "api/v1/validate").send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
        let reset = response.headers().get("x-ratelimit-reset").map(|it| it.to_str().unwrap());
        assert_eq!(reset, (expected == 429).then_some("7"));
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}

#[tokio::test]
async fn no_key_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (fake, recorder) = upstream(folder.path()).await;
    let post = |path: &str, body: String| {
        let url = recorder.url().join(path).unwrap();
        reqwest::Client::new().post(url).header("DD-API-KEY", DEFAULT_API_KEY).body(body)
    };
    let path =
        format!("api/v1/validate?api_key={DEFAULT_API_KEY}&application_key={DEFAULT_APP_KEY}");
    get(&recorder, &path).header("Cookie", "session=chocolate").send().await.unwrap();
    get(&recorder, "api/v1/x").header("Authorization", "Bearer vanilla-ice").send().await.unwrap();
    let encoded = "ZmE0ZTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="; // base64(DEFAULT_API_KEY)
    let body = json!({ "api_key": "strawberry", "note": [encoded, "strawberry", "chocolate"] });
    post("api/v1/other", body.to_string()).send().await.unwrap();
    post("api/v1/other", "api_key=rasp%2Bberry&x=rasp%2Bberry".to_owned()).send().await.unwrap();
    recorder.stop().await;
    fake.stop().await;

    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(read(&file).unwrap().len(), 4);
    for secret in [
        DEFAULT_API_KEY,
        DEFAULT_APP_KEY,
        "chocolate",
        "vanilla",
        "strawberry",
        "berry",
        "ZmE0ZTAw",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("<scrubbed>"), "{text}");
}

#[tokio::test]
async fn packed_answers_reach_the_client_packed_and_the_file_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("exchanges.jsonl");
    let packed = || {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(br#"{"packed":true}"#).unwrap();
        encoder.finish().unwrap()
    };
    let answer = async move || {
        let headers = [
            ("content-encoding", "gzip"),
            ("content-type", "application/json"),
            ("set-cookie", "crumb=secret-crumb"),
        ];
        (headers, packed())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let _ = rustls::crypto::ring::default_provider().install_default();

    let recorder = Recording::of(url, &out).unwrap().start().await.unwrap();
    let response =
        get(&recorder, "any").header("Accept-Encoding", "br, gzip").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap(), packed());
    recorder.stop().await;
    let exchanges = read(&out).unwrap();
    assert_eq!(exchanges[0].response.body.as_ref().unwrap().text(), r#"{"packed":true}"#);
    assert!(!std::fs::read_to_string(&out).unwrap().contains("crumb"));

    let replay = replay(&out).await;
    let (status, body) = body_of(get(&replay, "any")).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "packed": true })));
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("exchanges.jsonl");
    let (fake, recorder) = upstream(&out).await;
    let address = fake.url().clone();
    fake.stop().await;
    let (status, body) = body_of(get(&recorder, "api/v1/validate")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let error = body["errors"][0].as_str().unwrap();
    assert!(
        error.starts_with(&format!("fake-datadog record: cannot reach {address}: ")),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1);
    recorder.stop().await;

    // It can be gone on with, even when a line was cut off.
    let text = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, text.clone() + r#"{"time":"20"#).unwrap();
    Recording::of(address, &out).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), text);
    std::fs::write(&out, "shopping list\n").unwrap();
    let error = Replay::load(&out).unwrap_err().to_string();
    assert!(error.contains("exchanges.jsonl:1:1: the first line must be"), "{error}");
}
