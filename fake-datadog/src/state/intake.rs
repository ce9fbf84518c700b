//! What was taken from a body goes into the store.

use jiff::Timestamp;

use crate::{
    intake::{Batch, Event, ServiceCheck},
    state::Shared,
    store::{Submission, counts::Reason},
};

impl Shared {
    /// Takes the series of one body. Queries in between see a part of them, and do not wait for
    /// the whole.
    pub(crate) fn take(&self, now: Timestamp, batch: &Batch) {
        for series in &batch.series {
            let submission = Submission {
                metric: &series.metric,
                tags: &series.tags,
                kind: series.kind.unwrap_or_default(),
                interval: series.interval,
                points: &series.points,
            };
            let mut store = self.store_mut();
            store.insert(now.as_second(), &submission);
            store.learn(&series.metric, series.kind, series.unit.as_deref());
        }
        self.store_mut().drop_points(Reason::Name, batch.dropped);
    }

    /// Takes service checks.
    pub(crate) fn take_checks(&self, now: Timestamp, checks: Vec<ServiceCheck>) {
        self.store_mut().reports_mut().take_checks(now.as_second(), checks);
    }

    /// Takes events.
    pub(crate) fn take_events(&self, now: Timestamp, events: Vec<Event>) {
        self.store_mut().reports_mut().take_events(now.as_second(), events);
    }
}
