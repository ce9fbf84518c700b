//! The fake as a client sees it: real HTTP, whole bodies.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::Write;

use fake_datadog::keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use insta::assert_snapshot;
use reqwest::StatusCode;
use serde_json::json;

#[path = "support/client.rs"]
mod client;

use crate::client::{
    ask, base, constant, control, fake, get, golden, golden_since, last_value, now, scenario,
    start, submit,
};

// === GET /api/v1/query ===

#[tokio::test]
async fn an_answer_has_datadogs_fields_in_datadogs_order() {
    let (fake, base) = (fake().await, base());
    let points = [(base, 20.0), (base + 10, 30.0), (base + 60, 9.5)];
    fake.submit("nginx.net.request_per_s", ["kube_container_name:nginx"], &points);
    let query = "avg:nginx.net.request_per_s{kube_container_name:nginx}.rollup(20)";
    let answer = golden_since(base, ask(&fake, query, base - 5, base + 65)).await;
    assert_snapshot!(answer, @r#"
    200 {"status":"ok","res_type":"time_series","resp_version":1,"query":"avg:nginx.net.request_per_s{kube_container_name:nginx}.rollup(20)","from_date":<-5>000,"to_date":<65>000,
    "series":[
    {"metric":"nginx.net.request_per_s","display_name":"nginx.net.request_per_s","expression":"avg:nginx.net.request_per_s{kube_container_name:nginx}.rollup(20)","scope":"kube_container_name:nginx","tag_set":[],"query_index":0,"aggr":"avg","interval":20,"length":4,"start":<0>000,"end":<79>000,
    "pointlist":[[<0>000,25.0],[<20>000,null],[<40>000,null],[<60>000,9.5]],"unit":null,"attributes":{}}],
    "group_by":[],"message":"","times":[],"values":[]}
    "#);
}

#[tokio::test]
async fn several_queries_are_told_apart_by_query_index_and_share_their_timestamps() {
    let (fake, base) = (fake().await, base());
    fake.submit("a", ["pod:x"], &[(base, 1.0), (base + 20, 2.0)]);
    fake.submit("a", ["pod:y"], &[(base, 5.0)]);
    fake.submit("B", ["pod:x"], &[(base, 7.0)]);
    let query = "sum:a{*} by {pod}.rollup(20), max:none{*}, m{*}, max:B{POD:X}.rollup(max,50)";
    let answer = golden_since(base, ask(&fake, query, base, base + 59)).await;
    assert_snapshot!(answer, @r#"
    200 {"status":"ok","res_type":"time_series","resp_version":1,"query":"sum:a{*} by {pod}.rollup(20), max:none{*}, m{*}, max:B{POD:X}.rollup(max,50)","from_date":<0>000,"to_date":<59>000,
    "series":[
    {"metric":"a","display_name":"a","expression":"sum:a{pod:x}.rollup(20)","scope":"pod:x","tag_set":["pod:x"],"query_index":0,"aggr":"sum","interval":20,"length":4,"start":<0>000,"end":<59>000,
    "pointlist":[[<0>000,1.0],[<20>000,2.0],[<40>000,null],[<50>000,null]],"unit":null,"attributes":{}},
    {"metric":"a","display_name":"a","expression":"sum:a{pod:y}.rollup(20)","scope":"pod:y","tag_set":["pod:y"],"query_index":0,"aggr":"sum","interval":20,"length":4,"start":<0>000,"end":<59>000,
    "pointlist":[[<0>000,5.0],[<20>000,null],[<40>000,null],[<50>000,null]],"unit":null,"attributes":{}},
    {"metric":"B","display_name":"B","expression":"max:B{pod:x}.rollup(max,50)","scope":"pod:x","tag_set":[],"query_index":3,"aggr":"max","interval":50,"length":4,"start":<0>000,"end":<99>000,
    "pointlist":[[<0>000,7.0],[<20>000,null],[<40>000,null],[<50>000,null]],"unit":null,"attributes":{}}],
    "group_by":["pod"],"message":"","times":[],"values":[]}
    "#);
}

#[tokio::test]
async fn an_unknown_metric_has_no_series() {
    let (fake, base) = (fake().await, base());
    let answer = golden_since(base, ask(&fake, "avg:none{*}", base, base + 60)).await;
    assert_snapshot!(answer, @r#"
    200 {"status":"ok","res_type":"time_series","resp_version":1,"query":"avg:none{*}","from_date":<0>000,"to_date":<60>000,
    "series":[],
    "group_by":[],"message":"","times":[],"values":[]}
    "#);
}

#[tokio::test]
async fn answers_carry_datadogs_headers() {
    let fake = fake().await;
    let response = ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("cache-control"), "no-cache");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("x-frame-options"), "SAMEORIGIN");
}

#[tokio::test]
async fn one_bad_query_fails_all_of_them() {
    let fake = fake().await;
    fake.script(constant("m", "a:b", 1.0)).unwrap();
    let answer = golden(ask(&fake, "avg:m{*},avg:m{", 100_000, 100_060)).await;
    assert_snapshot!(answer, @r#"400 {"status":"error","error":"Error parsing query:\nunable to parse avg:m{*},avg:m{: Rule 'scope_expr' didn't match at '' (line 1, column 16)."}"#);
}

#[tokio::test]
async fn a_bad_query_can_also_be_a_200() {
    let fake = start(scenario("query_error_mode: http200")).await;
    let request = ask(&fake, "avg:m{a:b AND c:d,e:f}", 100_000, 100_060);
    assert_snapshot!(golden(request).await, @r#"
    200 {"status":"error","res_type":"time_series","resp_version":1,"query":"avg:m{a:b AND c:d,e:f}","from_date":100000000,"to_date":100060000,
    "series":[],
    "group_by":[],"message":"","times":[],"values":[],"error":"Error parsing query:\n'AND' and 'OR' cannot be mixed with ',' (line 1, column 18)"}
    "#);
}

#[tokio::test]
async fn parameters_that_are_missing_or_wrong_are_named() {
    let fake = fake().await;
    let check =
        async |params: &[(&str, &str)]| golden(get(&fake, "api/v1/query").query(params)).await;
    let query = ("query", "avg:m{*}");
    assert_snapshot!(check(&[("to", "600000"), query]).await, @r#"400 {"errors":["The parameter 'from' is required"]}"#);
    assert_snapshot!(check(&[("from", "now"), ("to", "600000"), query]).await, @r#"400 {"errors":["The value provided for parameter 'from' is invalid"]}"#);
    assert_snapshot!(check(&[("from", "-1"), ("to", "600000"), query]).await, @r#"400 {"errors":["The value provided for parameter 'from' is invalid"]}"#);
    assert_snapshot!(check(&[("from", "0"), query]).await, @r#"400 {"errors":["The parameter 'to' is required"]}"#);
    assert_snapshot!(check(&[("from", "0"), ("to", "9223372036854775807"), query]).await, @r#"400 {"errors":["The value provided for parameter 'to' is invalid"]}"#);
    assert_snapshot!(check(&[("from", "600000"), ("to", "600000"), query]).await, @r#"400 {"errors":["query end is not after query start"]}"#);
    assert_snapshot!(check(&[("from", "0"), ("to", "600000")]).await, @r#"400 {"errors":["The parameter 'query' is required"]}"#);
    assert_snapshot!(check(&[("from", "0"), ("to", "600000"), ("query", " ")]).await, @r#"400 {"errors":["The value provided for parameter 'query' is invalid"]}"#);
}

// === keys ===

#[tokio::test]
async fn keys_are_checked_as_datadog_does() {
    let fake = fake().await;
    let check = async |path: &str, api: Option<&str>, app: Option<&str>| {
        let mut request = reqwest::Client::new().get(fake.url().join(path).unwrap());
        if let Some(api) = api {
            request = request.header("DD-API-KEY", api);
        }
        if let Some(app) = app {
            request = request.header("DD-APPLICATION-KEY", app);
        }
        golden(request).await
    };
    let (validate, query) = ("api/v1/validate", "api/v1/query?from=0&to=60&query=avg:m%7B*%7D");
    assert_snapshot!(check(validate, Some(DEFAULT_API_KEY), None).await, @r#"200 {"valid":true}"#);
    assert_snapshot!(check(validate, None, None).await, @r#"403 {"errors":["API key required"]}"#);
    assert_snapshot!(check(validate, Some("wrong"), None).await, @r#"403 {"status":"error","code":403,"errors":["Forbidden"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    assert!(check(query, Some(DEFAULT_API_KEY), Some(DEFAULT_APP_KEY)).await.starts_with("200 "));
    assert_snapshot!(check(query, Some(DEFAULT_API_KEY), None).await, @r#"403 {"status":"error","code":403,"errors":["Forbidden"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    assert!(check(query, Some(DEFAULT_API_KEY), Some("wrong")).await.starts_with("403 "));
    assert!(check(query, Some("wrong"), Some(DEFAULT_APP_KEY)).await.starts_with("403 "));
}

#[tokio::test]
async fn keys_may_be_parameters() {
    let fake = fake().await;
    let url = fake.url().join("api/v1/query").unwrap();
    let request = reqwest::Client::new()
        .get(url)
        .query(&[("api_key", DEFAULT_API_KEY), ("application_key", DEFAULT_APP_KEY)])
        .query(&[("from", "0"), ("to", "60"), ("query", "avg:m{*}")]);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

// === POST /api/v1/series ===

#[tokio::test]
async fn submitted_points_can_be_queried_whatever_the_encoding() {
    let fake = fake().await;
    let payload = |metric: &str| {
        let series = json!({"metric": metric, "points": [[now(), 4.5]], "type": "gauge",
            "host": "Web-1", "tags": ["Env:Prod"]});
        json!({ "series": [series] }).to_string().into_bytes()
    };
    let check = async |metric: &str, encoding: &str, body: Vec<u8>| {
        let request = submit(&fake).header("Content-Encoding", encoding).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{encoding}");
        assert_eq!(response.headers()["content-type"], "text/json");
        assert_eq!(response.text().await.unwrap(), r#"{"status": "ok"}"#);
        let query = format!("avg:{metric}{{env:prod,host:web-1}}.rollup(1)");
        assert_eq!(last_value(&fake, &query).await, json!(4.5), "{encoding}");
    };
    check("plain", "identity", payload("plain")).await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&payload("gzip")).unwrap();
    check("gzip", "gzip", gzip.finish().unwrap()).await;
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&payload("zlib")).unwrap();
    check("zlib", "deflate", zlib.finish().unwrap()).await;
}

#[tokio::test]
async fn bad_submissions_are_refused_as_a_whole() {
    let fake = fake().await;
    let check = async |body: &str| golden(submit(&fake).body(body.to_owned())).await;
    assert_snapshot!(check("{").await, @r#"400 {"status":"error","code":400,"errors":["Payload is not in the expected format: EOF while parsing an object at line 1 column 1"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    assert_snapshot!(check(r#"{"series": [{"metric": "m"}]}"#).await, @r#"400 {"status":"error","code":400,"errors":["Payload is not in the expected format: missing field `points` at line 1 column 27"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    let packed = submit(&fake).header("Content-Encoding", "gzip").body("not gzip");
    assert!(golden(packed).await.starts_with("400 "));
    let zstd = submit(&fake).header("Content-Encoding", "zstd").body("x");
    assert_snapshot!(golden(zstd).await, @r#"415 {"errors":["Unsupported Content-Encoding: zstd"]}"#);
    let no_key = reqwest::Client::new().post(fake.url().join("api/v1/series").unwrap());
    assert!(golden(no_key.body("{}")).await.starts_with("403 "));
    let large = submit(&fake).body(vec![b' '; 3_200_001]);
    assert_snapshot!(golden(large).await, @r#"413 {"status":"error","code":413,"errors":["Payload too large"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 62_914_561]).unwrap();
    let bomb = submit(&fake).header("Content-Encoding", "gzip").body(bomb.finish().unwrap());
    assert!(golden(bomb).await.starts_with("413 "));
}

#[tokio::test]
async fn points_that_datadog_would_not_keep_are_dropped_without_an_error() {
    let fake = fake().await;
    let points = json!([[now() - 3700, 1], [now() + 700, 1], [now(), null], [now(), 2]]);
    let body = json!({"series": [
        {"metric": "m", "points": points},
        {"metric": "1m", "points": [[now(), 1]]},
    ]});
    let response = submit(&fake).json(&body).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    let health = control(&fake).health().await.unwrap();
    assert_eq!((health.series, health.points, health.dropped_points), (1, 1, 3));
}
