//! What others know, taken into the entries; pure.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use super::{State, newest};
use crate::{
    demand::MetricKey,
    query::Ask,
    store::{Entry, Outcome, known::Memory},
};

/// How long what is told about a metric that nobody wants here is kept: our watch may be later than
/// the leader's.
const KEPT: Duration = Duration::from_secs(60);
/// Of how many metrics at most: more than the autoscalers of any cluster.
const MOST: usize = 32_768;

/// What was told and is not, or not only, in an entry: metrics that nobody wants here yet, and those
/// for which the leader has another question, because its demand or its flags differ from ours.
pub(super) type Told = HashMap<MetricKey, (Memory, Instant)>;

/// What was answered before.
#[derive(Debug)]
pub(in crate::poll) struct Answered<'a> {
    pub(in crate::poll) ask: &'a Ask,
    /// When it was asked.
    pub(in crate::poll) at: Timestamp,
    /// For how long Datadog has refused the query, if it does.
    pub(in crate::poll) refused_for: Option<Duration>,
}

impl State {
    /// Takes in what another replica knows. A follower takes every word; who leads only what is newer
    /// than what it knows itself, and answers its own question.
    pub(in crate::poll) fn learn(
        &mut self,
        known: Vec<(MetricKey, Memory)>,
        complete: bool,
        leads: bool,
        wall: Timestamp,
        now: Instant,
    ) {
        if complete && !leads {
            self.told.clear();
            self.forget_all_but(&known.iter().map(|(key, _)| key).collect(), wall);
        }
        for (key, memory) in known {
            self.tell(key, memory, now, leads);
        }
        self.drop_old(leads, now);
    }

    /// Takes in what was told before it was wanted.
    pub(in crate::poll) fn recall(&mut self, leads: bool, now: Instant) {
        for (key, (memory, at)) in std::mem::take(&mut self.told) {
            self.tell(key, memory, at, leads);
        }
        self.drop_old(leads, now);
    }

    /// From now on we ask: an answer to another question than ours is none, though its sample may
    /// be served until ours is there.
    pub(in crate::poll) fn lead(&mut self) {
        if !self.snapshot.ready {
            return;
        }
        for (key, _) in std::mem::take(&mut self.told) {
            let position = self.snapshot.demand().position(&key);
            if let Some(entry) = position.and_then(|position| self.snapshot.at_mut(position)) {
                entry.last = None;
            }
        }
    }

    /// The questions of which something is known.
    pub(in crate::poll) fn answered(&self) -> impl Iterator<Item = Answered<'_>> {
        self.asks.iter().filter_map(|(ask, positions)| {
            let entries = positions.iter().filter_map(|position| self.snapshot.at(*position));
            let known = entries.filter_map(|entry| Some((entry, entry.last.as_ref()?)));
            let (entry, (at, outcome)) = known.max_by_key(|(_, (at, _))| *at)?;
            let is_refused = matches!(outcome, Outcome::Failed(error) if error.is_about_a_query());
            let good = entry.sample.map_or(entry.since, |sample| sample.at.max(entry.since));
            let refused_for = Duration::try_from(at.duration_since(good)).unwrap_or_default();
            Some(Answered { ask, at: *at, refused_for: is_refused.then_some(refused_for) })
        })
    }

    fn tell(&mut self, key: MetricKey, memory: Memory, at: Instant, leads: bool) {
        let Some(position) = self.snapshot.demand().position(&key) else {
            if self.told.len() < MOST {
                self.told.insert(key, (memory, at));
            }
            return;
        };
        let Some(entry) = self.snapshot.at_mut(position) else { return };
        let own = entry.ask.as_ref().ok().map(|ask| ask.query.as_str());
        if own == memory.query.as_deref() {
            take(entry, &memory, leads);
            self.told.remove(&key);
        } else if !leads {
            take(entry, &memory, leads);
            self.told.insert(key, (memory, at));
        }
    }

    fn drop_old(&mut self, leads: bool, now: Instant) {
        if !self.snapshot.ready {
            return;
        }
        let demand = self.snapshot.demand();
        self.told.retain(|key, (_, at)| {
            !leads && (demand.position(key).is_some() || now.duration_since(*at) < KEPT)
        });
    }

    /// What the leader does not know is not known, but for a sample that may be served.
    fn forget_all_but(&mut self, known: &HashSet<&MetricKey>, wall: Timestamp) {
        let forgotten: Vec<usize> = self
            .snapshot
            .iter()
            .enumerate()
            .filter(|(_, (key, _, entry))| !known.contains(key) && entry.fresh(wall).is_none())
            .filter(|(_, (_, _, entry))| entry.last.is_some())
            .map(|(position, _)| position)
            .collect();
        for position in forgotten {
            let Some(entry) = self.snapshot.at_mut(position) else { continue };
            (entry.sample, entry.last, entry.last_error) = (None, None, None);
        }
    }
}

fn take(entry: &mut Entry, memory: &Memory, leads: bool) {
    let asked = |last: &Option<(Timestamp, Outcome)>| last.as_ref().map(|(at, _)| *at);
    if leads && asked(&memory.last) <= asked(&entry.last) {
        return;
    }
    entry.since = entry.since.min(memory.since);
    entry.sample = newest(entry.sample, memory.sample);
    // A leader that knows nothing yet takes nothing away.
    if memory.last.is_some() {
        entry.last.clone_from(&memory.last);
    }
    if memory.last_error.is_some() {
        entry.last_error.clone_from(&memory.last_error);
    }
}
