use std::sync::Arc;

use axum::body::to_bytes;

use super::*;
use crate::{
    demand::{DatadogMetricUse, Demand, MetricKey, ObjectName},
    metrics::Metrics,
    query::{Aggregator, Plain, Query},
    sample::Sample,
    store::Entry,
    testing,
};

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entry(query: impl Into<Query>, age: Option<i64>) -> Arc<Entry> {
    let sample = age.map(|age| Sample { value: 26.5, at: at(NOW - age) });
    let ask = Ok(Ask { window: testing::WINDOW, query: query.into() });
    Arc::new(Entry { ask, sample, ..testing::entry("") })
}

fn plain(metric: &str) -> Query {
    let tags = [("kube_container_name", "nginx"), ("env", "prod")];
    let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
    let metric = metric.to_owned();
    Query::from(Plain { aggregator: Aggregator::Sum, metric, tags, rollup: 30 })
}

fn exchange(remaining: u32) -> Exchange {
    let seconds = Duration::from_secs;
    let rate_limit =
        RateLimit { limit: 1600, period: seconds(3600), remaining, reset: seconds(60) };
    Exchange {
        result: Ok(vec![]),
        endpoint: "https://api.datadoghq.com".into(),
        requests: 2,
        rate_limit: Some(rate_limit),
        clock_skew: None,
    }
}

async fn scrape(metrics: &Metrics, snapshot: &Snapshot) -> String {
    metrics.set_external_metrics(snapshot, at(NOW));
    let body = to_bytes(metrics.encode().into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn series(text: &str) -> Vec<&str> {
    let is_ours = |line: &&str| !line.starts_with('#') && !line.contains("_bucket{");
    text.lines().filter(is_ours).collect()
}

fn world() -> Snapshot {
    let keys = ["a", "b", "c"].map(|name| (testing::key("default", name), name));
    let mut demand = Arc::unwrap_or_clone(testing::demand(keys));
    for (name, active) in [("used", true), ("unused", false)] {
        let object = ObjectName { namespace: "web".into(), name: name.into() };
        let key = if active { testing::key("default", "a") } else { MetricKey::of(&object) };
        let use_ = DatadogMetricUse {
            uid: String::new(),
            key,
            external_metric_name: None,
            active,
            referenced_by: vec![],
        };
        demand.datadog_metrics.insert(object, use_);
    }
    let entries = [
        entry(plain("nginx.net.request_per_s"), Some(20)),
        entry(Query::new("100 * sum:b{x:\"1\"}"), Some(500)),
        entry(Query::new("avg:c{*}"), None),
    ];
    let rate_limit = exchange(900).rate_limit;
    let asking =
        Asking { budget: rate_limit, period: Duration::from_secs(30), ..Asking::default() };
    Snapshot::new(Arc::new(demand), &entries).with(Arc::new(asking))
}

#[tokio::test]
async fn the_leader_tells_what_datadogs_agent_tells() {
    let (metrics, snapshot) = (Metrics::default(), world());
    let (_, _, first) = snapshot.iter().next().unwrap();
    metrics.datadog_request(&exchange(1000), first.ask.iter(), Timestamp::now());
    metrics.datadog_request(&exchange(900), first.ask.iter(), Timestamp::now());
    let text = scrape(&metrics, &snapshot).await;
    let lines: Vec<_> =
        series(&text).into_iter().filter(|line| !line.contains("elapsed_sum")).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[tokio::test]
async fn a_follower_tells_only_what_it_would_answer_itself() {
    let metrics = Metrics::default();
    let (sender, leadership) = watch::channel(Leadership::default());
    metrics.follow(leadership);
    let text = scrape(&metrics, &world()).await;
    assert_eq!(
        series(&text),
        [
            "external_metrics_replica{valid=\"true\"} 1.0",
            "external_metrics_replica{valid=\"false\"} 2.0"
        ]
    );
    sender.send_modify(|it| it.role = Role::Leader);
    assert!(scrape(&metrics, &world()).await.contains("external_metrics_processed_value{"));
}

#[tokio::test]
async fn ten_thousand_metrics_make_no_endless_scrape() {
    let keys: Vec<_> =
        (0..10_000).map(|n| testing::key("default", &format!("queue.depth.{n:05}"))).collect();
    let demand: Arc<Demand> = testing::demand(keys.iter().map(|key| (key.clone(), "it")));
    let entries: Vec<_> = keys.iter().map(|key| entry(plain(&key.metric), Some(1))).collect();
    let text = scrape(&Metrics::default(), &Snapshot::new(demand, &entries)).await;
    let count = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
    assert_eq!(count("external_metrics_processed_value{"), SHOWN);
    assert!(text.contains("external_metrics{valid=\"true\",join_leader=\"true\"} 10000.0"));
    assert!(text.contains("external_metrics_without_series{join_leader=\"true\"} 9000.0"));
    assert!(text.len() < 1_000_000, "{}", text.len());
}
