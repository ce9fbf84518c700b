//! The control API over HTTP, and how a fake starts and stops.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use fake_datadog::{
    FakeDatadog, Scenario, StartError,
    control::{ClockChange, Effect, Endpoint, Fault, Script, Shape, Span, StatusEffect, TimeScale},
    keys::DEFAULT_API_KEY,
};
use insta::assert_snapshot;
use reqwest::{Response, StatusCode};
use serde_json::json;

#[path = "support/client.rs"]
mod client;

use crate::client::{
    ask, body_of, constant, control, fake, get, golden, golden_since, last_value, now, scenario,
    start, submit,
};

// === control API ===

#[tokio::test]
async fn a_script_is_served_until_it_is_removed() {
    let fake = fake().await;
    let control = control(&fake);
    let accepted = control.script(&constant("m", "Pod:A", 4.0)).await.unwrap();
    assert_eq!((accepted.metric.as_str(), &accepted.tags[..]), ("m", &["pod:a".to_owned()][..]));
    control.script(&constant("m", "pod:b", 8.0)).await.unwrap();
    assert_eq!(last_value(&fake, "sum:m{*}").await, json!(12.0));
    assert_eq!(last_value(&fake, "sum:m{pod:a}").await, json!(4.0));
    assert_eq!(control.health().await.unwrap().scripts, 2);

    let url = fake.url().join("fake/series?metric=m&tags=pod:a").unwrap();
    let (_, removed) = body_of(reqwest::Client::new().delete(url)).await;
    assert_eq!(removed, json!({ "removed": 1 }));
    assert_eq!(last_value(&fake, "sum:m{*}").await, json!(8.0));
    assert_eq!(control.clear_scripts().await.unwrap().removed, 1);
    assert_eq!(last_value(&fake, "sum:m{*}").await, json!(null));
}

#[tokio::test]
async fn the_scenario_can_be_held_and_moved_on() {
    let fake = start(scenario(
        "{time_scale: 0, series: [{metric: m, shape: {step: [{at: 0s, value: 1}, {at: 1h, value: 2}]}}]}",
    ))
    .await;
    let control = control(&fake);
    assert_eq!(last_value(&fake, "avg:m{*}").await, json!(1.0));
    let skipped = ClockChange { advance: Some(Span::from_secs(3600)), time_scale: None };
    assert!((control.set_clock(&skipped).await.unwrap().elapsed_s - 3600.0).abs() < 1e-6);
    // Faults go by the same time, and one that is set now is in force now.
    fake.fault(Fault::new("now", Effect::Empty)).unwrap();
    fake.fault(Fault::new("later", Effect::Empty).starting_at(Span::from_secs(600))).unwrap();
    let in_force = || fake.faults().faults.iter().map(|it| it.active).collect::<Vec<_>>();
    assert_eq!(in_force(), [true, false]);
    fake.set_clock(ClockChange { advance: Some(Span::from_secs(600)), time_scale: None });
    assert_eq!(in_force(), [true, true]);
    fake.clear_faults();
    let (before, after) = (fake.clock(), control.clock().await.unwrap());
    assert!((before.elapsed_s - after.elapsed_s).abs() < 1e-6, "it stands still");
    let scale = ClockChange { advance: None, time_scale: Some(TimeScale::REAL) };
    assert_eq!(fake.set_clock(scale).time_scale, TimeScale::REAL);
}

