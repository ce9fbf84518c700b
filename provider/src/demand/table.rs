//! What is kept of the objects of one kind, from watch events; pure.
//!
//! Only what we need is kept, not the objects: an HPA's status changes at every sync of its
//! controller, and with thousands of HPAs neither the memory of the objects nor a new
//! [`crate::demand::Demand`] for each of those changes would be free. (That is why there is no
//! `reflector` store here.)

use std::collections::BTreeMap;

use kube::runtime::watcher::Event;

use crate::demand::ObjectName;

/// The rows of one kind.
#[derive(Debug)]
pub(super) struct Table<T> {
    rows: BTreeMap<ObjectName, T>,
    /// The list that is being read; it takes the place of `rows` when it is complete.
    listing: BTreeMap<ObjectName, T>,
    state: State,
}

/// Whether the rows are all that there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// No list has been read yet.
    Waiting,
    /// A whole list has been read.
    Listed,
    /// They cannot be listed, for this reason.
    Unreadable(String),
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), listing: BTreeMap::new(), state: State::Waiting }
    }
}

impl<T: PartialEq> Table<T> {
    /// Takes in one event; tells whether anything changed.
    pub(super) fn apply<K>(
        &mut self,
        event: &Event<K>,
        read: impl FnOnce(&K) -> (ObjectName, T),
    ) -> bool {
        match event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(object) => {
                let (name, row) = read(object);
                self.listing.insert(name, row);
                false
            }
            Event::InitDone => {
                let listing = std::mem::take(&mut self.listing);
                let changed = self.state != State::Listed || self.rows != listing;
                self.rows = listing;
                self.state = State::Listed;
                changed
            }
            Event::Apply(object) => {
                let (name, row) = read(object);
                let before = self.rows.insert(name.clone(), row);
                before.as_ref() != self.rows.get(&name)
            }
            Event::Delete(object) => self.rows.remove(&read(object).0).is_some(),
        }
    }

    /// Notes that the objects cannot be read; tells whether anything changed. Once there was a list
    /// it holds through every trouble but the one that there is no such kind of object any more.
    pub(super) fn unreadable(&mut self, reason: String, is_gone: bool) -> bool {
        let state = State::Unreadable(reason);
        if self.state == state || self.state == State::Listed && !is_gone {
            return false;
        }
        self.rows.clear();
        self.state = state;
        true
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn get(&self, name: &ObjectName) -> Option<&T> {
        self.rows.get(name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&ObjectName, &T)> {
        self.rows.iter()
    }
}
