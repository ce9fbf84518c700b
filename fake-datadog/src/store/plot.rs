//! Submitted series as the page draws them.

use crate::{
    page::{Plot, Wanted, thinned},
    store::{Store, metric::Metric},
    tags::Tags,
};

impl Store {
    /// How many series are wanted, and the first `count` of them.
    pub(crate) fn plots(&self, wanted: &Wanted, count: usize) -> (usize, Vec<Plot>) {
        let all = self.metrics.iter().flat_map(|(name, it)| it.all().map(move |it| (name, it)));
        let mut total = 0;
        let mut plots = Vec::new();
        for (metric, series) in all.filter(|(metric, it)| wanted.takes(metric, &it.tags)) {
            total += 1;
            if plots.len() < count {
                let points = series.points.range(wanted.from, wanted.to);
                plots.push(Plot {
                    metric: metric.clone(),
                    tags: series.tags.iter().map(str::to_owned).collect(),
                    scripted: false,
                    points: thinned(points, wanted.step()),
                });
            }
        }
        (total, plots)
    }

    /// All points of the series of a metric that have all of `tags`.
    pub(crate) fn points_with(&self, metric: &str, tags: &Tags) -> Vec<(i64, f64)> {
        let series = self.metrics.get(metric).into_iter().flat_map(Metric::all);
        let wanted =
            series.filter(|it| tags.iter().all(|tag| it.tags.iter().any(|its| its == tag)));
        wanted.flat_map(|it| it.points.range(i64::MIN, i64::MAX)).collect()
    }
}
