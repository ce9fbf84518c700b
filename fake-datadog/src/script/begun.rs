//! Which series are scripted.

use crate::{script::Scripts, tags::Tags};

impl Scripts {
    /// Metric and tags of the series that have begun at `now`, Unix seconds.
    pub(crate) fn begun(&self, now: i64) -> impl Iterator<Item = (&str, &Tags)> {
        let all = self.running.iter();
        let all = all.flat_map(|(metric, series)| series.iter().map(move |it| (metric, it)));
        let begun = all.filter(move |(_, (_, running))| running.first <= now);
        begun.map(|(metric, (tags, _))| (metric.as_str(), tags))
    }
}
