//! The real client and the real poll loop against an in-process fake Datadog, and against canned
//! bytes where the fake has no such fault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{sync::Arc, time::Duration};

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Endpoint, Fault, Script, Shape, Span},
};
use jiff::Timestamp;
use provider::{
    datadog::{Client, Error, Exchange, ask, batch::Limits, keys::Keys},
    demand::{Autoscaler, Builder, Demand, Kind, MetricKey, Source},
    metrics::Metrics,
    poll::{Config, Poll},
    query::{Aggregator, Defaults, Overrides, Query},
    selector::Selector,
    store::{Entry, Outcome, Snapshot},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use url::Url;

#[path = "datadog/answers.rs"]
mod answers;
#[path = "datadog/errors.rs"]
mod errors;
#[path = "datadog/failover.rs"]
mod failover;
#[path = "datadog/hostile.rs"]
mod hostile;
#[path = "datadog/key_files.rs"]
mod key_files;
#[path = "datadog/retries.rs"]
mod retries;

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

/// One question for one query.
async fn ask_one(client: &Client) -> Exchange {
    client.ask(&[query("depth")], Timestamp::now(), MINUTE).await
}

/// The same, which fails.
async fn error_of(client: &Client) -> Error {
    ask_one(client).await.result.unwrap_err()
}

#[tokio::test]
async fn a_bad_query_hurts_only_itself() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let bad = Query::new("avg:depth{queue:a");
    let mut queries = vec![query("depth"); 20];
    queries.insert(13, bad.clone());
    let metrics = Metrics::default();
    let answers = ask(&client(&fake), queries, Timestamp::now(), MINUTE, &metrics).await;
    assert_eq!(answers.len(), 21);
    for (position, (query, answer)) in answers.iter().enumerate() {
        match answer {
            Ok(series) => assert_eq!(series.len(), 1, "{position}"),
            Err(error) => {
                assert_eq!((position, query), (13, &bad));
                assert!(error.is_about_a_query(), "{error}");
            }
        }
    }
    // One for the batch, and two for each halving on the way to the bad one.
    assert!(fake.requests().total <= 11, "{}", fake.requests().total);
}

#[tokio::test]
async fn rejected_keys_are_not_asked_for_again_in_halves() {
    let fake = fake().await;
    let client = client_with(fake.url().as_str(), wrong_keys(), TIMEOUT);
    ask(&client, vec![query("a"), query("b")], Timestamp::now(), MINUTE, &Metrics::default()).await;
    assert_eq!(fake.requests().total, 1);
}

// === the poll loop ===

struct Polling {
    demand: watch::Sender<Option<Arc<Demand>>>,
    store: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn poll(client: Client, refresh_period: Duration) -> Polling {
    let config = Config {
        refresh_period,
        defaults: Defaults {
            aggregator: Aggregator::Avg,
            rollup: Duration::from_secs(1),
            max_age: MINUTE,
            window: MINUTE,
            max_window: MINUTE,
        },
        batch: Limits::DATADOG,
        max_parallel: 2,
    };
    let (demand, demand_receiver) = watch::channel(None);
    let (store_sender, store) = watch::channel(Arc::default());
    let stop = CancellationToken::new();
    let poll = Poll::new(client, config, Arc::default(), store_sender);
    tokio::spawn(poll.run(demand_receiver, stop.clone()));
    Polling { demand, store, stop }
}

fn key(metric: &str) -> MetricKey {
    MetricKey { namespace: "default".into(), metric: metric.into(), selector: Selector::default() }
}

fn demand(metrics: &[&str]) -> Arc<Demand> {
    let mut demand = Builder::default();
    for metric in metrics {
        let by = Autoscaler {
            kind: Kind::Hpa,
            namespace: "default".into(),
            name: "hpa".into(),
            uid: String::new(),
            created: None,
        };
        let (source, overrides) = (Source::Selector, Overrides::default());
        demand.add(key(metric), (*metric).into(), source, overrides, by);
    }
    Arc::new(demand.build())
}

/// Waits until the entry of `metric` is as wanted, with a wide deadline for a busy machine.
async fn entry(polling: &Polling, metric: &str, wanted: impl Fn(&Entry) -> bool) -> Arc<Entry> {
    let mut store = polling.store.clone();
    let key = key(metric);
    let found = store.wait_for(|snapshot| snapshot.get(&key).is_some_and(|(_, e)| wanted(e)));
    let snapshot = tokio::time::timeout(Duration::from_secs(20), found).await;
    snapshot.expect("not seen in time").unwrap().get(&key).unwrap().1.clone()
}

#[tokio::test]
async fn new_demand_is_asked_for_at_once_and_then_refreshed() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let polling = poll(client(&fake), Duration::from_secs(3600));
    polling.demand.send_replace(Some(demand(&["depth"])));
    let first = entry(&polling, "depth", |entry| entry.sample.is_some()).await;
    assert!((first.sample.unwrap().value - 4.0).abs() < 1e-9);

    let polling = poll(client(&fake), Duration::from_millis(50));
    polling.demand.send_replace(Some(demand(&["depth"])));
    entry(&polling, "depth", |entry| entry.sample.is_some()).await;
    fake.script(constant("depth", 9.0)).unwrap();
    entry(&polling, "depth", |entry| entry.sample.is_some_and(|sample| sample.value > 8.0)).await;
}

#[tokio::test]
async fn an_outage_is_reported_and_recovered_from_without_losing_the_sample() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let polling = poll(client(&fake), Duration::from_millis(50));
    polling.demand.send_replace(Some(demand(&["depth"])));
    entry(&polling, "depth", |entry| entry.sample.is_some()).await;
    fake.fault(Fault::new("down", Effect::status(503)).on(Endpoint::Query)).unwrap();
    let failed = |entry: &Entry| matches!(entry.last, Some((_, Outcome::Failed(_))));
    assert!(entry(&polling, "depth", failed).await.sample.is_some());
    fake.clear_faults();
    let good = |entry: &Entry| matches!(entry.last, Some((_, Outcome::Sampled)));
    entry(&polling, "depth", good).await;
}

#[tokio::test]
async fn a_typo_has_no_series_and_others_are_not_touched_by_it() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let polling = poll(client(&fake), Duration::from_secs(3600));
    polling.demand.send_replace(Some(demand(&["depht", "depth"])));
    entry(&polling, "depht", |entry| matches!(entry.last, Some((_, Outcome::NoSeries)))).await;
    entry(&polling, "depth", |entry| entry.sample.is_some()).await;
}

#[tokio::test]
async fn a_slow_answer_holds_up_no_new_demand() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let slow = Effect::Delay(Span::from_secs(30));
    fake.fault(Fault::new("slow", slow).on(Endpoint::Query).times(1)).unwrap();
    // Longer than this test waits: only a call beside the slow one can bring the answer.
    let client = client_with(fake.url().as_str(), right_keys(), MINUTE);
    let polling = poll(client, Duration::from_secs(3600));
    polling.demand.send_replace(Some(demand(&["other"])));
    faults_are_spent(&fake).await;
    polling.demand.send_replace(Some(demand(&["other", "depth"])));
    let arrived = entry(&polling, "depth", |entry| entry.last.is_some()).await;
    assert!(arrived.last.is_some());
}

/// Waits until no fault is in force any more: the last one has hit its request.
async fn faults_are_spent(fake: &FakeDatadog) {
    let control = fake_datadog::control::Client::new(fake.url().clone()).unwrap();
    let spent = async { while 0 < control.health().await.unwrap().faults {} };
    tokio::time::timeout(Duration::from_secs(20), spent).await.expect("not spent in time");
}
