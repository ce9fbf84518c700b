//! Rate limits, and what watches over the fake itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use fake_datadog::{
    FakeDatadog, Scenario,
    control::{Effect, Endpoint, Fault, RateLimit, Span},
};
use insta::assert_snapshot;
use reqwest::StatusCode;

#[path = "support/client.rs"]
mod client;

use crate::client::{ask, control, fake, get, golden, now, scenario, start};

#[tokio::test]
async fn past_the_limit_every_request_of_the_period_is_429() {
    let fake = fake().await;
    let year = Span::from_secs(365 * 24 * 3600);
    control(&fake).set_rate_limits(&[RateLimit::new(Endpoint::Query, 1, year)]).await.unwrap();
    let response = ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-ratelimit-limit"], "1");
    assert_eq!(response.headers()["x-ratelimit-period"], "31536000");
    assert_eq!(response.headers()["x-ratelimit-remaining"], "0");
    assert!(response.headers().contains_key("x-ratelimit-reset"));
    assert_snapshot!(golden(ask(&fake, "avg:m{*}", 0, 60)).await, @r#"429 {"status":"error","code":429,"errors":["Too many requests"],"statuspage":"http://status.datadoghq.com","twitter":"http://twitter.com/datadogops","email":"support@datadoghq.com"}"#);
    let validate = get(&fake, "api/v1/validate").send().await.unwrap();
    assert_eq!(validate.status(), StatusCode::OK);
    assert!(!validate.headers().contains_key("x-ratelimit-limit"));
    control(&fake).set_rate_limits(&[]).await.unwrap();
    let response = ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn requests_are_counted_by_endpoint_and_status() {
    let fake = fake().await;
    get(&fake, "api/v1/validate").send().await.unwrap();
    get(&fake, "api/v9/other").send().await.unwrap();
    assert_snapshot!(golden(get(&fake, "healthz")).await, @"200 ok");
    let text = golden(get(&fake, "metrics")).await;
    for line in [
        r#"fake_datadog_requests_total{endpoint="validate",status="200"} 1"#,
        r#"fake_datadog_requests_total{endpoint="other",status="404"} 1"#,
        "fake_datadog_unknown_paths_total 1",
        "fake_datadog_points 0",
        r#"fake_datadog_dropped_points_total{reason="too_old"} 0"#,
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(fake.requests().total, 2, "the fake's own paths are no requests to Datadog");
}

#[tokio::test]
async fn the_scenarios_limits_begin_anew_with_a_reset_and_another_scenario() {
    let limited = "rate_limits: [{endpoints: [metadata], limit: 1, period: 3650d}]";
    let fake = start(scenario(limited)).await;
    let ask = async || get(&fake, "api/v1/metrics/no.such").send().await.unwrap();
    let response = ask().await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["x-ratelimit-remaining"], "0", "on every answer");
    assert_eq!(ask().await.status(), StatusCode::TOO_MANY_REQUESTS);
    control(&fake).reset().await.unwrap();
    assert_eq!(ask().await.status(), StatusCode::NOT_FOUND);
    control(&fake).set_rate_limits(&[]).await.unwrap();
    assert_eq!(fake.scenario().rate_limits, []);
    control(&fake).reset().await.unwrap();
    assert_eq!(fake.scenario().rate_limits.len(), 1);
    fake.set_scenario(Scenario::default()).unwrap();
    assert!(!ask().await.headers().contains_key("x-ratelimit-limit"));
}

#[tokio::test]
async fn a_fake_made_in_code_has_the_limits_it_was_given() {
    let fake = start(FakeDatadog::builder().rate_limits(RateLimit::datadog())).await;
    let response = ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    assert_eq!(response.headers()["x-ratelimit-remaining"], "1599");
    assert_eq!(response.headers()["x-ratelimit-period"], "3600");
    let text = golden(get(&fake, "metrics")).await;
    let line = r#"fake_datadog_rate_limit_remaining{endpoint="query"} 1599"#;
    assert!(text.contains(line), "{line} in {text}");
}

#[tokio::test]
async fn queries_and_points_are_counted_by_what_became_of_them() {
    let fake = fake().await;
    fake.submit("m", ["a:b"], &[(now(), 1.0), (now() - 7200, 1.0), (now() + 7200, 1.0)]);
    ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    ask(&fake, "avg:m{", 0, 60).send().await.unwrap();
    let text = golden(get(&fake, "metrics")).await;
    for line in [
        r#"fake_datadog_queries_total{outcome="parsed"} 1"#,
        r#"fake_datadog_queries_total{outcome="refused"} 1"#,
        "fake_datadog_accepted_points_total 1",
        r#"fake_datadog_dropped_points_total{reason="too_old"} 1"#,
        r#"fake_datadog_dropped_points_total{reason="too_far_ahead"} 1"#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn the_names_of_the_metrics_stay() {
    let fake = start(FakeDatadog::builder().rate_limits(RateLimit::datadog())).await;
    fake.fault(Fault::new("f", Effect::Empty)).unwrap();
    ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    let text = golden(get(&fake, "metrics")).await;
    let names: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_snapshot!(names.join("\n"), @r"
    fake_datadog_requests counter
    fake_datadog_request_duration_seconds histogram
    fake_datadog_unknown_paths counter
    fake_datadog_queries counter
    fake_datadog_series gauge
    fake_datadog_points gauge
    fake_datadog_scripts gauge
    fake_datadog_faults gauge
    fake_datadog_accepted_points counter
    fake_datadog_dropped_points counter
    fake_datadog_rate_limit gauge
    fake_datadog_rate_limit_remaining gauge
    fake_datadog_fault_hits counter
    fake_datadog_fault_active gauge
    ");
}
