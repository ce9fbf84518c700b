//! Each effect of a fault as a client meets it, over a real socket.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Endpoint, Fault, Handshake, Latency, Skew, Span, Which},
    keys::{self, DEFAULT_API_KEY},
    server::Tls,
};
use insta::assert_snapshot;
use jiff::Timestamp;
use reqwest::StatusCode;
use serde_json::json;

#[path = "support/client.rs"]
mod client;

use crate::client::{ask, body_of, constant, control, fake, get, golden, now, scenario, start};

/// A fake with one series and one fault.
async fn with(effect: Effect) -> FakeDatadog {
    let fake = fake().await;
    fake.script(constant("m", "a:b", 1.0)).unwrap();
    fake.fault(Fault::new("f", effect)).unwrap();
    fake
}

/// The text of an answer to a query of four points.
async fn text(fake: &FakeDatadog) -> String {
    let from = now() - 100;
    ask(fake, "avg:m{*}.rollup(1)", from, from + 3).send().await.unwrap().text().await.unwrap()
}

/// The values in that answer, as they stand in the text.
async fn values(fake: &FakeDatadog) -> String {
    let text = text(fake).await;
    let list = text.split(r#""pointlist":["#).nth(1).unwrap().split("]]").next().unwrap();
    list.split("],").map(|pair| pair.split(',').nth(1).unwrap()).collect::<Vec<_>>().join(" ")
}

/// The kinds of all I/O errors behind `error`.
fn kinds(error: &(dyn Error + 'static)) -> Vec<ErrorKind> {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.filter_map(|it| it.downcast_ref::<std::io::Error>()).map(std::io::Error::kind).collect()
}

// === what comes over the wire ===

#[tokio::test]
async fn a_reset_is_a_reset_and_not_an_end() {
    let fake = with(Effect::ConnectionReset).await;
    let error = get(&fake, "api/v1/validate").send().await.unwrap_err();
    assert!(kinds(&error).contains(&ErrorKind::ConnectionReset), "{error:?}");
    let address = fake.url().socket_addrs(|| None).unwrap()[0];
    let raw = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /api/v1/validate HTTP/1.1\r\nhost: fake\r\n\r\n").unwrap();
        stream.read(&mut [0]).unwrap_err().kind()
    });
    assert_eq!(raw.await.unwrap(), ErrorKind::ConnectionReset);
    let statuses: Vec<_> = fake.requests().requests.iter().map(|it| it.status).collect();
    assert_eq!(statuses, [444, 444]);
    assert_eq!(fake.faults().faults[0].hits, 2);
}

