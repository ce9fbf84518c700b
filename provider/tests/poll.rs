//! The real poll loop with the real client against an in-process fake Datadog.

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
    datadog::{Client, batch::Limits, keys::Keys},
    demand::{Autoscaler, Builder, Demand, Kind, MetricKey, Raw, Source},
    lead::{Leadership, Permit},
    poll::{Config, Poll, Seat},
    query::{Aggregator, Defaults, Overrides, Query},
    sample::Sample,
    selector::Selector,
    store::{
        Asking, Entry, Outcome, Snapshot,
        known::{Memory, News},
    },
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const MINUTE: Duration = Duration::from_secs(60);
const BROKEN: &str = "broken";
const HOUR: Duration = Duration::from_secs(3600);

async fn fake() -> FakeDatadog {
    let _ = rustls::crypto::ring::default_provider().install_default();
    FakeDatadog::start().await.unwrap()
}

fn client(fake: &FakeDatadog) -> Client {
    let keys = Keys {
        api: fake_datadog::keys::DEFAULT_API_KEY.into(),
        app: fake_datadog::keys::DEFAULT_APP_KEY.into(),
    };
    // Longer than any of these tests waits.
    Client::new(fake.url(), keys, MINUTE).unwrap()
}

/// A series that has had this value for a minute.
fn constant(metric: &str, value: f64) -> Script {
    let since = fake_datadog::control::Start::Ago(Span::from_secs(60));
    Script::new(metric, ["queue:a"], Shape::Constant(value)).starting(since)
}

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
    seated(client, refresh_period, Seat::alone())
}

fn seated(client: Client, refresh_period: Duration, seat: Seat) -> Polling {
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
        coalesce: true,
    };
    let (demand, demand_receiver) = watch::channel(None);
    let (store_sender, store) = watch::channel(Arc::default());
    let stop = CancellationToken::new();
    let poll = Poll::new(client, config, Arc::default(), store_sender).seated(seat);
    tokio::spawn(poll.run(demand_receiver, stop.clone()));
    Polling { demand, store, stop }
}

fn key(metric: &str) -> MetricKey {
    MetricKey::new("default", metric, Selector::default())
}

fn demand<T: AsRef<str>>(metrics: &[T]) -> Arc<Demand> {
    let mut demand = Builder::default();
    for metric in metrics {
        let by = Autoscaler {
            kind: Kind::Hpa,
            namespace: "default".into(),
            name: "hpa".into(),
            uid: String::new(),
            created: None,
        };
        let source = match metric.as_ref() {
            // What a user wrote, with a brace too few.
            BROKEN => Source::DatadogMetric(Ok(Raw {
                query: Query::new("avg:depth{queue:a"),
                max_age: None,
                window: None,
            })),
            _ => Source::Selector,
        };
        let overrides = Overrides::default();
        demand.add(key(metric.as_ref()), metric.as_ref().into(), source, overrides, by);
    }
    Arc::new(demand.build())
}

/// Waits until the store is as wanted, with a wide deadline for a busy machine.
async fn seen(polling: &Polling, wanted: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut store = polling.store.clone();
    let found = store.wait_for(|snapshot| wanted(snapshot));
    tokio::time::timeout(Duration::from_secs(20), found)
        .await
        .expect("not seen in time")
        .unwrap()
        .clone()
}

/// The same for the entry of `metric`.
async fn entry(polling: &Polling, metric: &str, wanted: impl Fn(&Entry) -> bool) -> Arc<Entry> {
    let key = key(metric);
    let snapshot =
        seen(polling, |snapshot| snapshot.get(&key).is_some_and(|(_, entry)| wanted(entry))).await;
    snapshot.get(&key).unwrap().1.clone()
}

/// Waits until no fault is in force any more: the last one has hit its request.
async fn faults_are_spent(fake: &FakeDatadog) {
    let control = fake_datadog::control::Client::new(fake.url().clone()).unwrap();
    let spent = async { while 0 < control.health().await.unwrap().faults {} };
    tokio::time::timeout(Duration::from_secs(20), spent).await.expect("not spent in time");
}

#[tokio::test]
async fn new_demand_is_asked_for_at_once_and_then_refreshed() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let polling = poll(client(&fake), HOUR);
    polling.demand.send_replace(Some(demand(&["depth"])));
    let first = entry(&polling, "depth", |entry| entry.sample.is_some()).await;
    assert!((first.sample.unwrap().value - 4.0).abs() < 1e-9);
    assert_eq!(fake.requests().total, 1);

    let fast = poll(client(&fake), Duration::from_millis(50));
    fast.demand.send_replace(Some(demand(&["depth"])));
    fake.script(constant("depth", 9.0)).unwrap();
    entry(&fast, "depth", |entry| entry.sample.is_some_and(|sample| sample.value > 8.0)).await;
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
    assert!(polling.store.borrow().asking.trouble.is_some());
    fake.clear_faults();
    let good = |entry: &Entry| matches!(entry.last, Some((_, Outcome::Sampled)));
    let entry = entry(&polling, "depth", good).await;
    assert!(entry.last_error.is_some(), "what went wrong last is kept");
    assert!(polling.store.borrow().asking.trouble.is_none());
}

