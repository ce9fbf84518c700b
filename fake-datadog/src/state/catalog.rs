//! What is known about metrics: which there are, their tags, their metadata. Scripted series count
//! as submitted ones do.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::{
    expr::scope::Scope,
    state::Shared,
    store::{Metadata, RETENTION},
};

impl Shared {
    /// The metrics that have a source in `scope` with a point since `from`, Unix seconds.
    pub(crate) fn active_metrics(
        &self,
        now: Timestamp,
        from: i64,
        scope: &Scope,
    ) -> BTreeSet<String> {
        let mut metrics = self.store().active(from, scope);
        let state = self.lock();
        let scripted = state.scripts.begun(now.as_second());
        let scripted = scripted.filter(|(_, tags)| scope.matches(tags));
        metrics.extend(scripted.map(|(metric, _)| metric.to_owned()));
        metrics
    }

    /// The tags of a metric; `None` when there is no such metric.
    pub(crate) fn tags_of(&self, now: Timestamp, metric: &str) -> Option<BTreeSet<String>> {
        let submitted = self.store().tags_of(metric);
        let is_submitted = submitted.is_some();
        let mut tags = submitted.unwrap_or_default();
        let state = self.lock();
        let scripted = state.scripts.begun(now.as_second());
        let mut scripted = scripted.filter(|(its_metric, _)| *its_metric == metric).peekable();
        let is_scripted = scripted.peek().is_some();
        tags.extend(scripted.flat_map(|(_, tags)| tags.iter().map(str::to_owned)));
        (is_submitted || is_scripted).then_some(tags)
    }

    /// Every value of the tag `host`.
    pub(crate) fn hosts(&self, now: Timestamp) -> BTreeSet<String> {
        let mut hosts = self.store().hosts();
        let state = self.lock();
        let scripted = state.scripts.begun(now.as_second());
        hosts.extend(scripted.flat_map(|(_, tags)| tags.values_of("host").map(str::to_owned)));
        hosts
    }

    /// What is known about a metric; `None` when there is no such metric.
    pub(crate) fn metadata(&self, now: Timestamp, metric: &str) -> Option<Metadata> {
        self.is_metric(now, metric).then(|| self.store().metadata(metric))
    }

    /// Sets what `change` says about a metric and returns all that is known then; `None` when
    /// there is no such metric.
    pub(crate) fn update_metadata(
        &self,
        now: Timestamp,
        metric: &str,
        change: Metadata,
    ) -> Option<Metadata> {
        self.is_metric(now, metric).then(|| self.store_mut().update_metadata(metric, change))
    }

    fn is_metric(&self, now: Timestamp, metric: &str) -> bool {
        let since = now.as_second().saturating_sub(RETENTION);
        let is_submitted = self.store().has_since(metric, since);
        if is_submitted {
            return true;
        }
        let state = self.lock();
        state.scripts.begun(now.as_second()).any(|(its_metric, _)| its_metric == metric)
    }
}
