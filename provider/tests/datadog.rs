//! The real client against an in-process fake Datadog, and against canned
//! bytes where the fake has no such fault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::time::Duration;

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Endpoint, Fault, Script, Shape, Span},
};
use jiff::Timestamp;
use provider::{
    datadog::{Client, Error, client::Keys},
    query::Query,
};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

const MINUTE: Duration = Duration::from_secs(60);

async fn fake() -> FakeDatadog {
    let _ = rustls::crypto::ring::default_provider().install_default();
    FakeDatadog::start().await.unwrap()
}

const TIMEOUT: Duration = Duration::from_millis(500);

fn client_with(url: &str, keys: Keys, timeout: Duration) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(&Url::parse(url).unwrap(), keys, timeout).unwrap()
}

fn client(fake: &FakeDatadog) -> Client {
    client_with(fake.url().as_str(), right_keys(), TIMEOUT)
}

fn right_keys() -> Keys {
    Keys {
        api: fake_datadog::keys::DEFAULT_API_KEY.into(),
        app: fake_datadog::keys::DEFAULT_APP_KEY.into(),
    }
}

fn wrong_keys() -> Keys {
    Keys { api: "wrong".into(), app: "wrong".into() }
}

/// A series that has had this value for a minute.
fn constant(metric: &str, value: f64) -> Script {
    let since = fake_datadog::control::Start::Ago(Span::from_secs(60));
    Script::new(metric, ["queue:a"], Shape::Constant(value)).starting(since)
}

fn query(metric: &str) -> Query {
    Query::new(format!("avg:{metric}{{queue:a}}.rollup(1)"))
}

async fn query_one(client: &Client) -> Result<usize, Error> {
    let series = client.query(&[query("depth")], Timestamp::now(), MINUTE).await?;
    Ok(series[0].len())
}

#[tokio::test]
async fn several_queries_share_a_request_and_get_their_own_series() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    fake.script(constant("rate", 5.0)).unwrap();
    let queries = [query("rate"), query("absent"), query("depth")];
    let series = client(&fake).query(&queries, Timestamp::now(), MINUTE).await.unwrap();
    let values: Vec<Option<f64>> = series
        .iter()
        .map(|series| series.first().and_then(|one| one.points.last().and_then(|point| point.1)))
        .collect();
    assert_eq!(values, [Some(5.0), None, Some(4.0)]);
    assert_eq!(fake.requests().total, 1);
}

#[tokio::test]
async fn rejected_keys_are_named_as_such() {
    let fake = fake().await;
    let error =
        query_one(&client_with(fake.url().as_str(), wrong_keys(), TIMEOUT)).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { status: 403, .. }), "{error}");
    assert!(error.to_string().contains("check DD_API_KEY, DD_APP_KEY and DD_SITE"), "{error}");
}

#[tokio::test]
async fn limits_and_failures_of_datadog_are_told_apart() {
    let fake = fake().await;
    let client = client(&fake);
    for (code, expected) in
        [(429, "rate_limit_error"), (500, "other_http_error"), (422, "unprocessable_entity_error")]
    {
        let fault = Fault::new("status", Effect::status(code)).on(Endpoint::Query);
        fake.fault(fault).unwrap();
        assert_eq!(query_one(&client).await.unwrap_err().metric_label(), expected, "{code}");
    }
}

#[tokio::test]
async fn a_slow_datadog_is_a_timeout_that_names_its_limit() {
    let fake = fake().await;
    let slow = Effect::Delay(Span::from_secs(30));
    fake.fault(Fault::new("slow", slow).on(Endpoint::Query)).unwrap();
    let error = query_one(&client(&fake)).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("within 500ms"), "{error}");
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_unreachable_and_the_query_stays_out_of_the_message() {
    let fake = fake().await;
    let url = fake.url().clone();
    drop(fake);
    let error = query_one(&client_with(url.as_str(), wrong_keys(), TIMEOUT)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("depth"), "{error}");
}

#[tokio::test]
async fn hostile_bodies_are_malformed_answers() {
    for body in
        ["", "<html>", "{\"status\":\"ok\",\"series\":7}", "{\"status\":\"ok\",\"series\":[{}"]
    {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(200).set_body_string(body);
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let error =
            query_one(&client_with(&server.uri(), wrong_keys(), TIMEOUT)).await.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{body}: {error}");
    }
}
