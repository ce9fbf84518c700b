//! Which tag queries are put together by.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, BinaryHeap, btree_map::Entry},
    time::Duration,
};

use crate::query::{Ask, Plain};

/// Queries that differ in the value of one tag alone, at least two values.
pub(super) struct Pick<'a> {
    /// The window of all.
    pub(super) window: Duration,
    /// One of them.
    pub(super) plain: &'a Plain,
    /// The key of the tag.
    pub(super) tag: &'a str,
    /// The tag's values in lower case, and whose they are.
    pub(super) members: BTreeMap<String, Ask>,
}

/// What queries have in common that differ in the value of `tag` alone. Compared without that
/// value.
#[derive(Clone, Copy)]
struct Shape<'a> {
    plain: &'a Plain,
    tag: &'a str,
}

/// Words of the boolean filters. Whether one may stand in a list or before `IN` is documented
/// nowhere, so queries with them are asked as they are.
const KEYWORDS: [&str; 4] = ["AND", "OR", "NOT", "IN"];

/// Takes the shape that most queries of `asks`, all of one window, have, then the one that most of the others have, and so on;
/// of two that are shared by as many, the first in their order. Gives the queries that share no
/// shape as well.
///
/// Each query is looked at once for each of its tags, and once more for each when it is taken.
pub(super) fn pick(asks: &[Ask]) -> (Vec<Pick<'_>>, Vec<Ask>) {
    let mut places: Vec<(Shape<'_>, usize)> = Vec::new();
    for (position, ask) in asks.iter().enumerate() {
        if let Some(plain) = ask.query.plain().filter(|plain| can_be_listed(plain)) {
            places.extend(plain.tags.iter().map(|(tag, _)| (Shape { plain, tag }, position)));
        }
    }
    places.sort_unstable();
    let shared: Vec<&[(Shape<'_>, usize)]> =
        places.chunk_by(|a, b| a.0 == b.0).filter(|places| 1 < places.len()).collect();

    let mut shapes_of: Vec<Vec<usize>> = vec![Vec::new(); asks.len()];
    for (shape, places) in shared.iter().enumerate() {
        places.iter().for_each(|(_, position)| shapes_of[*position].push(shape));
    }
    let mut left: Vec<usize> = shared.iter().map(|places| places.len()).collect();
    let mut largest: BinaryHeap<(usize, Reverse<usize>)> =
        left.iter().enumerate().map(|(shape, count)| (*count, Reverse(shape))).collect();
    let mut taken = vec![false; asks.len()];
    let mut picks = Vec::new();
    while let Some((count, Reverse(shape))) = largest.pop() {
        if left[shape] < count {
            // Some were taken since; it may still be the largest.
            if 1 < left[shape] {
                largest.push((left[shape], Reverse(shape)));
            }
            continue;
        }
        let Some((pick, positions)) = together(asks, shared[shape], &taken) else { continue };
        for position in positions {
            taken[position] = true;
            shapes_of[position].iter().for_each(|shape| left[*shape] -= 1);
        }
        picks.push(pick);
    }
    let rest = asks.iter().zip(taken).filter(|(_, taken)| !taken).map(|(ask, _)| ask.clone());
    (picks, rest.collect())
}

fn can_be_listed(plain: &Plain) -> bool {
    let is_word = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
            && !KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(text))
    };
    plain.tags.iter().all(|(key, value)| is_word(key) && is_word(value))
}

/// The asks at `places`, which have one shape, without those that are taken, and their positions;
/// nothing, if they have a single value. Of asks that differ in nothing but the value's case, which
/// Datadog does not know, the first is in it.
fn together<'a>(
    asks: &[Ask],
    places: &[(Shape<'a>, usize)],
    taken: &[bool],
) -> Option<(Pick<'a>, Vec<usize>)> {
    let (Shape { plain, tag }, first) = places.first()?;
    let mut members: BTreeMap<String, Ask> = BTreeMap::new();
    let mut positions = Vec::new();
    for (shape, position) in places.iter().filter(|(_, position)| !taken[*position]) {
        if let Entry::Vacant(vacant) = members.entry(shape.value().to_lowercase()) {
            vacant.insert(asks[*position].clone());
            positions.push(*position);
        }
    }
    let pick = Pick { window: asks[*first].window, plain, tag, members };
    (1 < positions.len()).then_some((pick, positions))
}

impl<'a> Shape<'a> {
    fn value(&self) -> &'a str {
        self.plain.tag(self.tag).unwrap_or_default()
    }

    fn others(&self) -> impl Iterator<Item = &'a (String, String)> {
        let tag = self.tag;
        self.plain.tags.iter().filter(move |(key, _)| key != tag)
    }
}

impl Ord for Shape<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let Plain { aggregator, metric, rollup, .. } = self.plain;
        (metric, aggregator, rollup, self.tag)
            .cmp(&(&other.plain.metric, &other.plain.aggregator, &other.plain.rollup, other.tag))
            .then_with(|| self.others().cmp(other.others()))
    }
}

impl PartialOrd for Shape<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Shape<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Shape<'_> {}
