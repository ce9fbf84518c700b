//! Rate limits, and what watches over the fake itself.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use fake_datadog::control::{Endpoint, RateLimit, Span};
use insta::assert_snapshot;
use reqwest::StatusCode;

#[path = "support/client.rs"]
mod client;

use crate::client::{ask, control, fake, get, golden};

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
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert_eq!(fake.requests().total, 2, "the fake's own paths are no requests to Datadog");
}
