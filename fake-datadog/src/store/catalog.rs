//! Which metrics there are, and what is known about them.

use std::collections::BTreeSet;

use crate::{
    expr::{data::Kind, scope::Scope},
    store::{MAX_METADATA, Metadata, Store, metric::Metric},
};

impl Store {
    /// The metrics that have a series in `scope` with a point since `from`, Unix seconds.
    pub(crate) fn active(&self, from: i64, scope: &Scope) -> BTreeSet<String> {
        let active = self.metrics.iter().filter(|(_, metric)| metric.is_active(from, scope));
        active.map(|(name, _)| name.clone()).collect()
    }

    /// Whether there is a metric of that name with a point since `from`, Unix seconds.
    pub(crate) fn has_since(&self, metric: &str, from: i64) -> bool {
        let metric = self.metrics.get(metric);
        metric.is_some_and(|metric| metric.is_active(from, &Scope::everything()))
    }

    /// The tags of a metric; `None` when no point of it is held.
    pub(crate) fn tags_of(&self, metric: &str) -> Option<BTreeSet<String>> {
        Some(self.metrics.get(metric)?.tags().map(str::to_owned).collect())
    }

    /// Every value of the tag `host`.
    pub(crate) fn hosts(&self) -> BTreeSet<String> {
        let tags = self.metrics.values().flat_map(Metric::tags);
        tags.filter_map(|tag| tag.strip_prefix("host:")).map(str::to_owned).collect()
    }

    /// What is known about a metric.
    pub(crate) fn metadata(&self, metric: &str) -> Metadata {
        self.metadata.get(metric).cloned().unwrap_or_default()
    }

    /// Sets what `change` says about a metric, and returns all that is known then.
    pub(crate) fn update_metadata(&mut self, metric: &str, change: Metadata) -> Metadata {
        let mut metadata = self.metadata(metric);
        metadata.update(change);
        if self.metadata.len() < MAX_METADATA || self.metadata.contains_key(metric) {
            self.metadata.insert(metric.to_owned(), metadata.clone());
        }
        metadata
    }

    /// Takes type and unit of a metric from a submission.
    pub(crate) fn learn(&mut self, metric: &str, kind: Option<Kind>, unit: Option<&str>) {
        if kind.is_none() && unit.is_none() {
            return;
        }
        if let Some(metadata) = self.metadata.get_mut(metric) {
            metadata.learn(kind, unit);
        } else if self.metadata.len() < MAX_METADATA {
            let mut metadata = Metadata::default();
            metadata.learn(kind, unit);
            self.metadata.insert(metric.to_owned(), metadata);
        }
    }
}
