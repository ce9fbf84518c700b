//! Every way of failing that the fake offers.

use fake_datadog::{
    Scenario,
    control::{Handshake, Which},
    scenario::QueryErrorMode,
    server::Tls,
};
use tokio::net::TcpListener;

use super::*;

/// The words of an error, with the fake's address replaced.
fn words(error: &Error, fake: &FakeDatadog) -> String {
    error.to_string().replace(fake.url().as_str().trim_end_matches('/'), "URL")
}

fn on_query(effect: Effect) -> Fault {
    Fault::new("fault", effect).on(Endpoint::Query)
}

#[tokio::test]
async fn rejected_keys_are_named_with_the_settings_to_check() {
    let fake = fake().await;
    let exchange = ask_one(&client_with(fake.url().as_str(), wrong_keys(), TIMEOUT)).await;
    let error = exchange.result.unwrap_err();
    assert!(matches!(error, Error::Forbidden { status: 403, .. }), "{error}");
    insta::assert_snapshot!(words(&error, &fake), @"Datadog rejects the keys at URL (HTTP 403: Forbidden), check DD_API_KEY, DD_APP_KEY and DD_SITE");
    assert_eq!((exchange.requests, fake.requests().total), (1, 1));
}

#[tokio::test]
async fn revoked_keys_are_rejected_and_good_again_when_restored() {
    let fake = fake().await;
    let client = client(&fake);
    assert!(ask_one(&client).await.result.is_ok());
    fake.fault(on_query(Effect::KeyRevoked(vec!["*".into()]))).unwrap();
    assert!(matches!(error_of(&client).await, Error::Forbidden { .. }));
    fake.clear_faults();
    assert!(ask_one(&client).await.result.is_ok());
}

#[tokio::test]
async fn statuses_are_told_apart() {
    let fake = fake().await;
    let client = client(&fake);
    // Labels: facts of Datadog's agent's metric `datadog_requests`.
    for (code, is_about_a_query, label) in [
        (400, true, "other_http_error"),
        (401, false, "other_http_error"),
        (403, false, "other_http_error"),
        (404, false, "other_http_error"),
        (408, false, "other_http_error"),
        (413, true, "other_http_error"),
        (414, true, "other_http_error"),
        (422, true, "unprocessable_entity_error"),
        (429, false, "rate_limit_error"),
        (500, false, "other_http_error"),
        (502, false, "other_http_error"),
        (503, false, "other_http_error"),
        (504, false, "other_http_error"),
    ] {
        fake.fault(on_query(Effect::status(code))).unwrap();
        let error = error_of(&client).await;
        assert_eq!(error.metric_label(), label, "{code}");
        assert_eq!(error.is_about_a_query(), is_about_a_query, "{code}");
        assert_eq!(error.to_string().lines().count(), 1, "{code}");
        assert!(
            matches!(code, 400 | 413 | 414 | 422) || error.to_string().contains(&code.to_string())
        );
    }
}

#[tokio::test]
async fn a_wrong_address_names_its_setting() {
    let fake = fake().await;
    let url = fake.url().join("wrong/path").unwrap();
    let error = error_of(&client_with(url.as_str(), right_keys(), TIMEOUT)).await;
    insta::assert_snapshot!(words(&error, &fake), @"there is no Datadog API at URL (HTTP 404: Not found), check DD_SITE");
}

#[tokio::test]
async fn a_bad_query_is_told_in_either_of_datadogs_ways() {
    for (query_error_mode, label) in
        [(QueryErrorMode::Http400, "other_http_error"), (QueryErrorMode::Http200, "response_error")]
    {
        let fake = fake().await;
        fake.set_scenario(Scenario { query_error_mode, ..Scenario::default() }).unwrap();
        let client = client(&fake);
        let bad = [Query::new("avg:depth{queue:a")];
        let error = client.ask(&bad, Timestamp::now(), MINUTE).await.result.unwrap_err();
        assert!(error.is_about_a_query(), "{error}");
        assert!(error.to_string().starts_with("Datadog rejects the query: Error parsing query: "));
        assert_eq!(error.metric_label(), label);

        fake.fault(on_query(Effect::QueryTimeout(Duration::from_millis(1).into()))).unwrap();
        let error = error_of(&client).await;
        assert_eq!(error.to_string(), "Datadog rejects the query: Query timed out");
        assert!(error.is_about_a_query());
    }
}

