//! The series of one metric, found by their tags.

use std::collections::HashMap;

use crate::{
    expr::{data::Kind, scope::Scope},
    store::{MAX_VALUES_PER_SECOND, points::Points},
    tags::Tags,
};

/// The series of one metric and an index of them.
#[derive(Debug, Default)]
pub(super) struct Metric {
    series: Vec<Series>,
    /// Which series has exactly these tags.
    by_tags: HashMap<Tags, u32>,
    /// Which series have this tag, ascending.
    by_tag: HashMap<Box<str>, Vec<u32>>,
}

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) tags: Tags,
    /// As submitted last.
    pub(super) kind: Kind,
    /// Seconds, as submitted last.
    pub(super) interval: Option<u32>,
    pub(super) points: Points,
}

impl Series {
    /// Takes points in ascending order. Returns how many there was no room for.
    pub(super) fn take(
        &mut self,
        kind: Kind,
        interval: Option<u32>,
        points: &[(i64, f64)],
    ) -> usize {
        let is_distribution = kind == Kind::Distribution;
        if is_distribution != (self.kind == Kind::Distribution) {
            // Values of the one kind mean nothing among those of the other.
            self.points = Points::default();
        }
        (self.kind, self.interval) = (kind, interval);
        if !is_distribution {
            for (time, value) in points {
                self.points.set(*time, *value);
            }
            return 0;
        }
        let same_second = points.chunk_by(|left, right| left.0 == right.0);
        same_second.map(|values| self.add(values)).sum()
    }

    /// Takes values of a single second. Returns how many there was no room for.
    fn add(&mut self, values: &[(i64, f64)]) -> usize {
        let Some((time, _)) = values.first() else { return 0 };
        let room = MAX_VALUES_PER_SECOND.saturating_sub(self.points.range(*time, *time).count());
        let taken = values.iter().take(room);
        taken.for_each(|(time, value)| self.points.add(*time, *value));
        values.len().saturating_sub(room)
    }
}

impl Metric {
    /// Every series.
    pub(super) fn all(&self) -> impl Iterator<Item = &Series> {
        self.series.iter()
    }

    /// Number of series.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    pub(super) fn has(&self, tags: &Tags) -> bool {
        self.by_tags.contains_key(tags)
    }

    /// The series with exactly these tags, which is made if there is none.
    pub(super) fn series_of(&mut self, tags: &Tags) -> &mut Series {
        let index = match self.by_tags.get(tags) {
            Some(index) => *index,
            None => self.insert(Series {
                tags: tags.clone(),
                kind: Kind::default(),
                interval: None,
                points: Points::default(),
            }),
        };
        &mut self.series[slot(index)]
    }

    /// The series in `scope`, in the order in which they were first seen.
    ///
    /// Looks only at those that have the rarest tag that the scope requires, so that one host is
    /// found among 50,000 without a look at the others. A scope that requires no tag, such as
    /// `!env:prod` or `host:web-*`, is tried on every series.
    pub(super) fn matching(&self, scope: &Scope) -> Vec<&Series> {
        let mut fewest: Option<Vec<&[u32]>> = None;
        for any_of in scope.required_tags() {
            let lists = any_of.iter().filter_map(|tag| self.by_tag.get(tag.as_ref()));
            let lists: Vec<_> = lists.map(Vec::as_slice).collect();
            if fewest.as_ref().is_none_or(|fewest| total(&lists) < total(fewest)) {
                fewest = Some(lists);
            }
        }
        let Some(lists) = fewest else {
            return self.series.iter().filter(|series| scope.matches(&series.tags)).collect();
        };
        let mut found = lists.concat();
        if 1 < lists.len() {
            found.sort_unstable();
            found.dedup();
        }
        let found = found.into_iter().map(|index| &self.series[slot(index)]);
        found.filter(|series| scope.matches(&series.tags)).collect()
    }

    /// Whether a series in `scope` has a point since `from`.
    pub(super) fn is_active(&self, from: i64, scope: &Scope) -> bool {
        let mut series = self.matching(scope).into_iter();
        series.any(|series| series.points.newest().is_some_and(|newest| from <= newest))
    }

    /// Every tag that a series has.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.by_tag.keys().map(AsRef::as_ref)
    }

    /// Forgets points before `time` and series that have none left. Returns how many points.
    pub(super) fn forget_before(&mut self, time: i64) -> usize {
        let before = self.series.len();
        let gone = self.series.iter_mut().map(|series| series.points.forget_before(time)).sum();
        self.series.retain(|series| 0 < series.points.len());
        if self.series.len() < before {
            let left = std::mem::take(self).series;
            for series in left {
                self.insert(series);
            }
        }
        gone
    }

    fn insert(&mut self, series: Series) -> u32 {
        // The store holds far fewer series than that.
        let index = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        for tag in series.tags.iter() {
            match self.by_tag.get_mut(tag) {
                Some(list) => list.push(index),
                None => {
                    self.by_tag.insert(tag.into(), vec![index]);
                }
            }
        }
        self.by_tags.insert(series.tags.clone(), index);
        self.series.push(series);
        index
    }
}

fn slot(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

fn total(lists: &[&[u32]]) -> usize {
    lists.iter().map(|list| list.len()).sum()
}
