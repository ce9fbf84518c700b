//! Which queries become one `… by {tag}` query, and which series of its answer is whose; pure.

use std::{collections::BTreeMap, sync::Arc};

use crate::{datadog::Series, query::Ask};

/// What is asked as one query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A query as it is.
    Alone(Ask),
    /// Several that are equal but for one tag's value.
    Group(Arc<Group>),
}

/// Queries asked as one.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// The question, with `by {tag}`.
    pub ask: Ask,
    /// The key of the tag.
    pub tag: String,
    /// Whom the value of the tag, in lower case, stands for.
    pub members: BTreeMap<String, Ask>,
}

/// The answer to a [`Group`], divided among its members.
#[derive(Debug, PartialEq)]
pub struct Split {
    /// Members with their series.
    pub found: Vec<(Ask, Vec<Series>)>,
    /// Members of which there is no group.
    pub missing: Vec<Ask>,
    /// Groups that nobody wants.
    pub strangers: usize,
}

/// Puts together what saves calls.
pub fn coalesce(asks: &[Ask]) -> Vec<Unit> {
    asks.iter().cloned().map(Unit::Alone).collect()
}

impl Split {
    /// Whether the answer holds so much that nobody wants that the queries had better go alone.
    pub fn too_many_strangers(&self) -> bool {
        false
    }
}

impl Unit {
    /// The question.
    pub fn ask(&self) -> &Ask {
        match self {
            Self::Alone(ask) => ask,
            Self::Group(group) => &group.ask,
        }
    }

    /// Those whom it answers.
    pub fn members(&self) -> Box<dyn Iterator<Item = &Ask> + '_> {
        match self {
            Self::Alone(ask) => Box::new(std::iter::once(ask)),
            Self::Group(group) => Box::new(group.members.values()),
        }
    }
}

impl Group {
    /// Divides the answer.
    pub fn split(&self, series: Vec<Series>) -> Split {
        Split {
            found: vec![],
            missing: self.members.values().cloned().collect(),
            strangers: series.len(),
        }
    }
}
