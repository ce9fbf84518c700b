//! Scripted series as the page draws them, the future included.

use crate::{
    clock::ScenarioClock,
    page::{Plot, Wanted},
    script::{Running, Scripts},
    tags::Tags,
};

/// A series to draw outside the lock.
#[derive(Debug)]
pub(crate) struct Drawn {
    metric: String,
    tags: Tags,
    running: Running,
}

impl Scripts {
    /// How many series are wanted, and the first `count` of them.
    pub(crate) fn drawn(&self, wanted: &Wanted, count: usize) -> (usize, Vec<Drawn>) {
        let all = self.running.iter().flat_map(|(metric, series)| {
            series.iter().map(move |(tags, running)| (metric, tags, running))
        });
        let mut total = 0;
        let mut drawn = Vec::new();
        for (metric, tags, running) in all.filter(|(metric, tags, _)| wanted.takes(metric, tags)) {
            total += 1;
            if drawn.len() < count {
                let (metric, tags) = (metric.clone(), tags.clone());
                drawn.push(Drawn { metric, tags, running: running.clone() });
            }
        }
        (total, drawn)
    }
}

impl Drawn {
    /// The series with the points at the steps wanted.
    pub(crate) fn plot(self, clock: &ScenarioClock, wanted: &Wanted) -> Plot {
        Plot {
            metric: self.metric,
            tags: self.tags.iter().map(str::to_owned).collect(),
            scripted: true,
            points: self.running.points_apart(clock, wanted.from, wanted.to, wanted.step()),
        }
    }
}
