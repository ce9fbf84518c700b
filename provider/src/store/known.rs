//! What is known of metrics, whoever wants them: what the leader tells its followers, and what
//! outlives all replicas in the ConfigMap.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    demand::MetricKey,
    sample::Sample,
    store::{Asking, Entry, Outcome, PIECE, Snapshot},
};

pub mod line;

/// What calls to Datadog have said about one metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Memory {
    /// The query that was asked; `None` where the metric cannot be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Since when the metric is wanted.
    pub since: Timestamp,
    /// As in [`Entry::sample`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
    /// As in [`Entry::last`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<(Timestamp, Outcome)>,
    /// As in [`Entry::last_error`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<(Timestamp, Outcome)>,
}

impl From<&Entry> for Memory {
    fn from(entry: &Entry) -> Self {
        Self {
            query: entry.ask.as_ref().ok().map(|ask| ask.query.to_string()),
            since: entry.since,
            sample: entry.sample,
            last: entry.last.clone(),
            last_error: entry.last_error.clone(),
        }
    }
}

/// What somebody else knows: the leader, or the replica that wrote the ConfigMap.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Whether this is all that is known there, not only what changed.
    pub complete: bool,
    /// What is known of which metric.
    pub known: Vec<(MetricKey, Memory)>,
    /// How the asking goes there, where it says so.
    pub asking: Option<Asking>,
}

impl News {
    /// All that `snapshot` knows.
    pub fn of(snapshot: &Snapshot) -> Self {
        let known = snapshot.iter().map(|(key, _, entry)| (key.clone(), Memory::from(&**entry)));
        Self {
            complete: true,
            known: known.collect(),
            asking: Some(Asking::clone(&snapshot.asking)),
        }
    }

    /// What `after` knows that `before` did not; `None` where that is nothing.
    pub fn between(before: &Snapshot, after: &Snapshot) -> Option<Self> {
        let known = changed(before, after).into_iter().filter_map(|position| {
            let (key, _) = after.demand().get(position)?;
            Some((key.clone(), Memory::from(&**after.at(position)?)))
        });
        let known: Vec<_> = known.collect();
        let asking = asking_changed(before, after).then(|| Asking::clone(&after.asking));
        (!known.is_empty() || asking.is_some()).then_some(Self { complete: false, known, asking })
    }
}

/// The positions in `after` of the entries that are not those of `before`. Entries are compared by
/// pointer: the store copies what it changes, and nothing else.
pub fn changed(before: &Snapshot, after: &Snapshot) -> Vec<usize> {
    if !Arc::ptr_eq(&before.demand, &after.demand) {
        let known = |key, entry| before.get(key).is_some_and(|(_, old)| Arc::ptr_eq(old, entry));
        let changed = after.iter().enumerate().filter(|(_, (key, _, entry))| !known(key, entry));
        return changed.map(|(position, _)| position).collect();
    }
    let pieces = before.pieces.iter().zip(&after.pieces).enumerate();
    let pieces = pieces.filter(|(_, (old, new))| !Arc::ptr_eq(old, new));
    let positions = pieces.flat_map(|(piece, (old, new))| {
        let entries = old.iter().zip(new.iter()).enumerate();
        let changed = entries.filter(|(_, (old, new))| !Arc::ptr_eq(old, new));
        changed.map(move |(at, _)| piece * PIECE + at)
    });
    positions.collect()
}

/// Whether the asking is not what it was; its errors cannot be compared but by what they say.
pub fn asking_changed(before: &Snapshot, after: &Snapshot) -> bool {
    let text = |snapshot: &Snapshot| serde_json::to_string(&*snapshot.asking).ok();
    !Arc::ptr_eq(&before.asking, &after.asking) && text(before) != text(after)
}

#[cfg(test)]
mod tests;
