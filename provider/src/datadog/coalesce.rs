//! Which queries become one `… by {tag}` query, and which series of its answer is whose; pure.
//!
//! Queries that are equal but for one tag's value, such as `avg:m{env:x,queue:a}.rollup(30)` and
//! `avg:m{env:x,queue:b}.rollup(30)`, are asked as
//! `avg:m{env:x AND queue IN (a,b)} by {queue}.rollup(30)`
//! (<https://docs.datadoghq.com/metrics/advanced-filtering/>; a scope has one syntax, so the list
//! brings `AND` with it). The list bounds the groups that come back.
//!
//! The answers are the same but in one case: Datadog bridges gaps of a gauge in a grouped query
//! also where a group has one source, and in a plain query only where several sources are combined
//! (<https://docs.datadoghq.com/metrics/guide/interpolation-the-fill-modifier-explained/>). A
//! series with fewer points than buckets then has points between its own.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use crate::{
    datadog::batch::{Limits, SEPARATOR, escaped_length, split},
    query::{Ask, Plain, Query},
};

mod divide;
mod pick;

pub use divide::Split;
use pick::{Pick, pick};

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

/// A request has room for this many lists of full length: requests then fill well whatever the
/// lists' lengths, and a query that Datadog refuses or cannot answer in time takes fewer with it.
const LISTS_IN_REQUEST: usize = 8;

/// The length of an escaped comma.
const COMMA: usize = 3;

/// Puts together what saves requests: window by window, and only where fewer requests come of it.
///
/// Each ask is in exactly one unit. Units of one window stand together; those of a window that was
/// coalesced are ordered from long to short, so that requests fill. The order of `asks` is of no
/// account.
pub fn coalesce(asks: &[Ask], limits: Limits) -> Vec<Unit> {
    let mut asks = asks.to_vec();
    asks.sort_unstable();
    let windows = asks.chunk_by(|a, b| a.window == b.window);
    windows.flat_map(|asks| coalesce_window(asks, limits)).collect()
}

fn coalesce_window(asks: &[Ask], limits: Limits) -> Vec<Unit> {
    let alone: Vec<Unit> = asks.iter().cloned().map(Unit::Alone).collect();
    let without = requests(&alone, limits);
    if without <= 1 {
        return alone;
    }
    let (picks, rest) = pick(asks);
    let groups = picks.into_iter().flat_map(|pick| cut(pick, limits));
    let mut units: Vec<Unit> = groups.chain(rest.into_iter().map(Unit::Alone)).collect();
    units.sort_by_cached_key(|unit| Reverse(escaped_length(unit.ask().query.as_str())));
    if requests(&units, limits) < without { units } else { alone }
}

fn requests(units: &[Unit], limits: Limits) -> usize {
    split(units, |unit| unit.ask().query.as_str(), limits).len()
}

/// Groups with lists that leave room for others; what would be alone in a group stays alone.
fn cut(pick: Pick<'_>, limits: Limits) -> Vec<Unit> {
    let Pick { window, plain, tag, members } = pick;
    let fixed = escaped_length(&text(plain, tag, "")) + SEPARATOR;
    // Two at least, if a request can carry them at all.
    let room = |values: usize| match values {
        0 | 1 => limits.characters.saturating_sub(fixed),
        _ => (limits.characters / LISTS_IN_REQUEST).saturating_sub(fixed),
    };
    let mut pieces: Vec<BTreeMap<String, Ask>> = Vec::new();
    let mut length = 0;
    for (value, ask) in members {
        let own = escaped_length(&value) + COMMA;
        match pieces.last_mut() {
            Some(piece) if length + own <= room(piece.len()) => {
                length += own;
                piece.insert(value, ask);
            }
            _ => {
                length = own;
                pieces.push(BTreeMap::from([(value, ask)]));
            }
        }
    }
    let units = pieces.into_iter().flat_map(|members| {
        if members.len() < 2 {
            return members.into_values().map(Unit::Alone).collect();
        }
        let list = members.keys().map(String::as_str).collect::<Vec<_>>().join(",");
        let ask = Ask { window, query: Query::new(text(plain, tag, &list)) };
        vec![Unit::Group(Arc::new(Group { ask, tag: tag.to_owned(), members }))]
    });
    units.collect()
}

/// The query for all series of `plain` whose `tag` has a value of `list`.
fn text(plain: &Plain, tag: &str, list: &str) -> String {
    let others = plain.tags.iter().filter(|(key, _)| key != tag);
    let terms = others.map(|(key, value)| format!("{key}:{value}"));
    let terms: Vec<String> = terms.chain([format!("{tag} IN ({list})")]).collect();
    let scope = terms.join(" AND ");
    let Plain { aggregator, metric, rollup, .. } = plain;
    format!("{}:{metric}{{{scope}}} by {{{tag}}}.rollup({rollup})", aggregator.as_str())
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

#[cfg(test)]
mod tests;