#[tokio::test]
async fn a_scenario_is_changed_and_read_at_run_time() {
    let fake = fake().await;
    let control = control(&fake);
    fake.submit("other", ["a:b"], &[(now(), 5.0)]);
    let yaml = "
seed: 4
series:
  - {metric: m, start: -1m, tags: ['pod:{pod}'], for: {pod: 1..3}, shape: {constant: 2}}
faults: [{name: late, at: 1h, effect: empty}]
";
    control.set_scenario(yaml).await.unwrap();
    assert_eq!(last_value(&fake, "sum:m{*}").await, json!(6.0));
    assert_eq!(last_value(&fake, "sum:other{*}").await, json!(5.0));
    let series = control.series().await.unwrap().series;
    assert_eq!((series.len(), &series[2].tags[0][..], series[2].value), (3, "pod:3", Some(2.0)));

    let accepted = fake.script(constant("n", "a:b", 1.0)).unwrap();
    assert_eq!(accepted.series, 1);
    let text = control.scenario().await.unwrap();
    let again = Scenario::parse(&text).unwrap();
    assert_eq!((again.seed, again.series.len(), again.count_series()), (4, 2, 4));
    assert_eq!((&again.series[0].tags[0][..], again.faults.len()), ("pod:{pod}", 1));
    control.set_scenario(&text).await.unwrap();
    assert_eq!(fake.scenario(), again);

    let refused = control.set_scenario("series:\n  - {metric: m}\n").await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.ends_with("400: bad scenario: 2:6: missing field `shape`"), "{refused}");
    assert_eq!(fake.scenario(), again, "nothing has changed");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_bytes() {
    let yaml = "
series:
  - metric: m
    start: -5m
    noise: 3
    tags: ['pod:{pod}']
    for: {pod: 1..5}
    shape: {random_walk: {start: 5, step: 1, min: 0, max: 10}}
";
    let answer = async |seed| {
        let mut scenario = Scenario::parse(yaml).unwrap();
        scenario.seed = seed;
        let fake = start(FakeDatadog::builder().scenario(scenario)).await;
        let first = fake.series().series[0].start.as_second();
        // The same window of the scenario, wherever the two of them are in time.
        golden_since(first, ask(&fake, "avg:m{*} by {pod}.rollup(1)", first, first + 100)).await
    };
    let first = answer(7).await;
    assert!(first.matches("\"metric\":\"m\"").count() == 5, "{first}");
    assert_eq!(answer(7).await, first);
    assert_ne!(answer(8).await, first);
}

