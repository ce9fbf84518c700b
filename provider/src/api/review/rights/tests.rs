use serde_json::{Value, json};
use tokio::time::{Instant, advance};

use super::*;
use crate::api::review::testing::Apiserver;

fn rights(config: Config) -> (Apiserver, Arc<Rights>) {
    let (apiserver, client) = Apiserver::start();
    (apiserver, Arc::new(Rights::new(Some(client), config, Metrics::default())))
}

/// Each question by itself.
fn exact() -> (Apiserver, Arc<Rights>) {
    rights(Config { broad: false, ..Config::default() })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn jo() -> Arc<User> {
    let groups = vec!["system:authenticated".to_owned()];
    Arc::new(User { name: "jo".to_owned(), groups, ..User::default() })
}

fn metric(name: &str) -> Attributes {
    let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/web/{name}");
    Attributes::of(&axum::http::Method::GET, &path.parse().unwrap())
}

fn path(path: &str) -> Attributes {
    Attributes::of(&axum::http::Method::GET, &path.parse().unwrap())
}

fn yes() -> Value {
    json!({"allowed": true})
}

fn no() -> Value {
    json!({"allowed": false})
}

fn denied() -> Decision {
    Decision::Denied("".into())
}

/// `namespace/resource` of each review.
fn asked(apiserver: &Apiserver) -> Vec<String> {
    let short = |spec: &Value| {
        let attributes = &spec["resourceAttributes"];
        let text = |name: &str| attributes[name].as_str().unwrap_or("-").to_owned();
        format!("{}/{}", text("namespace"), text("resource"))
    };
    apiserver.asked().iter().map(short).collect()
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_review_says_all_there_is_to_say() {
    let (apiserver, rights) = exact();
    let user = User {
        name: "jo".to_owned(),
        uid: "u1".to_owned(),
        groups: vec!["a".to_owned(), "b".to_owned()],
        extra: [("k".to_owned(), vec!["v".to_owned(), "w".to_owned()])].into(),
    };
    apiserver.answer(&yes());
    let found = rights.review(&Arc::new(user), &metric("m?labelSelector=a%3Db")).await;
    assert_eq!(found, Ok(Decision::Allowed));
    apiserver.answer(&json!({"allowed": false, "reason": "not you"}));
    let found = rights.review(&jo(), &path("/metrics")).await;
    assert_eq!(found, Ok(Decision::Denied("not you".into())));
    let selector = json!({"requirements": [{"key": "a", "operator": "In", "values": ["b"]}]});
    assert_eq!(
        apiserver.asked(),
        [
            json!({
                "user": "jo", "uid": "u1", "groups": ["a", "b"], "extra": {"k": ["v", "w"]},
                "resourceAttributes": {
                    "verb": "list", "group": "external.metrics.k8s.io", "version": "v1beta1",
                    "resource": "m", "namespace": "web", "labelSelector": selector,
                },
            }),
            json!({
                "user": "jo", "groups": ["system:authenticated"],
                "nonResourceAttributes": {"verb": "get", "path": "/metrics"},
            }),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn some_need_no_review() {
    let (apiserver, rights) = exact();
    let master = User { groups: vec![MASTERS.to_owned()], ..User::anonymous() };
    assert_eq!(rights.review(&Arc::new(master), &metric("m")).await, Ok(Decision::Allowed));
    let anonymous = Arc::new(User::anonymous());
    for exactly in ALWAYS_ALLOWED {
        assert_eq!(rights.review(&anonymous, &path(exactly)).await, Ok(Decision::Allowed));
    }
    assert!(apiserver.asked().is_empty());
    for other in ["/metrics", "/healthz/", "/healthz/ping", "//healthz", "/livez/x/../", "/"] {
        apiserver.answer(&no());
        assert_eq!(rights.review(&anonymous, &path(other)).await, Ok(denied()), "{other}");
    }
    assert_eq!(apiserver.asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_yes_counts_for_a_minute_and_a_no_for_ten_seconds() {
    let (apiserver, rights) = exact();
    apiserver.answer(&yes());
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(Decision::Allowed));
    advance(seconds(60)).await;
    apiserver.answer(&no());
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(denied()), "a minute old: asked again");
    advance(Duration::from_millis(9_999)).await;
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(denied()));
    assert_eq!(apiserver.asked().len(), 2);
    advance(Duration::from_millis(1)).await;
    apiserver.answer(&yes());
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(Decision::Allowed));
}

#[tokio::test(start_paused = true)]
async fn a_right_taken_away_ends_with_the_renewal() {
    let (apiserver, rights) = exact();
    apiserver.answer(&yes());
    rights.review(&jo(), &metric("m")).await.unwrap();
    advance(seconds(45)).await;
    apiserver.answer(&no());
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(Decision::Allowed));
    settle().await;
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(denied()));
}

#[tokio::test(start_paused = true)]
async fn while_reviews_fail_a_yes_holds_for_five_minutes_and_then_there_is_no_answer() {
    let (apiserver, rights) = exact();
    apiserver.answer(&yes());
    rights.review(&jo(), &metric("m")).await.unwrap();
    // The apiserver is gone: nothing answers any more.
    advance(seconds(60)).await;
    let started = Instant::now();
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(Decision::Allowed));
    assert_eq!(started.elapsed().as_secs(), 1, "the first waits a moment");
    while started.elapsed() < seconds(239) {
        let before = Instant::now();
        assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(Decision::Allowed));
        assert_eq!(before.elapsed(), seconds(0));
        advance(seconds(7)).await;
        settle().await;
    }
    advance(seconds(300 - 60).saturating_sub(started.elapsed())).await;
    assert_eq!(rights.review(&jo(), &metric("m")).await, Err(Failure::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a_no_is_never_turned_into_a_yes() {
    let (apiserver, rights) = exact();
    apiserver.answer(&yes());
    rights.review(&jo(), &metric("m")).await.unwrap();
    advance(seconds(60)).await;
    apiserver.answer(&no());
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(denied()));
    // Within the time for which the yes would have held.
    for wait in [9, 1, 20, 60] {
        advance(seconds(wait)).await;
        apiserver.refuse(403);
        assert_ne!(rights.review(&jo(), &metric("m")).await, Ok(Decision::Allowed));
    }
}

#[tokio::test(start_paused = true)]
async fn both_yes_and_no_is_no() {
    let (apiserver, rights) = exact();
    apiserver.answer(&json!({"allowed": true, "denied": true}));
    assert_eq!(rights.review(&jo(), &metric("m")).await, Ok(denied()));
    apiserver.answer(&Value::Null);
    let failure = rights.review(&jo(), &metric("n")).await.unwrap_err();
    assert!(failure.to_string().contains("without a status"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_user_with_other_groups_is_another_user() {
    let (apiserver, rights) = exact();
    apiserver.answer(&yes());
    rights.review(&jo(), &metric("m")).await.unwrap();
    let mut user = User::clone(&jo());
    user.groups.clear();
    apiserver.answer(&no());
    assert_eq!(rights.review(&Arc::new(user), &metric("m")).await, Ok(denied()));
    apiserver.answer(&no());
    assert_eq!(rights.review(&jo(), &metric("m?labelSelector=a")).await, Ok(denied()));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_metrics_cost_two_reviews_a_minute() {
    let (apiserver, rights) = rights(Config::default());
    apiserver.always(|_| yes());
    for period in 0..8 {
        for number in 0..1000 {
            let metric = metric(&format!("m{number}?labelSelector=a%3D{number}"));
            assert_eq!(rights.review(&jo(), &metric).await, Ok(Decision::Allowed));
        }
        settle().await;
        let expected: &[&str] = if period % 2 == 0 { &["-/*"] } else { &[] };
        assert_eq!(asked(&apiserver), expected, "period {period}");
        advance(seconds(15)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_no_to_all_leads_to_the_narrower_questions() {
    let (apiserver, rights) = rights(Config::default());
    for answer in [no(), yes()] {
        apiserver.answer(&answer);
    }
    for name in ["a", "b"] {
        assert_eq!(rights.review(&jo(), &metric(name)).await, Ok(Decision::Allowed));
    }
    assert_eq!(asked(&apiserver), ["-/*", "web/*"]);

    let (apiserver, rights) = self::rights(Config::default());
    for answer in [no(), no(), yes(), no()] {
        apiserver.answer(&answer);
    }
    assert_eq!(rights.review(&jo(), &metric("a")).await, Ok(Decision::Allowed));
    assert_eq!(rights.review(&jo(), &metric("b")).await, Ok(denied()));
    assert_eq!(asked(&apiserver), ["-/*", "web/*", "web/a", "web/b"]);
    advance(seconds(10)).await;
    apiserver.answer(&yes());
    assert_eq!(rights.review(&jo(), &metric("b")).await, Ok(Decision::Allowed));
    assert_eq!(asked(&apiserver), ["web/b"], "a no to all counts for longer: it refuses nobody");
}

#[tokio::test(start_paused = true)]
async fn only_a_list_of_a_metric_is_covered_by_a_yes_to_all() {
    let (apiserver, rights) = rights(Config::default());
    apiserver.always(|_| yes());
    rights.review(&jo(), &metric("a")).await.unwrap();
    assert_eq!(asked(&apiserver), ["-/*"]);
    apiserver.always(|_| no());
    for other in ["status", "a/b", "a/b/c", "a?watch=1"] {
        assert_eq!(rights.review(&jo(), &metric(other)).await, Ok(denied()), "{other}");
    }
    let other_group = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/web/a";
    assert_eq!(rights.review(&jo(), &path(other_group)).await, Ok(denied()));
    assert_eq!(rights.review(&jo(), &path("/metrics")).await, Ok(denied()));
    apiserver.asked();
    // Neither does a yes to one metric called `*` cover the others, nor is it asked to spare them.
    let (apiserver, rights) = self::rights(Config::default());
    for answer in [no(), no(), yes(), no()] {
        apiserver.answer(&answer);
    }
    assert_eq!(rights.review(&jo(), &metric("*")).await, Ok(Decision::Allowed));
    assert_eq!(rights.review(&jo(), &metric("a")).await, Ok(denied()));
}

#[tokio::test(start_paused = true)]
async fn strangers_are_not_asked_about_in_general() {
    let (apiserver, rights) = rights(Config::default());
    apiserver.answer(&no());
    assert_eq!(rights.review(&Arc::new(User::anonymous()), &metric("a")).await, Ok(denied()));
    assert_eq!(asked(&apiserver), ["web/a"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_the_metric_counts_where_the_general_review_fails() {
    let (apiserver, rights) = rights(Config::default());
    for answer in [no(), no(), yes()] {
        apiserver.answer(&answer);
    }
    rights.review(&jo(), &metric("a")).await.unwrap();
    advance(seconds(70)).await;
    apiserver.refuse(403);
    assert_eq!(rights.review(&jo(), &metric("a")).await, Ok(Decision::Allowed));
    apiserver.refuse(403);
    assert!(rights.review(&jo(), &metric("b")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_remembered_is_bounded() {
    let (apiserver, rights) =
        rights(Config { broad: false, capacity: 100_000, ..Config::default() });
    apiserver.always(|_| no());
    let long = "x".repeat(LARGEST);
    for number in 0..500 {
        rights.review(&jo(), &metric(&format!("m{number}"))).await.unwrap();
    }
    rights.review(&jo(), &metric(&long)).await.unwrap();
    rights.review(&jo(), &metric(&long)).await.unwrap();
    assert_eq!(apiserver.asked().len(), 502, "a long one is not remembered");
    let count = rights.cache.len().await;
    assert!((50..200).contains(&count), "{count}");
}

#[tokio::test(start_paused = true)]
async fn without_a_cluster_only_what_needs_no_review_is_allowed() {
    let rights = Rights::new(None, Config::default(), Metrics::default());
    let anonymous = Arc::new(User::anonymous());
    assert_eq!(rights.review(&anonymous, &path("/readyz")).await, Ok(Decision::Allowed));
    let reason = "there is no kube-apiserver to ask: external metrics are off";
    assert_eq!(rights.review(&jo(), &path("/metrics")).await, Ok(Decision::Denied(reason.into())));
}
