//! Expectations as tests use them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use fake_datadog::{
    Expectation, FakeDatadog,
    control::{Effect, Endpoint, Fault},
};
use serde_json::json;

#[path = "support/client.rs"]
mod client;

use crate::client::{ask, fake, get, last_value, now, start, submit};

#[tokio::test]
async fn what_is_expected_and_comes_is_fine() {
    let fake = fake().await;
    fake.expect(Expectation::query().containing("avg:m").param("from", "0").times(1));
    fake.expect(Expectation::on(Endpoint::Validate).header("User-Agent", "me").times(1..=2));
    fake.expect(Expectation::submission().body_containing("m.submitted").answered(202));
    fake.expect(Expectation::request("DELETE", "/api/v1/query").never());
    ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    get(&fake, "api/v1/validate").header("user-agent", "me").send().await.unwrap();
    let points = json!([[now(), 1.0]]);
    let body = json!({ "series": [{ "metric": "m.submitted", "points": points }] });
    submit(&fake).json(&body).send().await.unwrap();
    fake.verify();
    assert_eq!(fake.points("m.submitted", [""; 0]).len(), 1);
}

#[tokio::test]
async fn the_report_says_what_was_expected_and_what_came() {
    let fake = fake().await;
    fake.expect(Expectation::query().containing("avg:nginx").named("poll").times(2));
    fake.expect(Expectation::submission());
    fake.expect(Expectation::on(Endpoint::Validate).never());
    ask(&fake, "avg:nginx{*}", 0, 60).send().await.unwrap();
    ask(&fake, "avg:redis{*}", 0, 60).send().await.unwrap();
    get(&fake, "api/v1/validate").send().await.unwrap();
    let report = fake.check().unwrap_err().to_string();
    // It would panic on drop, rightly.
    std::mem::forget(fake);
    let lines = [
        "1. poll: GET /api/v1/query with `avg:nginx` in the query\n  expected exactly 2, 1 came; nearest misses:",
        "\n  - #2 GET /api/v1/query?from=0&query=avg:redis{*}&to=60 (200): not `avg:nginx` in the query, but `avg:redis{*}`",
        "\n2. POST /api/v1/series or /api/v2/series\n  expected at least 1, none came; other requests:",
        "\n3. a request to endpoint `validate`\n  expected none, 1 came; those that came:\n  - #3 GET /api/v1/validate (200)",
    ];
    for line in lines {
        assert!(report.contains(line), "{report}");
    }
}

#[tokio::test]
#[should_panic(expected = "GET /api/v1/query\n  expected at least 1, none came")]
async fn dropping_the_fake_verifies() {
    let fake = fake().await;
    fake.expect(Expectation::query());
}

#[tokio::test]
async fn waiting_ends_as_soon_as_the_requests_are_there() {
    let fake = fake().await;
    fake.expect(Expectation::on(Endpoint::Validate).times(2..));
    let requests = [get(&fake, "api/v1/validate"), get(&fake, "api/v1/validate")];
    for request in requests {
        tokio::spawn(request.send());
    }
    fake.verify_within(Duration::from_secs(60)).await;
}

#[tokio::test]
async fn a_fake_is_built_with_series_faults_and_expectations() {
    let builder = FakeDatadog::builder()
        .series("m", ["a:b"], 3.0)
        .series("m", ["a:c"], 4.0)
        .fault(Fault::new("once", Effect::status(503)).times(1))
        .expect(Expectation::query().answered(503).times(1));
    let fake = start(builder).await;
    ask(&fake, "avg:m{*}", 0, 60).send().await.unwrap();
    assert_eq!(last_value(&fake, "sum:m{*}").await, json!(7.0));
    assert_eq!(fake.received_requests()[0].faults, ["once"]);
}
