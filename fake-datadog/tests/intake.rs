//! What agents and clients send, over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Write;

use fake_datadog::{FakeDatadog, keys::DEFAULT_API_KEY};
use flate2::{Compression, write::ZlibEncoder};
use insta::assert_snapshot;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

#[path = "support/client.rs"]
mod client;

use crate::client::{fake, golden, last_value, now};

fn post(fake: &FakeDatadog, path: &str) -> RequestBuilder {
    let url = fake.url().join(path).unwrap();
    reqwest::Client::new().post(url).header("DD-API-KEY", DEFAULT_API_KEY)
}

async fn control(fake: &FakeDatadog, path: &str) -> Value {
    let url = fake.url().join(path).unwrap();
    reqwest::get(url).await.unwrap().json().await.unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(body).unwrap();
    packed.finish().unwrap()
}

/// A `MetricPayload` with one point, after the layout of `DataDog/agent-payload`.
fn protobuf(metric: &str, value: f64) -> Vec<u8> {
    let field = |number: u8, bytes: &[u8]| {
        let head = [number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        [&head[..], bytes].concat()
    };
    let mut time = u64::try_from(now()).unwrap();
    let mut point = [&[1 << 3 | 1][..], &value.to_le_bytes(), &[2 << 3]].concat();
    while 0x7f < time {
        point.push(u8::try_from(time & 0x7f).unwrap() | 0x80);
        time >>= 7;
    }
    point.push(u8::try_from(time).unwrap());
    let host = [field(1, b"host"), field(2, b"Web-1")].concat();
    field(1, &[field(1, &host), field(2, metric.as_bytes()), field(4, &point)].concat())
}

#[tokio::test]
async fn version_2_takes_json_and_protobuf_in_every_encoding() {
    let fake = fake().await;
    let check = async |metric: &str, content_type: &str, encoding: &str| {
        let body = if content_type.ends_with("protobuf") {
            protobuf(metric, 4.5)
        } else {
            let series = json!({"metric": metric, "type": 3, "points": [{"timestamp": now(), "value": 4.5}],
                "resources": [{"type": "host", "name": "Web-1"}]});
            json!({ "series": [series] }).to_string().into_bytes()
        };
        let body = match encoding {
            "zstd" => zstd::encode_all(&body[..], 1).unwrap(),
            "deflate" => zlib(&body),
            _ => body,
        };
        let request = post(&fake, "api/v2/series")
            .header("Content-Type", content_type)
            .header("Content-Encoding", encoding)
            .body(body);
        assert_eq!(golden(request).await, r#"202 {"errors":[]}"#, "{metric}");
        let query = format!("avg:{metric}{{host:web-1}}.rollup(1)");
        assert_eq!(last_value(&fake, &query).await, json!(4.5), "{metric}");
    };
    for (index, encoding) in ["identity", "deflate", "zstd"].iter().enumerate() {
        check(&format!("json{index}"), "application/json", encoding).await;
        check(&format!("protobuf{index}"), "application/x-protobuf", encoding).await;
    }
}

#[tokio::test]
async fn version_2_refuses_with_a_list_of_errors() {
    let fake = fake().await;
    let url = "api/v2/series";
    assert_snapshot!(golden(post(&fake, url).body("{")).await, @r#"400 {"errors":["Payload is not in the expected format: EOF while parsing an object at line 1 column 1"]}"#);
    let protobuf = post(&fake, url).header("Content-Type", "application/x-protobuf").body("{}");
    assert!(golden(protobuf).await.starts_with(r#"400 {"errors":["Payload is not in"#));
    let br = post(&fake, url).header("Content-Encoding", "br").body("{}");
    assert_snapshot!(golden(br).await, @r#"415 {"errors":["Unsupported Content-Encoding: br"]}"#);
    let large = post(&fake, url).body(vec![b' '; 512_001]);
    assert_snapshot!(golden(large).await, @r#"413 {"errors":["Payload too large"]}"#);
    let bomb =
        post(&fake, url).header("Content-Encoding", "deflate").body(zlib(&vec![b' '; 5_242_881]));
    assert_snapshot!(golden(bomb).await, @r#"413 {"errors":["Payload too large"]}"#);
    let no_key = reqwest::Client::new().post(fake.url().join(url).unwrap()).body("{}");
    assert_snapshot!(golden(no_key).await, @r#"403 {"errors":["Forbidden"]}"#);
}

#[tokio::test]
async fn distribution_points_are_values_of_one_metric() {
    let fake = fake().await;
    let series = json!({"metric": "latency", "host": "a", "points": [[now(), [1.0, 2.0, 6.0]]]});
    let body = json!({ "series": [series] }).to_string();
    let request = post(&fake, "api/v1/distribution_points")
        .header("Content-Encoding", "deflate")
        .body(zlib(body.as_bytes()));
    assert_eq!(golden(request).await, r#"202 {"status": "ok"}"#);
    assert_eq!(last_value(&fake, "max:latency{host:a}.rollup(max, 1)").await, json!(6.0));
    let counts = fake.requests().counts;
    assert!(counts.iter().any(|it| it.path == "/api/v1/distribution_points"), "{counts:?}");
}

#[tokio::test]
async fn checks_and_events_are_kept_for_the_control_api() {
    let fake = fake().await;
    let check = json!([{"check": "app.ok", "host_name": "a", "status": 1, "tags": ["Env:prod"],
        "message": "slow", "timestamp": 1_600_000_000}, {"check": "db.ok", "host_name": "a",
        "status": 0, "tags": []}]);
    let request = post(&fake, "api/v1/check_run").json(&check);
    assert_eq!(golden(request).await, r#"202 {"status": "ok"}"#);
    let checks = control(&fake, "fake/checks").await;
    // The first is older than ten minutes.
    assert_eq!(checks.as_array().unwrap().len(), 1);
    assert_eq!((&checks[0]["check"], &checks[0]["status"]), (&json!("db.ok"), &json!(0)));

    let body = json!({"internalHostname": "a", "events": {"api": [{"msg_title": "deployed"}]}});
    let packed = zstd::encode_all(body.to_string().as_bytes(), 1).unwrap();
    let request = post(&fake, "intake/").header("Content-Encoding", "zstd").body(packed);
    assert_eq!(golden(request).await, r#"202 {"status": "ok"}"#);
    let events = control(&fake, "fake/events").await;
    assert_eq!((&events[0]["title"], &events[0]["host"]), (&json!("deployed"), &json!("a")));
}
