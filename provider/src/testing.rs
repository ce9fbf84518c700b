//! What the unit tests of several modules build their worlds of.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    datadog::Error,
    demand::{Autoscaler, Builder, Demand, Kind, MetricKey, Source},
    query::{Aggregator, Ask, Defaults, Overrides, Query, resolve::resolve},
    sample::Sample,
    selector::{Operator, Requirement, Selector},
    store::{Entry, Outcome, Snapshot},
};

pub(crate) const WINDOW: Duration = Duration::from_secs(300);

/// What the provider's flags say by default, but for the aggregator, which is `sum`.
pub(crate) const DEFAULTS: Defaults = Defaults {
    aggregator: Aggregator::Sum,
    rollup: Duration::from_secs(30),
    max_age: Duration::from_secs(120),
    window: WINDOW,
    max_window: Duration::from_secs(86_400),
};

/// A query that Datadog refuses.
pub(crate) fn rejected(message: &str) -> Error {
    Error::Rejected { status: 200, message: message.to_owned() }
}

/// A Datadog that is out of order.
pub(crate) fn down() -> Error {
    let endpoint = "https://api.datadoghq.com".into();
    Error::Server { status: 503, message: "down".to_owned(), endpoint }
}

pub(crate) fn hpa(namespace: &str, name: &str) -> Autoscaler {
    Autoscaler {
        kind: Kind::Hpa,
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-of-{name}"),
        created: None,
    }
}

/// The key of a metric without a selector.
pub(crate) fn key(namespace: &str, metric: &str) -> MetricKey {
    MetricKey::new(namespace, metric, Selector::default())
}

/// Demand for metrics by their keys and names.
pub(crate) fn demand<'a>(metrics: impl IntoIterator<Item = (MetricKey, &'a str)>) -> Arc<Demand> {
    let mut demand = Builder::default();
    for (key, name) in metrics {
        let by = hpa(&key.namespace, "hpa");
        demand.add(key, name.to_owned(), Source::Selector, Overrides::default(), by);
    }
    Arc::new(demand.build())
}

/// An entry that was not asked yet.
pub(crate) fn entry(query: &str) -> Entry {
    Entry {
        ask: Ok(Ask { window: WINDOW, query: Query::new(query) }),
        rollup: Some(Duration::from_secs(30)),
        age_limit: Duration::from_secs(120),
        fallback: None,
        since: Timestamp::UNIX_EPOCH,
        sample: None,
        last: None,
        last_error: None,
    }
}

/// A store with one metric.
pub(crate) fn snapshot(key: MetricKey, name: &str, entry: Entry) -> Snapshot {
    Snapshot::new(demand([(key, name)]), &[Arc::new(entry)])
}

/// `metrics` metrics of as many autoscalers, all with a sample of `at`.
pub(crate) fn fleet(metrics: usize, at: Timestamp) -> Snapshot {
    let mut demand = Builder::default();
    for n in 0..metrics {
        let namespace = format!("team-{:03}", n % 100);
        let labels = [("kube_deployment", format!("web-{n:05}")), ("env", "production".to_owned())];
        let selector = labels.into_iter().map(|(key, value)| Requirement {
            key: key.to_owned(),
            operator: Operator::In([value].into()),
        });
        let key = MetricKey::new(&namespace, "nginx.net.request_per_s", selector.collect());
        let by = Autoscaler {
            uid: "c5e1f5d4-3f0e-4d27-9d8e-5b2f6c0d7a11".to_owned(),
            ..hpa(&namespace, &format!("web-{n:05}"))
        };
        let name = "nginx.net.request_per_s".to_owned();
        demand.add(key, name, Source::Selector, Overrides::default(), by);
    }
    let demand = Arc::new(demand.build());
    let entries: Vec<_> = demand
        .iter()
        .zip(0_u32..)
        .map(|((key, wanted), n)| {
            let resolved = resolve(key, wanted, &DEFAULTS);
            Arc::new(Entry {
                ask: resolved.ask,
                sample: Some(Sample { value: f64::from(n) * 1.37, at }),
                last: Some((at, Outcome::Sampled)),
                since: at,
                ..entry("")
            })
        })
        .collect();
    Snapshot::new(demand, &entries)
}

/// All of them are asked again at `at`.
pub(crate) fn refreshed(mut fleet: Snapshot, at: Timestamp) -> Snapshot {
    for position in 0..fleet.len() {
        if let Some(entry) = fleet.at_mut(position) {
            entry.last = Some((at, Outcome::Sampled));
            entry.sample = entry.sample.map(|it| Sample { value: it.value + 0.25, at });
        }
    }
    fleet
}
