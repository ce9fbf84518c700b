//! What the unit tests of several modules build their worlds of.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    datadog::Error,
    demand::{Autoscaler, Builder, Demand, Kind, MetricKey, Source},
    query::{Aggregator, Ask, Defaults, Overrides, Query},
    selector::Selector,
    store::{Entry, Snapshot},
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
