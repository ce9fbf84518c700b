//! How often each query was answered.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::query::{Ask, Query};

/// Counts by a hash of the query, 16 bytes each: two that fall together would share a count.
#[derive(Debug, Default)]
pub(super) struct Updates(HashMap<u64, u64>);

/// Queries that are counted. Where more come, as they do when HPAs come and go for weeks, all begin
/// anew, as counters may.
const COUNTED: usize = 20_000;

impl Updates {
    /// All of these were answered.
    pub(super) fn answered<'a>(&mut self, asks: impl Iterator<Item = &'a Ask>) {
        for ask in asks {
            if self.0.len() >= COUNTED {
                self.0.clear();
            }
            *self.0.entry(hash(&ask.query)).or_default() += 1;
        }
    }

    /// How often this one was.
    pub(super) fn of(&self, query: &Query) -> u64 {
        self.0.get(&hash(query)).copied().unwrap_or_default()
    }
}

fn hash(query: &Query) -> u64 {
    let mut hasher = DefaultHasher::new();
    query.as_str().hash(&mut hasher);
    hasher.finish()
}
