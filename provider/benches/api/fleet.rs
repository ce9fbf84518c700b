//! Which metrics there are: over 20 names, told apart by the value of one tag.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use provider::{
    demand::{Autoscaler, Builder, Kind, MetricKey, Source, Wanted},
    query::{
        Aggregator, Defaults, Overrides,
        resolve::{Resolved, resolve},
    },
    sample::Sample,
    selector::{Operator, Requirement, Selector},
    store::{Entry, Outcome, Snapshot},
};

const NAMES: usize = 20;
const NAMESPACE: &str = "shop";
const HOUR: Duration = Duration::from_secs(3600);

/// No sample gets old while this is measured.
const DEFAULTS: Defaults = Defaults {
    aggregator: Aggregator::Avg,
    rollup: Duration::from_secs(30),
    max_age: HOUR,
    window: HOUR,
    max_window: Duration::from_secs(86_400),
};

fn name(n: usize) -> String {
    format!("shop.queue.depth_{:02}", n % NAMES)
}

fn queue(n: usize) -> String {
    format!("queue-{:04}", n / NAMES)
}

/// The paths of the first `count` metrics, as the HPA controller's client writes them.
pub(crate) fn paths(count: usize) -> impl Iterator<Item = String> {
    let group = "/apis/external.metrics.k8s.io/v1beta1";
    (0..count).map(move |n| {
        let (name, queue) = (name(n), queue(n));
        format!("{group}/namespaces/{NAMESPACE}/{name}?labelSelector=env%3Dprod%2Cqueue%3D{queue}")
    })
}

/// A store of `count` metrics, each wanted by an HPA and with a fresh sample.
pub(crate) fn snapshot(count: usize) -> Snapshot {
    let now = Timestamp::now();
    let mut demand = Builder::default();
    for n in 0..count {
        let key = MetricKey::new(NAMESPACE, &name(n), selector(n));
        let by = Autoscaler {
            kind: Kind::Hpa,
            namespace: NAMESPACE.to_owned(),
            name: format!("worker-{n}"),
            uid: format!("6b1d1a4e-0f3c-4f6e-9c5d-{n:012}"),
            created: None,
        };
        demand.add(key, name(n), Source::Selector, Overrides::default(), by);
    }
    let demand = Arc::new(demand.build());
    let entries: Vec<_> =
        demand.iter().map(|(key, wanted)| Arc::new(entry(key, wanted, now))).collect();
    Snapshot::new(demand, &entries)
}

fn selector(n: usize) -> Selector {
    let label = |key: &str, value: String| Requirement {
        key: key.to_owned(),
        operator: Operator::In([value].into()),
    };
    [label("env", "prod".to_owned()), label("queue", queue(n))].into_iter().collect()
}

fn entry(key: &MetricKey, wanted: &Wanted, now: Timestamp) -> Entry {
    let Resolved { ask, rollup, age_limit, fallback } = resolve(key, wanted, &DEFAULTS);
    Entry {
        ask,
        rollup,
        age_limit,
        fallback,
        since: now,
        sample: Some(Sample { value: 12_345.678, at: now }),
        last: Some((now, Outcome::Sampled)),
        last_error: None,
    }
}
