//! Several endpoints: who is asked, and who has the word.

use jiff::SignedDuration;
use provider::datadog::{endpoints::Endpoint as Place, keys::KeyRing};

use super::*;

/// Too short for a second request, so that each endpoint gets one.
const SHORT: Duration = Duration::from_millis(240);

fn place(fake: &FakeDatadog, keys: Keys, setting: &str) -> Place {
    let (keys, setting) = (KeyRing::fixed(keys), setting.to_owned());
    Place { url: fake.url().clone(), keys, setting }
}

async fn two() -> (FakeDatadog, FakeDatadog, Client) {
    let (main, other) = (fake().await, fake().await);
    let places = [place(&main, right_keys(), "DD_SITE"), place(&other, right_keys(), "url of it")];
    let client = Client::of(places.into(), SHORT).unwrap();
    (main, other, client)
}

/// Requests that each of the two has had.
fn asked(main: &FakeDatadog, other: &FakeDatadog) -> (u64, u64) {
    (main.requests().total, other.requests().total)
}

fn fails(effect: Effect) -> Fault {
    Fault::new("fault", effect).on(Endpoint::Query)
}

async fn ask_in(client: &Client, seconds: i64) -> Exchange {
    let now = Timestamp::now() + SignedDuration::from_secs(seconds);
    client.ask(&[query("depth")], now, MINUTE).await
}

fn origin(fake: &FakeDatadog) -> &str {
    fake.url().as_str().trim_end_matches('/')
}

#[tokio::test]
async fn the_main_endpoint_is_asked_alone_while_it_answers() {
    let (main, other, client) = two().await;
    for _ in 0..3 {
        let exchange = ask_one(&client).await;
        assert_eq!((&*exchange.endpoint, exchange.requests), (origin(&main), 1));
    }
    assert_eq!(asked(&main, &other), (3, 0));
}

// Of Datadog's agent's fallback client: "order, skip within retry interval"
// (facts/datadog.md §7.1, "Datadog client").
#[tokio::test]
async fn the_second_takes_over_and_the_first_is_left_alone_for_a_while() {
    let (main, other, client) = two().await;
    main.fault(fails(Effect::status(503))).unwrap();
    let exchange = ask_one(&client).await;
    assert!(exchange.result.is_ok());
    assert_eq!((&*exchange.endpoint, exchange.requests), (origin(&other), 2));
    ask_one(&client).await;
    assert_eq!(asked(&main, &other), (1, 2));

    main.clear_faults();
    let exchange = ask_in(&client, 31).await;
    assert_eq!((&*exchange.endpoint, exchange.requests), (origin(&main), 1));
    ask_one(&client).await;
    assert_eq!(asked(&main, &other), (3, 2), "it is the main one again");
}

#[tokio::test]
async fn every_fault_of_an_endpoint_leads_to_the_next() {
    for fault in [
        Effect::status(403),
        Effect::status(404),
        Effect::status(429),
        Effect::status(500),
        Effect::Delay(Span::from_secs(30)),
        Effect::ConnectionReset,
        Effect::MalformedJson,
    ] {
        let (main, other, client) = two().await;
        main.fault(fails(fault.clone())).unwrap();
        let exchange = ask_one(&client).await;
        assert!(exchange.result.is_ok(), "{fault:?}: {:?}", exchange.result);
        assert_eq!(*exchange.endpoint, *origin(&other), "{fault:?}");
    }
}

// A to-do of Datadog's agent (facts/datadog.md §1.7).
#[tokio::test]
async fn a_bad_query_is_no_dead_endpoint() {
    let (main, other, client) = two().await;
    for code in [400, 413, 414, 422] {
        main.fault(fails(Effect::status(code))).unwrap();
        assert!(error_of(&client).await.is_about_a_query());
    }
    assert_eq!(asked(&main, &other), (4, 0));
    let status = &client.endpoints()[0];
    assert!(status.last_success.is_some() && status.last_failure.is_none());
}

#[tokio::test]
async fn a_rate_limit_of_the_first_holds_until_its_reset() {
    let (main, other, client) = two().await;
    let Effect::Status(mut limited) = Effect::status(429) else { panic!() };
    limited.headers.insert("x-ratelimit-reset".into(), "600".into());
    main.fault(fails(Effect::Status(limited))).unwrap();
    ask_one(&client).await;
    ask_in(&client, 500).await;
    assert_eq!(asked(&main, &other), (1, 2));
    ask_in(&client, 601).await;
    assert_eq!(asked(&main, &other), (2, 3));
}

#[tokio::test]
async fn when_none_answers_the_first_error_stands_and_all_requests_count() {
    let (main, other, client) = two().await;
    main.fault(fails(Effect::status(403))).unwrap();
    other.fault(fails(Effect::status(500))).unwrap();
    let exchange = ask_one(&client).await;
    assert!(matches!(exchange.result, Err(Error::Forbidden { .. })));
    assert_eq!((&*exchange.endpoint, exchange.requests), (origin(&main), 2));
    // Both are to be skipped now, so both are tried.
    assert_eq!(ask_one(&client).await.requests, 2);
    assert_eq!(asked(&main, &other), (2, 2));
}

#[tokio::test]
async fn a_rate_limit_stands_only_when_nobody_has_calls_left() {
    let (main, other, client) = two().await;
    main.fault(fails(Effect::status(429))).unwrap();
    other.fault(fails(Effect::status(500))).unwrap();
    assert!(matches!(error_of(&client).await, Error::Server { .. }));
    assert_eq!(asked(&main, &other), (1, 1));
    other.fault(fails(Effect::status(429))).unwrap();
    // The first is limited, the second is tried, and then nobody is left.
    assert!(matches!(error_of(&client).await, Error::RateLimited { .. }));
    assert_eq!(asked(&main, &other), (1, 2));
    // The one whose calls come back first is asked alone.
    assert_eq!(ask_one(&client).await.requests, 1);
}

#[tokio::test]
async fn status_tells_how_each_has_done() {
    let (main, other, client) = two().await;
    let untouched = client.endpoints();
    assert!(untouched.iter().all(|it| it.last_success.is_none() && it.last_failure.is_none()));
    main.fault(fails(Effect::status(503))).unwrap();
    ask_one(&client).await;
    let [first, second] = <[_; 2]>::try_from(client.endpoints()).unwrap();
    assert_eq!((&*first.url, &*second.url), (origin(&main), origin(&other)));
    let (at, words) = first.last_failure.unwrap();
    assert!(words.starts_with("Datadog fails at http://127.0.0.1:") && words.contains("503"));
    assert_eq!(first.skipped_until, Some(at + SignedDuration::from_secs(30)));
    assert!(first.last_success.is_none());
    assert!(second.last_success.is_some() && second.skipped_until.is_none());
}

#[tokio::test]
async fn each_endpoint_has_its_own_keys_and_names_its_own_settings() {
    let (main, other) = (fake().await, fake().await);
    main.fault(fails(Effect::status(503))).unwrap();
    let places = [place(&main, right_keys(), "DD_SITE"), place(&other, wrong_keys(), "url of 1")];
    let client = Client::of(places.into(), SHORT).unwrap();
    assert!(matches!(error_of(&client).await, Error::Server { .. }), "the main one's stands");
    let (_, words) = client.endpoints()[1].last_failure.clone().unwrap();
    assert!(words.ends_with("check DD_API_KEY, DD_APP_KEY and url of 1"), "{words}");
}
