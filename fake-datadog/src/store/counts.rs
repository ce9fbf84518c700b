//! How many submitted points were taken, and how many were not, by reason.

use std::collections::BTreeMap;

/// Why a point is dropped. The intake answers as if it were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// Its metric cannot have the name it has.
    Name,
    /// More than an hour old.
    TooOld,
    /// More than ten minutes ahead.
    TooFarAhead,
    /// A distribution has as many values in that second as it can.
    SecondIsFull,
    /// There are as many series as there can be.
    SeriesLimit,
    /// There are as many points as there can be.
    PointsLimit,
}

/// Counts since the start or the last reset.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    accepted: u64,
    dropped: BTreeMap<Reason, u64>,
}

impl Reason {
    pub(crate) const ALL: [Self; 6] = [
        Self::Name,
        Self::TooOld,
        Self::TooFarAhead,
        Self::SecondIsFull,
        Self::SeriesLimit,
        Self::PointsLimit,
    ];

    /// As it stands in a label.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::TooOld => "too_old",
            Self::TooFarAhead => "too_far_ahead",
            Self::SecondIsFull => "second_is_full",
            Self::SeriesLimit => "series_limit",
            Self::PointsLimit => "points_limit",
        }
    }
}

impl Counts {
    pub(super) fn accept(&mut self, points: usize) {
        self.accepted = self.accepted.saturating_add(count(points));
    }

    pub(super) fn drop(&mut self, reason: Reason, points: usize) {
        let dropped = self.dropped.entry(reason).or_default();
        *dropped = dropped.saturating_add(count(points));
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(crate) fn dropped(&self, reason: Reason) -> u64 {
        self.dropped.get(&reason).copied().unwrap_or_default()
    }

    pub(crate) fn all_dropped(&self) -> u64 {
        self.dropped.values().fold(0, |sum, points| sum.saturating_add(*points))
    }
}

fn count(points: usize) -> u64 {
    u64::try_from(points).unwrap_or(u64::MAX)
}
