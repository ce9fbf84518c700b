//! What agents and clients send, over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Write;

use fake_datadog::{
    FakeDatadog,
    keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY},
};
use flate2::{Compression, write::ZlibEncoder};
use insta::assert_snapshot;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

#[path = "support/client.rs"]
mod client;

use crate::client::{constant, fake, get, golden, last_value, now};

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

// === what there is ===

#[tokio::test]
async fn active_metrics_are_listed_by_time_host_and_tags() {
    let fake = fake().await;
    fake.submit("system.load.1", ["host:a", "env:prod"], &[(now() - 1800, 1.0)]);
    fake.submit("nginx.requests", ["host:b", "env:test"], &[(now(), 1.0)]);
    fake.script(constant("queue.depth", "env:test", 1.0)).unwrap();
    let list = async |parameters: &[(&str, &str)]| {
        golden(get(&fake, "api/v1/metrics").query(parameters)).await
    };
    assert_snapshot!(list(&[("from", "0")]).await, @r#"200 {"metrics":["nginx.requests","queue.depth","system.load.1"],"from":"0"}"#);
    assert_snapshot!(list(&[("from", "0"), ("host", "a")]).await, @r#"200 {"metrics":["system.load.1"],"from":"0"}"#);
    assert_snapshot!(list(&[("from", "0"), ("tag_filter", "env IN (test) AND NOT host:a")]).await, @r#"200 {"metrics":["nginx.requests","queue.depth"],"from":"0"}"#);
    assert_snapshot!(list(&[("from", "0"), ("tag_filter", "env:(")]).await, @r#"400 {"errors":["The value provided for parameter 'tag_filter' is invalid"]}"#);
    assert_snapshot!(list(&[]).await, @r#"400 {"errors":["The parameter 'from' is required"]}"#);
    let recent = list(&[("from", &(now() - 60).to_string())]).await;
    assert!(recent.starts_with(r#"200 {"metrics":["nginx.requests","queue.depth"],"#), "{recent}");
}

#[tokio::test]
async fn metrics_and_hosts_are_found_by_a_part_of_their_name() {
    let fake = fake().await;
    fake.submit("nginx.requests", ["host:web-1"], &[(now(), 1.0)]);
    fake.submit("system.load.1", ["host:db-1"], &[(now(), 1.0)]);
    let search = async |q: &str| golden(get(&fake, "api/v1/search").query(&[("q", q)])).await;
    assert_snapshot!(search("metrics:load").await, @r#"200 {"results":{"metrics":["system.load.1"]}}"#);
    assert_snapshot!(search("hosts:web").await, @r#"200 {"results":{"hosts":["web-1"]}}"#);
    assert_snapshot!(search("1").await, @r#"200 {"results":{"metrics":["system.load.1"],"hosts":["db-1","web-1"]}}"#);
    assert_snapshot!(golden(get(&fake, "api/v1/search")).await, @r#"400 {"errors":["The parameter 'q' is required"]}"#);
}

#[tokio::test]
async fn metadata_is_what_was_set_and_else_what_was_submitted() {
    let fake = fake().await;
    let metadata = async || golden(get(&fake, "api/v1/metrics/m")).await;
    assert_snapshot!(metadata().await, @r#"404 {"errors": ["metric_name not found"]}"#);
    fake.submit("m", ["a:b"], &[(now(), 1.0)]);
    assert_snapshot!(metadata().await, @r#"200 {"description":null,"short_name":null,"integration":null,"statsd_interval":null,"per_unit":null,"type":null,"unit":null}"#);
    let series = json!({"metric": "m", "type": 1, "unit": "byte",
        "points": [{"timestamp": now(), "value": 1}]});
    let request = post(&fake, "api/v2/series").json(&json!({ "series": [series] }));
    assert!(golden(request).await.starts_with("202 "));
    assert_snapshot!(metadata().await, @r#"200 {"description":null,"short_name":null,"integration":null,"statsd_interval":null,"per_unit":null,"type":"count","unit":"byte"}"#);

    let put = async |path: &str, body: Value| {
        let url = fake.url().join(path).unwrap();
        let request = reqwest::Client::new().put(url).json(&body);
        let keys = [("api_key", DEFAULT_API_KEY), ("application_key", DEFAULT_APP_KEY)];
        golden(request.query(&keys)).await
    };
    // As recorded in `TestMetrics` of `DataDog/datadog-api-client-go`.
    let change = json!({"description": "description", "per_unit": "second", "type": "rate",
        "short_name": "short_name", "statsd_interval": 20});
    assert_snapshot!(put("api/v1/metrics/m", change).await, @r#"200 {"description":"description","short_name":"short_name","integration":null,"statsd_interval":20,"per_unit":"second","type":"rate","unit":"byte"}"#);
    assert_snapshot!(put("api/v1/metrics/ametric", json!({})).await, @r#"404 {"errors": ["metric_name not found"]}"#);
}

#[tokio::test]
async fn version_2_lists_metrics_in_pages_and_tags_of_one() {
    let fake = fake().await;
    for metric in ["a", "b", "c"] {
        fake.submit(metric, [format!("name:{metric}"), "env:prod".to_owned()], &[(now(), 1.0)]);
    }
    let list = async |parameters: &[(&str, &str)]| {
        golden(get(&fake, "api/v2/metrics").query(parameters)).await
    };
    assert_snapshot!(list(&[]).await, @r#"200 {"data":[{"type":"metrics","id":"a"},{"type":"metrics","id":"b"},{"type":"metrics","id":"c"}]}"#);
    assert_snapshot!(list(&[("filter[tags]", "name:b")]).await, @r#"200 {"data":[{"type":"metrics","id":"b"}]}"#);
    assert_snapshot!(list(&[("filter[configured]", "true")]).await, @r#"200 {"data":[]}"#);
    assert_snapshot!(list(&[("page[size]", "2")]).await, @r#"200 {"data":[{"type":"metrics","id":"a"},{"type":"metrics","id":"b"}],"meta":{"pagination":{"cursor":null,"next_cursor":"62","limit":2,"type":"cursor_limit"}}}"#);
    assert_snapshot!(list(&[("page[size]", "2"), ("page[cursor]", "63")]).await, @r#"200 {"data":[]}"#);
    let tags =
        async |metric: &str| golden(get(&fake, &format!("api/v2/metrics/{metric}/all-tags"))).await;
    assert_snapshot!(tags("a").await, @r#"200 {"data":{"type":"metrics","id":"a","attributes":{"tags":["env:prod","name:a"]}}}"#);
    assert_snapshot!(tags("x").await, @r#"404 {"errors":["Not found"]}"#);
}
