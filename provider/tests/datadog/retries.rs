//! What is sent once more, and what is not.

use super::*;

/// Longer than all pauses together.
const PATIENCE: Duration = Duration::from_secs(30);

fn patient(fake: &FakeDatadog) -> Client {
    client_with(fake.url().as_str(), right_keys(), PATIENCE)
}

#[tokio::test]
async fn what_passes_is_not_noticed() {
    let fake = fake().await;
    for passing in [Effect::status(503), Effect::ConnectionReset] {
        fake.fault(Fault::new("fault", passing).on(Endpoint::Query).times(2)).unwrap();
        let exchange = ask_one(&patient(&fake)).await;
        assert!(exchange.result.is_ok(), "{:?}", exchange.result);
        assert_eq!(exchange.requests, 3);
    }
    assert_eq!(fake.requests().total, 6);
}

#[tokio::test]
async fn the_third_failure_is_the_last() {
    let fake = fake().await;
    fake.fault(Fault::new("down", Effect::status(502)).on(Endpoint::Query)).unwrap();
    let exchange = ask_one(&patient(&fake)).await;
    assert!(matches!(exchange.result, Err(Error::Server { status: 502, .. })));
    assert_eq!((exchange.requests, fake.requests().total), (3, 3));
}

#[tokio::test]
async fn what_does_not_pass_by_itself_is_sent_once() {
    let fake = fake().await;
    for code in [400, 401, 403, 404, 408, 413, 414, 422, 429] {
        fake.fault(Fault::new("fault", Effect::status(code)).on(Endpoint::Query)).unwrap();
        assert_eq!(ask_one(&patient(&fake)).await.requests, 1, "{code}");
    }
    fake.fault(Fault::new("fault", Effect::MalformedJson).on(Endpoint::Query)).unwrap();
    assert_eq!(ask_one(&patient(&fake)).await.requests, 1);
}

#[tokio::test]
async fn nothing_is_sent_for_which_there_is_no_time() {
    let fake = fake().await;
    fake.fault(Fault::new("down", Effect::status(503)).on(Endpoint::Query)).unwrap();
    // Shorter than the shortest pause.
    let client = client_with(fake.url().as_str(), right_keys(), Duration::from_millis(240));
    assert_eq!(ask_one(&client).await.requests, 1);
}

#[tokio::test]
async fn a_retry_that_runs_out_of_time_does_not_hide_the_failure_before_it() {
    let fake = fake().await;
    fake.fault(Fault::new("a", Effect::status(503)).on(Endpoint::Query).times(1)).unwrap();
    // The longest pause has a place before the limit.
    let client = client_with(fake.url().as_str(), right_keys(), Duration::from_secs(2));
    let asked = tokio::spawn(async move { ask_one(&client).await });
    faults_are_spent(&fake).await;
    fake.fault(Fault::new("b", Effect::Delay(Span::from_secs(30))).on(Endpoint::Query)).unwrap();
    let exchange = asked.await.unwrap();
    assert!(matches!(exchange.result, Err(Error::Server { .. })), "{:?}", exchange.result);
    assert_eq!(exchange.requests, 2);
}
