//! The last hour of every metric, one value a minute.
//!
//! Kept only while the page is on. A metric takes 60 values of 4 bytes and about 100 bytes around
//! them: 3.5 MB for 10,000 metrics, and no more, whatever is asked of Datadog how often.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    demand::{Demand, MetricKey},
    store::Snapshot,
};

/// Minutes that are kept.
pub const MINUTES: usize = 60;
/// The same, to reckon with.
const SPAN: i64 = 60;
/// From one look at the store to the next.
const LOOK: Duration = Duration::from_secs(10);

/// What is kept; clones share it.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<RwLock<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    /// By a hash of the key: two that fall together would share a line.
    rings: HashMap<u64, Box<Ring>>,
    demand: Arc<Demand>,
}

#[derive(Debug)]
struct Ring {
    /// At the minute since 1970 modulo [`MINUTES`]; NaN where there is none.
    values: [f32; MINUTES],
    /// The newest minute.
    minute: i64,
}

impl History {
    /// Takes in the samples of `snapshot`.
    pub fn observe(&self, snapshot: &Snapshot) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&kept.demand, snapshot.demand()) {
            kept.demand = snapshot.demand().clone();
            let wanted: std::collections::HashSet<u64> =
                snapshot.iter().map(|(key, ..)| hash(key)).collect();
            kept.rings.retain(|hash, _| wanted.contains(hash));
        }
        for (key, _, entry) in snapshot.iter() {
            let Some(sample) = entry.sample else { continue };
            let minute = sample.at.as_second().div_euclid(60);
            kept.rings
                .entry(hash(key))
                .or_insert_with(|| Box::new(Ring::new(minute)))
                .put(minute, sample.value);
        }
    }

    /// The values of the hour that ends at `now`, the oldest first; nothing where there are none.
    pub fn of(&self, key: &MetricKey, now: Timestamp) -> Vec<Option<f32>> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        kept.rings
            .get(&hash(key))
            .map(|ring| ring.hour(now.as_second().div_euclid(60)))
            .unwrap_or_default()
    }
}

impl Ring {
    fn new(minute: i64) -> Self {
        Self { values: [f32::NAN; MINUTES], minute }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a line in a picture needs no more")]
    fn put(&mut self, minute: i64, value: f64) {
        let steps = minute.saturating_sub(self.minute);
        if steps < 0 {
            return; // samples of one metric only get newer
        }
        for step in 1..=steps.min(SPAN) {
            self.values[place(self.minute + step)] = f32::NAN;
        }
        self.minute = minute;
        self.values[place(minute)] = value as f32;
    }

    fn hour(&self, now: i64) -> Vec<Option<f32>> {
        let is_kept = |minute: &i64| *minute <= self.minute && *minute > self.minute - SPAN;
        let value = |minute: i64| {
            let value = self.values[place(minute)];
            (is_kept(&minute) && value.is_finite()).then_some(value)
        };
        (now - SPAN + 1..=now).map(value).collect()
    }
}

fn place(minute: i64) -> usize {
    usize::try_from(minute.rem_euclid(SPAN)).unwrap_or_default()
}

fn hash(key: &MetricKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Keeps what `store` holds until `stop`.
pub async fn run(
    history: History,
    mut store: watch::Receiver<Arc<Snapshot>>,
    stop: CancellationToken,
) {
    let keep = async {
        loop {
            let snapshot = store.borrow_and_update().clone();
            history.observe(&snapshot);
            drop(snapshot);
            tokio::time::sleep(LOOK).await;
            if store.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(keep).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample::Sample, store::Entry, testing};

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60 + 7).unwrap()
    }

    fn snapshot(at: i64, value: f64) -> Snapshot {
        let sample = Some(Sample { value, at: minute(at) });
        let entry = Entry { sample, ..testing::entry("q") };
        testing::snapshot(testing::key("default", "m"), "m", entry)
    }

    #[test]
    fn the_last_value_of_each_minute_is_kept_for_an_hour() {
        let (history, key) = (History::default(), testing::key("default", "m"));
        for (at, value) in [(100, 1.0), (100, 2.0), (103, 3.0)] {
            history.observe(&snapshot(at, value));
        }
        let hour = history.of(&key, minute(104));
        assert_eq!(hour.len(), MINUTES);
        assert_eq!(hour[55..], [Some(2.0), None, None, Some(3.0), None]);
        assert_eq!(history.of(&key, minute(162))[0], Some(3.0));
        assert!(history.of(&key, minute(163)).iter().all(Option::is_none));
        history.observe(&snapshot(1000, 4.0));
        let hour = history.of(&key, minute(1000));
        assert_eq!(hour.iter().flatten().count(), 1, "an hour without a sample clears the ring");
    }

    #[test]
    fn what_nobody_wants_is_forgotten() {
        let history = History::default();
        history.observe(&snapshot(100, 1.0));
        history.observe(&Snapshot::default());
        assert!(history.of(&testing::key("default", "m"), minute(100)).is_empty());
    }

    /// What `docs/monitoring.md` says of ten thousand metrics.
    #[cfg(target_os = "linux")]
    #[test]
    #[ignore = "measures the memory of the process: cargo test -p provider --lib history -- --ignored"]
    fn ten_thousand_metrics_take_less_than_four_megabytes() {
        let resident = || -> i64 {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            4 * pages.split(' ').nth(1).unwrap().parse::<i64>().unwrap()
        };
        let keys = (0..10_000).map(|number| (testing::key("default", &format!("m.{number}")), "m"));
        let sample = Some(Sample { value: 1.0, at: minute(100) });
        let entry = Arc::new(Entry { sample, ..testing::entry("q") });
        let snapshot = Snapshot::new(testing::demand(keys), &vec![entry; 10_000]);
        let (history, before) = (History::default(), resident());
        history.observe(&snapshot);
        let taken = resident() - before;
        assert!((2000..4000).contains(&taken), "{taken} KiB");
    }
}