#[tokio::test]
async fn a_failure_of_datadogs_own_in_a_200_is_no_querys() {
    let fake = fake().await;
    let query_error_mode = QueryErrorMode::Http200;
    fake.set_scenario(Scenario { query_error_mode, ..Scenario::default() }).unwrap();
    fake.fault(on_query(Effect::QueryError("Internal error".into()))).unwrap();
    let error = error_of(&client(&fake)).await;
    insta::assert_snapshot!(words(&error, &fake), @"Datadog cannot answer at URL: Internal error");
    assert!(!error.is_about_a_query());
}

#[tokio::test]
async fn a_slow_datadog_is_a_timeout_that_names_its_limit() {
    let fake = fake().await;
    for slow in [Effect::Delay(Span::from_secs(30)), Effect::SlowBody(1)] {
        fake.fault(on_query(slow)).unwrap();
        let exchange = ask_one(&client(&fake)).await;
        let error = exchange.result.unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(words(&error, &fake), @"Datadog does not answer within 500ms at URL");
        }
        assert_eq!(exchange.requests, 1);
    }
}

#[tokio::test]
async fn nobody_at_the_endpoint_is_unreachable_and_the_query_stays_out_of_the_message() {
    let fake = fake().await;
    let url = fake.url().clone();
    drop(fake);
    let error = error_of(&client_with(url.as_str(), wrong_keys(), TIMEOUT)).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains("depth"), "{error}");
    assert_eq!(error.metric_label(), "unknown_error");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_unreachable() {
    let url = "http://no-such-host.invalid";
    let error = error_of(&client_with(url, wrong_keys(), TIMEOUT)).await;
    // Some networks let the question for the name run into the limit.
    assert!(matches!(error, Error::Unreachable { .. } | Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains(url), "{error}");
}

#[tokio::test]
async fn connections_that_break_are_unreachable() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    for broken in [Effect::ConnectionReset, Effect::TruncatedBody(40)] {
        fake.fault(on_query(broken.clone())).unwrap();
        let error = error_of(&client(&fake)).await;
        assert!(matches!(error, Error::Unreachable { .. }), "{broken:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_json_is_malformed() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    for bad in [Effect::MalformedJson, Effect::NanPoints(Which::All)] {
        fake.fault(on_query(bad.clone())).unwrap();
        let exchange = ask_one(&client(&fake)).await;
        let error = exchange.result.unwrap_err();
        assert!(matches!(error, Error::Malformed { .. }), "{bad:?}: {error}");
        assert_eq!((error.metric_label(), exchange.requests), ("response_error", 1));
    }
}

#[tokio::test]
async fn https_fails_in_words_that_say_where() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fake = FakeDatadog::builder().tls(Tls::made()).start().await.unwrap();
    let url = fake.https_url().unwrap().as_str();
    let client = client_with(url, right_keys(), TIMEOUT);
    let error = error_of(&client).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("certificate"), "{error}");
    for handshake in [Handshake::Alert, Handshake::Close] {
        fake.fault(Fault::new("tls", Effect::TlsFailure(handshake))).unwrap();
        let error = error_of(&client).await;
        assert!(matches!(error, Error::Unreachable { .. }), "{handshake:?}: {error}");
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    // The kernel accepts; nobody ever says a word.
    let error = error_of(&client_with(&url, right_keys(), TIMEOUT)).await;
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
}