#[tokio::test]
async fn a_typo_has_no_series_and_others_are_not_touched_by_it() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let polling = poll(client(&fake), HOUR);
    polling.demand.send_replace(Some(demand(&["depht", "depth"])));
    entry(&polling, "depht", |entry| matches!(entry.last, Some((_, Outcome::NoSeries)))).await;
    entry(&polling, "depth", |entry| entry.sample.is_some()).await;
}

#[tokio::test]
async fn a_slow_answer_holds_up_no_new_demand() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let polling = poll(client(&fake), HOUR);
    // Until an answer has told the budget, calls go one by one.
    polling.demand.send_replace(Some(demand(&["first"])));
    entry(&polling, "first", |entry| entry.last.is_some()).await;
    let slow = Effect::Delay(Span::from_secs(30));
    fake.fault(Fault::new("slow", slow).on(Endpoint::Query).times(1)).unwrap();
    polling.demand.send_replace(Some(demand(&["other"])));
    faults_are_spent(&fake).await;
    polling.demand.send_replace(Some(demand(&["other", "depth"])));
    // Only a call beside the slow one can bring the answer in time.
    let arrived = entry(&polling, "depth", |entry| entry.last.is_some()).await;
    assert!(arrived.last.is_some());
}

#[tokio::test]
async fn one_query_that_datadog_refuses_hurts_none_of_a_hundred_others() {
    let fake = fake().await;
    let mut metrics: Vec<String> = (0..100).map(|n| format!("metric{n:03}")).collect();
    for metric in &metrics {
        fake.script(constant(metric, 4.0)).unwrap();
    }
    metrics.push(BROKEN.to_owned());
    let polling = poll(client(&fake), HOUR);
    polling.demand.send_replace(Some(demand(&metrics)));
    let answered = |snapshot: &Snapshot| {
        snapshot.len() == 101 && snapshot.iter().all(|(_, _, entry)| entry.last.is_some())
    };
    let snapshot = seen(&polling, answered).await;
    for (key, _, entry) in snapshot.iter() {
        let refused =
            matches!(&entry.last, Some((_, Outcome::Failed(error))) if error.is_about_a_query());
        assert_eq!(refused, key.metric == BROKEN, "{key}: {:?}", entry.last);
        assert_eq!(entry.sample.is_some(), !refused, "{key}");
    }
    // Three for the batches, and two for each halving on the way to the bad one.
    assert!(fake.requests().total <= 3 + 2 * 6, "{}", fake.requests().total);
}

#[tokio::test]
async fn rejected_keys_cost_one_call_and_are_named_for_every_metric() {
    let fake = fake().await;
    let wrong = Keys { api: "wrong".into(), app: "wrong".into() };
    let polling = poll(Client::new(fake.url(), wrong, MINUTE).unwrap(), HOUR);
    let metrics: Vec<String> = (0..100).map(|n| format!("metric{n:03}")).collect();
    polling.demand.send_replace(Some(demand(&metrics)));
    let snapshot = seen(&polling, |snapshot| snapshot.asking.trouble.is_some()).await;
    let trouble = snapshot.asking.trouble.as_ref().unwrap().to_string();
    assert!(trouble.contains("DD_API_KEY"), "{trouble}");
    assert_eq!(fake.requests().total, 1, "no halves, no other batches");
}

#[tokio::test]
async fn a_follower_asks_nothing_until_it_leads_and_may() {
    let fake = fake().await;
    fake.script(constant("depth", 4.0)).unwrap();
    let (leadership, leadership_receiver) = watch::channel(Leadership::default());
    let (permit, permit_receiver) = watch::channel(None);
    let (news, news_receiver) = mpsc::channel(1);
    let seat = Seat {
        leadership: leadership_receiver,
        permit: Permit::following(permit_receiver),
        news: news_receiver,
        calls: TaskTracker::new(),
    };
    let polling = seated(client(&fake), HOUR, seat);
    polling.demand.send_replace(Some(demand(&["depth", "told"])));
    let now = Timestamp::now();
    let memory = Memory {
        query: Some("avg:told{*}.rollup(1)".to_owned()),
        since: now,
        sample: Some(Sample { value: 7.0, at: now }),
        last: Some((now, Outcome::Sampled)),
        last_error: None,
    };
    let asking = Some(Asking { calls_per_hour: 5.0, ..Asking::default() });
    let told = News { complete: true, known: vec![(key("told"), memory)], asking };
    news.send(told).await.unwrap();
    entry(&polling, "told", |entry| entry.sample.is_some()).await;
    assert!((polling.store.borrow().asking.calls_per_hour - 5.0).abs() < 1e-9, "the leader's");

    leadership.send_replace(Leadership::alone());
    // The loop has seen the role when it no longer shows what the leader told.
    seen(&polling, |snapshot| snapshot.asking.calls_per_hour < 4.0).await;
    assert_eq!(fake.requests().total, 0, "no permit");
    permit.send_replace(Some(Instant::now() + HOUR));
    entry(&polling, "depth", |entry| entry.sample.is_some()).await;
    assert_eq!(fake.requests().total, 1);
    assert!(!format!("{:?}", fake.requests()).contains("told"), "known already");
}
