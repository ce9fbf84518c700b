//! Which Event to post next; pure.
//!
//! Based on levels, not on edges: what is true now and was not said, or not for a while, is due.
//! What is well again before its turn is never said.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    store::Snapshot,
    write::{
        saying::{AVAILABLE, Object, Regarding, State, Topic},
        words::words,
    },
};

/// What persists is said again after this time, well before kube-apiserver forgets an Event (after
/// an hour, its `--event-ttl`).
const REPEAT: SignedDuration = SignedDuration::from_mins(10);
/// What comes and goes is not said again before this time.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// What was said so long ago is forgotten here, as kube-apiserver has forgotten it.
const FORGET: SignedDuration = SignedDuration::from_hours(1);

/// An Event to post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    /// The object that it is about.
    pub(super) object: Regarding,
    /// Its `reason`.
    pub(super) reason: &'static str,
    /// The sentence.
    pub(super) note: String,
    /// Whether it is a `Warning`, else it is `Normal`.
    pub(super) warning: bool,
    /// The Event that says the same already, to be counted up: its name and the new count.
    pub(super) again: Option<(String, i32)>,
    topic: u64,
}

/// What has been said, and where to look next.
#[derive(Debug, Default)]
pub(super) struct Plan {
    said: HashMap<u64, Said>,
    /// The position in the topics from which to look on, so that each has its turn.
    cursor: usize,
    forgotten_at: Option<Timestamp>,
}

/// What has been said of one topic about one object.
#[derive(Debug, Default)]
struct Said {
    /// The reason of the last Event.
    last: &'static str,
    /// The last Event of each reason.
    events: Vec<Posted>,
}

#[derive(Debug)]
struct Posted {
    reason: &'static str,
    at: Timestamp,
    /// The name of the Event, unless it was refused.
    name: Option<String>,
    count: i32,
    /// A hash of the note's words: a note cannot be changed, so that other words are another Event.
    words: u64,
}

/// What goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// News that an owner can act on.
    Mendable,
    /// Other news.
    News,
    /// What was said before.
    Repeated,
}

impl Plan {
    /// The next Event, if one is due.
    pub(super) fn next(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Post> {
        self.forget(now);
        let count = Topic::count(snapshot);
        let mut best: Option<(Rank, usize, Topic<'_>, Object<'_>, &'static str)> = None;
        for position in (0..count).map(|step| (self.cursor + step) % count) {
            let Some(topic) = Topic::at(snapshot, position) else { continue };
            let state = topic.state(now);
            if state == State::Unknown || (state == State::Well && self.said.is_empty()) {
                continue;
            }
            for object in topic.objects() {
                let Some((rank, reason)) = self.due(topic.id(object), state, now) else { continue };
                if best.as_ref().is_none_or(|(best, ..)| rank < *best) {
                    best = Some((rank, position, topic, object, reason));
                }
            }
            if best.as_ref().is_some_and(|(rank, ..)| *rank == Rank::Mendable) {
                break;
            }
        }
        let (_, position, topic, object, reason) = best?;
        self.cursor = position;
        Some(self.post(&topic, object, reason, now))
    }

    /// Remembers that `post` was posted as the Event `name`, or that it was refused.
    pub(super) fn posted(&mut self, post: &Post, name: Option<String>, now: Timestamp) {
        let said = self.said.entry(post.topic).or_default();
        said.last = post.reason;
        let count = post.again.as_ref().filter(|(again, _)| Some(again) == name.as_ref());
        let posted = Posted {
            reason: post.reason,
            at: now,
            count: count.map_or(1, |(_, count)| *count),
            words: hash(&post.note),
            name,
        };
        match said.events.iter_mut().find(|event| event.reason == post.reason) {
            Some(event) => *event = posted,
            None => said.events.push(posted),
        }
    }

    /// Whether something is due about the topic `id` in `state`, and with which reason.
    fn due(&self, id: u64, state: State, now: Timestamp) -> Option<(Rank, &'static str)> {
        let said = self.said.get(&id);
        let last = said.map_or("", |said| said.last);
        let (reason, news) = match state {
            State::Failing(reason) if reason.mendable => (reason.word, Rank::Mendable),
            State::Failing(reason) => (reason.word, Rank::News),
            // Only where a failure was said.
            State::Well if !last.is_empty() && last != AVAILABLE => (AVAILABLE, Rank::News),
            State::Well | State::Unknown => return None,
        };
        let Some(event) = said.and_then(|said| said.event(reason)) else {
            return Some((news, reason));
        };
        let (pause, rank) = if last == reason { (REPEAT, Rank::Repeated) } else { (PAUSE, news) };
        (now.duration_since(event.at) >= pause).then_some((rank, reason))
    }

    fn post(
        &self,
        topic: &Topic<'_>,
        object: Object<'_>,
        reason: &'static str,
        now: Timestamp,
    ) -> Post {
        let id = topic.id(object);
        let note = topic.note(now);
        let before = self.said.get(&id).and_then(|said| said.event(reason));
        let again = before
            .filter(|event| event.words == hash(&note))
            .and_then(|event| Some((event.name.clone()?, event.count.saturating_add(1))));
        let (object, warning) = (Regarding::from(object), reason != AVAILABLE);
        Post { object, reason, note, warning, again, topic: id }
    }

    fn forget(&mut self, now: Timestamp) {
        let forgotten_at = *self.forgotten_at.get_or_insert(now);
        if now.duration_since(forgotten_at) < REPEAT {
            return;
        }
        self.forgotten_at = Some(now);
        self.said.retain(|_, said| {
            said.events.retain(|event| now.duration_since(event.at) < FORGET);
            !said.events.is_empty()
        });
    }
}

impl Said {
    fn event(&self, reason: &str) -> Option<&Posted> {
        self.events.iter().find(|event| event.reason == reason)
    }
}

fn hash(note: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    words(note).for_each(|word| word.hash(&mut hasher));
    hasher.finish()
}

#[cfg(test)]
mod tests;
