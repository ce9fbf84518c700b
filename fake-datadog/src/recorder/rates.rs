//! How many requests of which kind came: in all, and in each of the last seconds.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use crate::{control::RequestCount, recorder::exchange::Route};

/// How far back the counts by second go, in seconds.
const WINDOW: i64 = 300;

/// Counts by route and status.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    /// Place of each route and status in the lists of counts. Their number is bounded by what
    /// the fake serves, not by what clients ask.
    places: BTreeMap<(Route, u16), usize>,
    totals: Vec<u64>,
    /// Ascending in time; seconds without requests are left out.
    seconds: VecDeque<Second>,
}

#[derive(Debug)]
struct Second {
    /// Unix seconds.
    at: i64,
    /// By place; as long as the last place that was counted.
    counts: Vec<u32>,
}

/// The counts of the last minutes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Recent {
    /// Second that the counts end with, Unix.
    pub(crate) to: i64,
    /// One for each kind of request that came.
    pub(crate) rows: Vec<Row>,
}

/// The counts of one kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: u16,
    /// `(seconds before Recent::to, count)`, newest last.
    pub(crate) counts: Vec<(i64, u32)>,
}

impl Rates {
    /// Counts one request that was answered at `now`, Unix seconds.
    pub(crate) fn count(&mut self, now: i64, route: &Route, status: u16) {
        let next = self.totals.len();
        let place = *self.places.entry((route.clone(), status)).or_insert(next);
        if place == next {
            self.totals.push(0);
        }
        self.totals[place] += 1;
        let second = self.second(now);
        if second.counts.len() <= place {
            second.counts.resize(place + 1, 0);
        }
        second.counts[place] = second.counts[place].saturating_add(1);
    }

    /// The counts of `now`; those of the newest second when the clock was set back.
    fn second(&mut self, now: i64) -> &mut Second {
        if self.seconds.back().is_none_or(|last| last.at < now) {
            while self.seconds.front().is_some_and(|first| first.at <= now - WINDOW) {
                self.seconds.pop_front();
            }
            self.seconds.push_back(Second { at: now, counts: Vec::new() });
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }

    /// All counts, ordered by method, path and status.
    pub(crate) fn totals(&self) -> Vec<RequestCount> {
        let total = |((route, status), place): (&(Route, u16), &usize)| RequestCount {
            method: route.method.to_owned(),
            path: route.path.to_string(),
            status: *status,
            count: self.totals[*place],
        };
        self.places.iter().map(total).collect()
    }

    /// The counts of the last [`WINDOW`] seconds up to `now`, without the kinds that none came of.
    pub(crate) fn recent(&self, now: i64) -> Recent {
        let seconds = || self.seconds.iter().filter(|it| now - WINDOW < it.at && it.at <= now);
        let rows = self.places.iter().filter_map(|((route, status), place)| {
            let counts: Vec<_> = seconds()
                .filter_map(|it| Some((now - it.at, *it.counts.get(*place)?)))
                .filter(|(_, count)| *count != 0)
                .collect();
            (!counts.is_empty()).then(|| Row {
                method: route.method.to_owned(),
                path: route.path.to_string(),
                status: *status,
                counts,
            })
        });
        Recent { to: now, rows: rows.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str) -> Route {
        Route { method: "GET", path: path.into() }
    }

    #[test]
    fn requests_are_counted_by_second_for_some_minutes_and_in_all_for_ever() {
        let mut rates = Rates::default();
        rates.count(1000, &route("/a"), 200);
        rates.count(1000, &route("/a"), 200);
        rates.count(1001, &route("/a"), 429);
        rates.count(1003, &route("/b"), 200);
        let counts = |now| {
            let rows = rates.recent(now).rows.into_iter();
            rows.map(|row| (row.path, row.status, row.counts)).collect::<Vec<_>>()
        };
        assert_eq!(
            counts(1003),
            [
                ("/a".to_owned(), 200, vec![(3, 2)]),
                ("/a".to_owned(), 429, vec![(2, 1)]),
                ("/b".to_owned(), 200, vec![(0, 1)]),
            ]
        );
        assert_eq!(counts(1301), [("/b".to_owned(), 200, vec![(298, 1)])]);
        assert_eq!(rates.totals().iter().map(|it| it.count).sum::<u64>(), 4);
    }

    #[test]
    fn seconds_out_of_the_window_are_forgotten() {
        let mut rates = Rates::default();
        for second in 0..1000 {
            rates.count(second, &route("/a"), 200);
        }
        assert_eq!(rates.seconds.len(), 300);
    }

    #[test]
    fn a_clock_that_was_set_back_loses_no_request() {
        let mut rates = Rates::default();
        rates.count(1000, &route("/a"), 200);
        rates.count(900, &route("/a"), 200);
        assert_eq!(rates.recent(1000).rows[0].counts, [(0, 2)]);
    }
}
