//! Which series are scripted.

use crate::{script::Scripts, tags::Tags};

impl Scripts {
    /// Metric and tags of the series that have begun at `now`, Unix seconds.
    pub(crate) fn begun(&self, now: i64) -> impl Iterator<Item = (&str, &Tags)> {
        let begun = self.running.iter().filter(move |(_, running)| running.origin <= now);
        begun.map(|((metric, tags), _)| (metric.as_str(), tags))
    }
}
