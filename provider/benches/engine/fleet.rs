//! Which metrics there are: over 20 names, told apart by the value of one tag.

use provider::selector::{Operator, Requirement, Selector};

const NAMES: usize = 20;

/// One external metric.
pub(crate) struct Metric {
    pub(crate) name: String,
    /// Label keys and their values.
    pub(crate) labels: [(&'static str, String); 2],
}

/// The first `count` of them.
pub(crate) fn metrics(count: usize) -> impl Iterator<Item = Metric> {
    (0..count).map(|n| Metric {
        name: format!("shop.queue.depth_{:02}", n % NAMES),
        labels: [("env", "prod".to_owned()), ("queue", format!("queue-{:04}", n / NAMES))],
    })
}

impl Metric {
    /// As Datadog's agent submits it.
    pub(crate) fn tags(&self) -> impl Iterator<Item = String> + '_ {
        self.labels.iter().map(|(key, value)| format!("{key}:{value}"))
    }

    /// As an HPA selects it.
    pub(crate) fn selector(&self) -> Selector {
        let requirement = |(key, value): &(&str, String)| Requirement {
            key: (*key).to_owned(),
            operator: Operator::In([value.clone()].into()),
        };
        self.labels.iter().map(requirement).collect()
    }
}
