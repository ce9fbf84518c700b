//! Which series of a group's answer is whose.

use std::collections::BTreeMap;

use crate::{
    datadog::{Series, coalesce::Group},
    query::Ask,
};

/// Series that nobody wants, for each wanted one, beyond which a group costs more than it saves:
/// each is about a kilobyte of JSON to be read.
const MAX_STRANGERS_PER_MEMBER: usize = 4;

/// The answer to a [`Group`], divided among its members.
#[derive(Debug, PartialEq)]
pub struct Split {
    /// Members with their series, at least one.
    pub found: Vec<(Ask, Vec<Series>)>,
    /// Members of which there is no group.
    pub missing: Vec<Ask>,
    /// Series that nobody wants: a source with one wanted value of the tag and others that are not
    /// (tags may have several) is in a group for each of them.
    pub strangers: usize,
}

impl Group {
    /// Divides the answer. Values are compared without regard to case, as Datadog stores tags in
    /// lower case.
    pub fn split(&self, series: Vec<Series>) -> Split {
        let mut by_value: BTreeMap<String, Vec<Series>> = BTreeMap::new();
        let mut strangers = 0;
        for series in series {
            match self.value_of(&series).filter(|value| self.members.contains_key(value)) {
                Some(value) => by_value.entry(value).or_default().push(series),
                None => strangers += 1,
            }
        }
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for (value, ask) in &self.members {
            match by_value.remove(value) {
                Some(series) => found.push((ask.clone(), series)),
                None => missing.push(ask.clone()),
            }
        }
        Split { found, missing, strangers }
    }

    /// The value that the group of `series` has of the tag.
    fn value_of(&self, series: &Series) -> Option<String> {
        let tags = series.tags.iter().filter_map(|tag| tag.split_once(':'));
        let mut own = tags.filter(|(key, _)| key.eq_ignore_ascii_case(&self.tag));
        own.next().map(|(_, value)| value.to_lowercase())
    }
}

impl Split {
    /// Whether so much came back that nobody wants that the members had better be asked alone.
    pub fn too_many_strangers(&self) -> bool {
        (self.found.len() + self.missing.len()) * MAX_STRANGERS_PER_MEMBER < self.strangers
    }
}