#[tokio::test]
async fn control_calls_that_make_no_sense_say_why() {
    let fake = fake().await;
    let http = reqwest::Client::new();
    let put = async |path: &str, body: &str| {
        let url = fake.url().join(path).unwrap();
        golden(http.put(url).body(body.to_owned())).await
    };
    let series = "fake/series";
    assert_snapshot!(put(series, r#"{"metric": "m", "shape": {"saw": 1}}"#).await, @r#"400 {"error":"bad script: unknown variant `saw`, expected one of `constant`, `step`, `ramp`, `sine`, `random_walk`, `burst`, `replay`, `timeline`, `csv`, `answer` at line 1 column 31"}"#);
    assert_snapshot!(put(series, r#"{"metric": "1", "shape": {"constant": 1}}"#).await, @r#"400 {"error":"metric `1` is no metric name: letters, digits, `_` and `.`, beginning with a letter"}"#);
    assert_snapshot!(put("fake/faults", r#"{"name": "f", "effect": "boom"}"#).await, @r#"400 {"error":"bad fault: unknown variant `boom`, expected one of `status`, `delay`, `latency`, `slow_body`, `truncated_body`, `malformed_json`, `content_type`, `nan_points`, `null_points`, `connection_reset`, `tls_failure`, `key_revoked`, `query_error`, `query_timeout`, `empty`, `stale`, `clock_skew` at line 1 column 30"}"#);
    assert_snapshot!(put("fake/faults", r#"{"name": "", "effect": "empty"}"#).await, @r#"400 {"error":"a fault needs a name that is not blank"}"#);
    assert_snapshot!(put("fake/nothing", "").await, @r#"404 {"error":"no control call `/fake/nothing`"}"#);
    let url = fake.url().join("fake/series?tags=a:b").unwrap();
    assert_snapshot!(golden(http.delete(url)).await, @r#"400 {"error":"parameter `tags` needs `metric` beside it"}"#);
    assert_snapshot!(put("fake/clock", r#"{"time_scale": -1}"#).await, @r#"400 {"error":"bad clock change: time scale `-1` must be from 0 to 86400 seconds of the scenario per real second at line 1 column 18"}"#);
    let refused = control(&fake).fault(&Fault::new("f", Effect::status(42))).await.unwrap_err();
    let refused = refused.to_string();
    assert!(refused.ends_with("400: status code `42` must be from 200 to 599"), "{refused}");
}

#[tokio::test]
async fn faults_change_answers_until_they_are_lifted() {
    let fake = fake().await;
    let control = control(&fake);
    fake.script(constant("m", "a:b", 1.0)).unwrap();
    let answer = async || golden(ask(&fake, "avg:m{*}.rollup(1)", 100_000, 100_060)).await;

    control.fault(&Fault::new("limit", Effect::status(429)).times(1)).await.unwrap();
    assert_snapshot!(answer().await, @r#"429 {"status":"error","code":429,"errors":["Too many requests"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    assert!(answer().await.starts_with("200 "));

    let headers = [("x-ratelimit-remaining".to_owned(), "0".to_owned())].into();
    let status = StatusEffect { code: 503, body: Some("<html>".to_owned()), headers };
    control.fault(&Fault::new("down", Effect::Status(status))).await.unwrap();
    let response: Response = get(&fake, "api/v1/validate").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["x-ratelimit-remaining"], "0");
    assert_eq!(response.text().await.unwrap(), "<html>");

    assert_eq!(control.clear_faults().await.unwrap().removed, 1);
    control.fault(&Fault::new("bad", Effect::QueryError("Query timed out".into()))).await.unwrap();
    assert_snapshot!(answer().await, @r#"400 {"status":"error","error":"Query timed out"}"#);
    control.fault(&Fault::new("bad", Effect::QueryError(String::new()))).await.unwrap();
    assert_snapshot!(answer().await, @r#"400 {"status":"error","error":"Error parsing query:\nunable to parse avg:m{*}.rollup(1): injected fault"}"#);

    control.clear_faults().await.unwrap();
    control.fault(&Fault::new("void", Effect::Empty)).await.unwrap();
    assert_eq!(last_value(&fake, "avg:m{*}").await, json!(null));
    control.clear_faults().await.unwrap();
    assert_eq!(last_value(&fake, "avg:m{*}").await, json!(1.0));
}

#[tokio::test]
async fn stale_points_are_as_old_as_the_fault_says() {
    let fake = fake().await;
    fake.script(constant("m", "a:b", 1.0)).unwrap();
    fake.fault(Fault::new("stale", Effect::Stale(Span::from_secs(100)))).unwrap();
    let asked_at = now();
    let (_, body) = body_of(ask(&fake, "avg:m{*}.rollup(1)", asked_at - 300, asked_at)).await;
    let points = body["series"][0]["pointlist"].as_array().unwrap();
    let newest = points.iter().rev().find(|point| !point[1].is_null()).unwrap();
    let age = asked_at - newest[0].as_i64().unwrap() / 1000;
    // The fake's clock may have gone on by a moment since.
    assert!((95..=100).contains(&age), "{age}");
}

#[tokio::test]
async fn a_delay_holds_up_one_request_and_not_the_others() {
    let fake = fake().await;
    let delay = Effect::Delay(Span::from_secs(600));
    fake.fault(Fault::new("slow", delay).on(Endpoint::Validate).times(1)).unwrap();
    let slow = tokio::spawn(get(&fake, "api/v1/validate").send());
    // The fault is used up as soon as it has hit the request.
    while control(&fake).health().await.unwrap().faults != 0 {}
    assert_eq!(ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap().status(), StatusCode::OK);
    assert!(!slow.is_finished());
    // The stop does not wait for the delay either: it cuts it short.
    fake.stop().await;
    assert_eq!(slow.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_are_listed_without_their_keys() {
    let fake = fake().await;
    let url = fake.url().join("api/v1/validate?api_key=sesame&x=y").unwrap();
    reqwest::Client::new().get(url).header("User-Agent", "tester/1").send().await.unwrap();
    get(&fake, "api/v9/other").send().await.unwrap();
    control(&fake).health().await.unwrap();

    let log = control(&fake).requests().await.unwrap();
    assert_eq!(log, fake.requests());
    assert_eq!(log.total, 2);
    let request = &log.requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/api/v1/validate"));
    assert_eq!(request.query, [("x".to_owned(), "y".to_owned())].into());
    assert_eq!(request.api_key.as_ref().map(String::len), Some(8));
    assert_eq!(request.app_key, None);
    assert_eq!(request.user_agent.as_deref(), Some("tester/1"));
    assert_eq!(request.status, 403);
    let counts: Vec<_> =
        log.counts.iter().map(|it| (it.path.as_str(), it.status, it.count)).collect();
    assert_eq!(counts, [("/api/v1/validate", 403, 1), ("other", 404, 1)]);
    assert!(!serde_json::to_string(&log).unwrap().contains("sesame"));
}

#[tokio::test]
async fn an_exchange_is_kept_with_headers_and_bodies_but_no_keys() {
    let fake = fake().await;
    let body = json!({ "series": [], "api_key": "sesame" }).to_string();
    submit(&fake).body(body).send().await.unwrap();
    let log = control(&fake).requests().await.unwrap();
    assert_eq!(log.requests[0].exchange, None);

    let request = control(&fake).exchange(log.requests[0].id).await.unwrap();
    let exchange = request.exchange.clone().unwrap();
    assert_eq!(request.status, 202);
    assert_eq!(
        request.header("dd-api-key"),
        Some(format!("<key {}>", request.api_key.as_ref().unwrap()).as_str())
    );
    assert_eq!(request.body(), r#"{"api_key":"<key>","series":[]}"#);
    assert_eq!(exchange.response_body.json(), Some(json!({ "status": "ok" })));
    assert!(exchange.response_headers.contains(&("content-type".into(), "text/json".into())));
    let shown = serde_json::to_string(&request).unwrap();
    assert!(!shown.contains("sesame") && !shown.contains(DEFAULT_API_KEY), "{shown}");

    let url = fake.url().join("fake/requests?full").unwrap();
    let (_, full) = body_of(reqwest::Client::new().get(url)).await;
    assert_eq!(full["requests"][0], serde_json::to_value(&request).unwrap());
    let error = control(&fake).exchange(99).await.unwrap_err().to_string();
    assert!(error.contains("no request `99` among the last ones"), "{error}");
}

#[tokio::test]
async fn a_refused_body_is_kept_too() {
    let fake = fake().await;
    let url = fake.url().join("api/v1/series").unwrap();
    reqwest::Client::new().post(url).body("who am I?").send().await.unwrap();
    let id = fake.requests().requests[0].id;
    let request = control(&fake).exchange(id).await.unwrap();
    assert_eq!((request.status, request.body()), (403, "who am I?"));
}

#[tokio::test]
async fn a_client_that_does_not_wait_is_recorded_as_such() {
    let fake = fake().await;
    let delay = Effect::Delay(Span::from_secs(600));
    fake.fault(Fault::new("slow", delay).times(1)).unwrap();
    let slow = tokio::spawn(get(&fake, "api/v1/validate").send());
    while control(&fake).health().await.unwrap().faults != 0 {}
    slow.abort();
    let gone = async {
        while fake.requests().total == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap();
    assert_eq!(fake.requests().requests[0].status, 499);
}

#[tokio::test]
async fn a_reset_begins_the_scenario_anew() {
    let fake = start(scenario(
        "{series: [{metric: m, shape: {constant: 3}, start: -1m}], faults: [{name: f, effect: empty}]}",
    ))
    .await;
    let control = control(&fake);
    fake.clear_faults();
    fake.clear_scripts();
    fake.submit("other", ["a:b"], &[(now(), 1.0)]);
    get(&fake, "api/v1/validate").send().await.unwrap();

    control.reset().await.unwrap();
    let health = control.health().await.unwrap();
    assert_eq!((health.series, health.scripts, health.faults), (0, 1, 1));
    assert_eq!(control.requests().await.unwrap().total, 0);
    fake.clear_faults();
    assert_eq!(last_value(&fake, "avg:m{*}").await, json!(3.0));
}

// === start and stop ===

#[tokio::test]
async fn the_port_is_free_again_after_the_stop() {
    let fake = fake().await;
    let address = fake.url().socket_addrs(|| None).unwrap()[0];
    fake.stop().await;
    start(FakeDatadog::builder().listen(address)).await.stop().await;
}

#[tokio::test]
async fn dropping_the_fake_stops_it() {
    let fake = fake().await;
    let url = fake.url().clone();
    drop(fake);
    let refused = async {
        while reqwest::get(url.clone()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), refused).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_named_with_the_remedy() {
    let fake = fake().await;
    let address = fake.url().socket_addrs(|| None).unwrap()[0];
    let error = FakeDatadog::builder().listen(address).start().await.unwrap_err();
    assert!(matches!(error, StartError::AddressInUse { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "{address} is already in use, choose another address such as `--listen 127.0.0.1:0`"
        )
    );
}

#[tokio::test]
async fn a_scenario_that_cannot_be_served_does_not_start() {
    let series = vec![Script::new("1m", ["a:b"], Shape::Constant(1.0))];
    let scenario = Scenario { series, ..Scenario::default() };
    let error = FakeDatadog::builder().scenario(scenario).start().await.unwrap_err();
    assert!(error.to_string().starts_with("bad scenario: series[0]: metric `1m`"), "{error}");
}