#[tokio::test]
async fn a_truncated_body_ends_before_its_announced_length() {
    let fake = with(Effect::TruncatedBody(10)).await;
    let mut response = get(&fake, "api/v1/validate").send().await.unwrap();
    assert_eq!(response.content_length(), Some(14));
    assert_eq!(response.chunk().await.unwrap().unwrap(), r#"{"valid":t"#);
    response.chunk().await.unwrap_err();
}

#[tokio::test]
async fn a_slow_body_comes_in_chunks_and_whole() {
    let fake = with(Effect::SlowBody(50)).await;
    let response = get(&fake, "api/v1/validate").send().await.unwrap();
    assert_eq!(response.headers()["transfer-encoding"], "chunked");
    assert_eq!(response.text().await.unwrap(), r#"{"valid":true}"#);
}

#[tokio::test]
async fn a_malformed_body_is_no_json() {
    let fake = with(Effect::MalformedJson).await;
    let response = get(&fake, "api/v1/validate").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), r#"{"valid"#);
}

#[tokio::test]
async fn a_wrong_content_type_leaves_the_body_alone() {
    let fake = with(Effect::ContentType("text/html".to_owned())).await;
    let response = get(&fake, "api/v1/validate").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html");
    assert_eq!(response.text().await.unwrap(), r#"{"valid":true}"#);
}

// === what is answered ===

#[tokio::test]
async fn values_of_points_are_replaced_by_nan_or_null() {
    assert_eq!(values(&with(Effect::NanPoints(Which::Last(2))).await).await, "1.0 1.0 NaN NaN");
    assert_eq!(values(&with(Effect::NullPoints(Which::Every(2))).await).await, "1.0 null 1.0 null");
    assert_eq!(values(&with(Effect::NullPoints(Which::All)).await).await, "null null null null");
}

/// Status and attributes of an answer of version 2 to a query of four points.
async fn formula(effect: Effect) -> (u16, String) {
    let fake = with(effect).await;
    let from = now() - 100;
    let body = json!({"data": {"type": "timeseries_request", "attributes": {
        "from": from * 1000, "to": (from + 4) * 1000, "formulas": [{"formula": "a"}],
        "queries": [{"data_source": "metrics", "name": "a", "query": "avg:m{*}.rollup(1)"}],
    }}});
    let url = fake.url().join("api/v2/query/timeseries").unwrap();
    let request = reqwest::Client::new().post(url).body(body.to_string());
    let request = request.header("DD-API-KEY", DEFAULT_API_KEY);
    let request = request.header("DD-APPLICATION-KEY", keys::DEFAULT_APP_KEY);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let values = text.split_once(r#""values":"#).map_or(&text[..], |(_, values)| values);
    (status, values.to_owned())
}

#[tokio::test]
async fn faults_of_queries_hit_those_of_version_2_too() {
    let check = async |effect: Effect, status: u16, expected: &str| {
        let what = format!("{effect:?}");
        assert_eq!(formula(effect).await, (status, expected.to_owned()), "{what}");
    };
    check(Effect::NanPoints(Which::Last(2)), 200, "[[1.0,1.0,NaN,NaN]]}}}").await;
    check(Effect::NullPoints(Which::Every(2)), 200, "[[1.0,null,1.0,null]]}}}").await;
    check(Effect::Empty, 200, "[]}}}").await;
    // The newest point is older than the window.
    check(Effect::Stale(Span::from_secs(3600)), 200, "[]}}}").await;
    let words = r#"{"errors":["Bad luck"]}"#;
    check(Effect::QueryError("Bad luck".to_owned()), 400, words).await;
    let words = r#"{"errors":["Query timed out"]}"#;
    check(Effect::QueryTimeout(Span::from_secs(0)), 400, words).await;
}

#[tokio::test]
async fn a_clock_ahead_shows_in_the_date_and_in_the_points() {
    let ahead = Effect::ClockSkew(Skew::Ahead(Span::from_secs(3600)));
    let fake = with(ahead).await;
    let asked_at = now();
    let request = ask(&fake, "avg:m{*}.rollup(60)", asked_at, asked_at + 7200);
    let response = request.send().await.unwrap();
    let date = response.headers()["date"].to_str().unwrap();
    let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp().as_second();
    assert!((3595..=3605).contains(&(date - asked_at)), "{date}");
    let body: serde_json::Value = response.json().await.unwrap();
    let points = body["series"][0]["pointlist"].as_array().unwrap();
    let newest = points.iter().rev().find(|point| !point[1].is_null()).unwrap();
    let ahead = newest[0].as_i64().unwrap() / 1000 - asked_at;
    assert!((3500..=3605).contains(&ahead), "{ahead}");
}

#[tokio::test]
async fn a_query_times_out_in_datadogs_words_after_a_wait() {
    let wait = Duration::from_millis(200);
    let fake = with(Effect::QueryTimeout(wait.into())).await;
    let answer = golden(ask(&fake, "avg:m{*}", 0, 60)).await;
    assert!(200 <= fake.requests().requests[0].duration_ms);
    assert_snapshot!(answer, @r#"400 {"status":"error","error":"Query timed out"}"#);
    assert_eq!(get(&fake, "api/v1/validate").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_key_is_forbidden_and_others_are_not() {
    let fingerprint = keys::fingerprint(&DEFAULT_API_KEY.into());
    let fake = with(Effect::KeyRevoked(vec![fingerprint])).await;
    assert_snapshot!(golden(get(&fake, "api/v1/validate")).await, @r#"403 {"status":"error","code":403,"errors":["Forbidden"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    fake.fault(Fault::new("f", Effect::KeyRevoked(vec!["cafe0000".to_owned()]))).unwrap();
    assert_eq!(get(&fake, "api/v1/validate").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn latencies_hold_answers_up() {
    let latency = Duration::from_millis(100).into();
    let fake = with(Effect::Latency(Latency::Jitter { base: latency, jitter: latency })).await;
    get(&fake, "api/v1/validate").send().await.unwrap();
    assert!(100 <= fake.requests().requests[0].duration_ms);
}

// === TLS ===

#[tokio::test]
async fn handshakes_fail_with_an_alert_or_a_close() {
    let fake = start(FakeDatadog::builder().tls(Tls::made())).await;
    let ca = reqwest::Certificate::from_pem(fake.ca_pem().unwrap().as_bytes()).unwrap();
    let url = fake.https_url().unwrap().join("api/v1/validate").unwrap();
    let try_it = async || {
        let client = reqwest::Client::builder().tls_certs_only([ca.clone()]).build().unwrap();
        client.get(url.clone()).header("DD-API-KEY", DEFAULT_API_KEY).send().await
    };
    fake.fault(Fault::new("tls", Effect::TlsFailure(Handshake::Alert)).times(1)).unwrap();
    let error = format!("{:?}", try_it().await.unwrap_err());
    assert!(error.contains("AlertReceived(HandshakeFailure)"), "{error}");
    fake.fault(Fault::new("tls", Effect::TlsFailure(Handshake::Close)).times(1)).unwrap();
    let error = format!("{:?}", try_it().await.unwrap_err());
    assert!(error.contains("UnexpectedEof"), "{error}");
    assert_eq!(try_it().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_reset_works_under_tls_too() {
    let fake = start(FakeDatadog::builder().tls(Tls::made())).await;
    fake.fault(Fault::new("f", Effect::ConnectionReset)).unwrap();
    let ca = reqwest::Certificate::from_pem(fake.ca_pem().unwrap().as_bytes()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
    let url = fake.https_url().unwrap().join("api/v1/validate").unwrap();
    let error = client.get(url).send().await.unwrap_err();
    assert!(kinds(&error).contains(&ErrorKind::ConnectionReset), "{error:?}");
}

// === which requests, and when ===

#[tokio::test]
async fn faults_and_how_they_stand_are_listed() {
    let fake = start(scenario(
        "faults:
          - {name: later, at: 1h, for: 5m, effect: {status: {code: 500}}}
          - {name: now, path: /api/v1/val, times: 2, effect: {status: {code: 502}}}",
    ))
    .await;
    let status = get(&fake, "api/v1/validate").send().await.unwrap().status();
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert_eq!(ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap().status(), StatusCode::OK);
    let listed = control(&fake).faults().await.unwrap();
    assert_eq!(listed, fake.faults());
    let standing: Vec<_> = listed
        .faults
        .iter()
        .map(|it| (it.fault.name.as_str(), it.active, it.hits, it.remaining))
        .collect();
    assert_eq!(standing, [("later", false, 0, None), ("now", true, 1, Some(1))]);
    let ahead = listed.faults[0].from.duration_since(Timestamp::now()).as_secs();
    assert!((3590..=3600).contains(&ahead), "{ahead}");
    let (_, body) =
        body_of(reqwest::Client::new().get(fake.url().join("fake/faults").unwrap())).await;
    assert_eq!(
        body["faults"][1]["fault"],
        json!({"name": "now", "endpoint": "any",
        "path": "/api/v1/val", "times": 2, "effect": {"status": {"code": 502}}})
    );
}

#[tokio::test]
async fn one_fault_is_lifted_by_its_name() {
    let fake = with(Effect::status(500)).await;
    fake.fault(Fault::new("g", Effect::Empty).on(Endpoint::Query)).unwrap();
    let url = fake.url().join("fake/faults?name=f").unwrap();
    let (_, removed) = body_of(reqwest::Client::new().delete(url)).await;
    assert_eq!(removed, json!({ "removed": 1 }));
    assert_eq!(fake.faults().faults.len(), 1);
    assert_eq!(get(&fake, "api/v1/validate").send().await.unwrap().status(), StatusCode::OK);
}
