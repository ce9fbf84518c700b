use serde_json::{Value, json};
use tokio::time::advance;

use super::*;
use crate::api::review::testing::Apiserver;

fn tokens(audiences: &[&str]) -> (Apiserver, Arc<Tokens>) {
    let (apiserver, client) = Apiserver::start();
    let audiences = audiences.iter().map(ToString::to_string).collect();
    let tokens = Tokens::new(Some(client), audiences, Metrics::default()).unwrap();
    (apiserver, Arc::new(tokens))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn jo() -> Value {
    let user = json!({"username": "jo", "uid": "u1", "groups": ["a"], "extra": {"k": ["v"]}});
    json!({"authenticated": true, "user": user})
}

#[tokio::test(start_paused = true)]
async fn a_user_is_remembered_for_ten_seconds() {
    let (apiserver, tokens) = tokens(&[]);
    apiserver.answer(&jo());
    let user = tokens.review("secret").await.unwrap().unwrap();
    let expected = User {
        name: "jo".to_owned(),
        uid: "u1".to_owned(),
        groups: vec!["a".to_owned()],
        extra: [("k".to_owned(), vec!["v".to_owned()])].into(),
    };
    assert_eq!(*user, expected);
    assert_eq!(apiserver.asked(), [json!({"token": "secret"})]);
    advance(Duration::from_millis(9_999)).await;
    assert_eq!(tokens.review("secret").await.unwrap(), Some(user));
    assert!(apiserver.asked().is_empty());
    advance(Duration::from_millis(1)).await;
    apiserver.answer(&json!({"authenticated": false, "error": "expired"}));
    assert_eq!(tokens.review("secret").await, Ok(None));
    assert_eq!(apiserver.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_remembered_for_ten_seconds_and_for_that_token_only() {
    let (apiserver, tokens) = tokens(&[]);
    apiserver.answer(&json!({"authenticated": false}));
    assert_eq!(tokens.review("a").await, Ok(None));
    assert_eq!(tokens.review("a").await, Ok(None));
    assert_eq!(apiserver.asked().len(), 1);
    apiserver.answer(&jo());
    assert!(tokens.review("A").await.unwrap().is_some());
    advance(seconds(10)).await;
    apiserver.answer(&jo());
    assert!(tokens.review("a").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_error_is_no_user_and_is_not_remembered() {
    let (apiserver, tokens) = tokens(&[]);
    apiserver.refuse(403);
    let failure = tokens.review("a").await.unwrap_err();
    assert!(failure.to_string().starts_with("kube-apiserver cannot review it: "), "{failure}");
    apiserver.answer(&jo());
    assert!(tokens.review("a").await.unwrap().is_some());
    assert_eq!(apiserver.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_known_user_does_not_outlive_its_ten_seconds_while_reviews_fail() {
    let (apiserver, tokens) = tokens(&[]);
    apiserver.answer(&jo());
    tokens.review("a").await.unwrap().unwrap();
    advance(seconds(10)).await;
    apiserver.refuse(403);
    assert!(tokens.review("a").await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_within_ten_seconds() {
    let (apiserver, tokens) = tokens(&[]);
    apiserver.refuse(500);
    apiserver.refuse(429);
    apiserver.answer(&jo());
    assert!(tokens.review("a").await.unwrap().is_some());
    assert_eq!(apiserver.asked().len(), 3);

    let started = tokio::time::Instant::now();
    for _ in 0..6 {
        apiserver.refuse(500);
    }
    assert!(tokens.review("b").await.is_err());
    assert_eq!(apiserver.asked().len(), 5, "Go takes five steps");
    // Pauses of 0.5, 0.75, 1.125 and 1.6875 s, each up to a fifth longer.
    let took = started.elapsed();
    assert!((4_062..4_880).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_does_not_answer_costs_ten_seconds() {
    let (_apiserver, tokens) = tokens(&[]);
    let started = tokio::time::Instant::now();
    assert_eq!(tokens.review("a").await, Err(Failure::Timeout));
    assert_eq!(started.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn many_with_one_token_are_one_review() {
    let (apiserver, tokens) = tokens(&[]);
    let reviews: Vec<_> = (0..20)
        .map(|_| {
            let tokens = tokens.clone();
            tokio::spawn(async move { tokens.review("a").await })
        })
        .collect();
    apiserver.always(|_| jo());
    for review in reviews {
        assert!(review.await.unwrap().unwrap().is_some());
    }
    assert_eq!(apiserver.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_for_another_audience_is_refused() {
    let (apiserver, tokens) = tokens(&["metrics", "other"]);
    for (token, audiences, believed) in [
        ("a", json!(["other"]), true),
        ("b", json!(["vault"]), false),
        ("c", json!([]), false),
        ("d", Value::Null, false),
    ] {
        let mut status = jo();
        status["audiences"] = audiences;
        apiserver.answer(&status);
        assert_eq!(tokens.review(token).await.unwrap().is_some(), believed, "{token}");
    }
    assert_eq!(apiserver.asked()[0], json!({"token": "a", "audiences": ["metrics", "other"]}));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_name_or_without_a_yes_is_no_user() {
    let (apiserver, tokens) = tokens(&[]);
    for (token, status) in [
        ("a", json!({"authenticated": true})),
        ("b", json!({"authenticated": true, "user": {"username": ""}})),
        ("c", json!({"user": {"username": "jo"}})),
        ("d", json!({})),
    ] {
        apiserver.answer(&status);
        assert_eq!(tokens.review(token).await, Ok(None), "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_no_token_is_believed_and_none_is_shown() {
    let tokens = Tokens::new(None, vec![], Metrics::default()).unwrap();
    assert_eq!(tokens.review("secret").await, Err(Failure::NoCluster));
    assert_eq!(format!("{tokens:?}"), "Tokens { audiences: None, .. }");
}
