//! What the page and tests look at.

use crate::{
    page::{Plot, Wanted},
    state::Shared,
    tags::Tags,
};

impl Shared {
    /// How many scripted series are wanted, and the first `count` of them.
    pub(crate) fn scripted_plots(&self, wanted: &Wanted, count: usize) -> (usize, Vec<Plot>) {
        let (total, drawn, clock) = {
            let state = self.lock();
            let (total, drawn) = state.scripts.drawn(wanted, count);
            (total, drawn, state.clock.clone())
        };
        // Hundreds of points of hundreds of series: nobody waits for the lock meanwhile.
        (total, drawn.into_iter().map(|it| it.plot(&clock, wanted)).collect())
    }

    /// How many submitted series are wanted, and the first `count` of them.
    pub(crate) fn submitted_plots(&self, wanted: &Wanted, count: usize) -> (usize, Vec<Plot>) {
        self.store().plots(wanted, count)
    }

    /// All submitted points of the series of a metric that have all of `tags`.
    pub(crate) fn submitted_points(&self, metric: &str, tags: &Tags) -> Vec<(i64, f64)> {
        self.store().points_with(metric, tags)
    }
}
