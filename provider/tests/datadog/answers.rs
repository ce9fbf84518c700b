//! What a good answer says, in its body and in its headers.

use fake_datadog::control::{RateLimit, Skew};
use provider::datadog;

use super::*;

#[tokio::test]
async fn several_queries_share_a_request_and_get_their_own_series() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    fake.script(constant("rate", 5.0)).unwrap();
    let queries = [query("rate"), query("absent"), query("depth")];
    let exchange = client(&fake).ask(&queries, Timestamp::now(), MINUTE).await;
    let values: Vec<Option<f64>> = exchange
        .result
        .unwrap()
        .iter()
        .map(|series| series.first().and_then(|one| one.points.last().and_then(|point| point.1)))
        .collect();
    assert_eq!(values, [Some(5.0), None, Some(4.0)]);
    assert_eq!((exchange.requests, fake.requests().total), (1, 1));
    assert_eq!(*exchange.endpoint, *fake.url().as_str().trim_end_matches('/'));
    assert_eq!(exchange.rate_limit, None);
}

#[tokio::test]
async fn an_answer_without_series_is_no_error() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    fake.fault(Fault::new("empty", Effect::Empty).on(Endpoint::Query)).unwrap();
    assert_eq!(ask_one(&client(&fake)).await.result.unwrap(), [vec![]]);
}

#[tokio::test]
async fn the_type_that_is_announced_does_not_matter() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let html = Effect::ContentType("text/html".into());
    fake.fault(Fault::new("type", html).on(Endpoint::Query)).unwrap();
    assert_eq!(ask_one(&client(&fake)).await.result.unwrap()[0].len(), 1);
}

#[tokio::test]
async fn the_limit_is_told_by_every_answer_and_its_end_by_a_429() {
    // A day: no test runs long enough to see the next one begin but at midnight.
    let limit = RateLimit::new(Endpoint::Query, 2, Span::from_secs(86_400));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fake = FakeDatadog::builder().rate_limits([limit]).start().await.unwrap();
    let client = client(&fake);
    let remaining = async || {
        let exchange = ask_one(&client).await;
        let limit = exchange.rate_limit.unwrap();
        assert_eq!((limit.limit, limit.period), (2, Duration::from_secs(86_400)));
        assert!(limit.reset <= limit.period && !limit.reset.is_zero());
        (limit.remaining, exchange.result)
    };
    assert!(matches!(remaining().await, (1, Ok(_))));
    assert!(matches!(remaining().await, (0, Ok(_))));
    let (left, refused) = remaining().await;
    let Err(datadog::Error::RateLimited { reset: Some(reset) }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(left, 0);
    assert!(reset <= Duration::from_secs(86_400));
    assert_eq!(fake.requests().total, 3, "a 429 is not asked again");
}

#[tokio::test]
async fn the_difference_of_the_clocks_is_told() {
    let fake = fake().await;
    let client = client(&fake);
    assert!(skew(&client).await.abs() <= 1);
    for (effect, expected) in
        [(Skew::Ahead(Span::from_secs(3600)), -3600), (Skew::Behind(Span::from_secs(90)), 90)]
    {
        fake.fault(Fault::new("skew", Effect::ClockSkew(effect)).on(Endpoint::Query)).unwrap();
        assert!((skew(&client).await - expected).abs() <= 1, "{effect:?}");
    }
}

/// The difference in seconds; a machine that is too busy for an exact one is asked again.
async fn skew(client: &Client) -> i64 {
    let exact = async {
        loop {
            if let Some(skew) = ask_one(client).await.clock_skew {
                return skew.as_secs();
            }
        }
    };
    tokio::time::timeout(MINUTE, exact).await.expect("no exchange was quick enough")
}
