//! Points that follow each other.

use std::ops::Range;

/// Most points of a run.
pub(super) const MAX_LEN: usize = 128;

/// A run shorter than this goes on with irregular times; a longer one gives way to the next, so
/// that a gap does not cost all the points before it 4 bytes each.
const MIN_REGULAR: usize = 16;

/// Number of values for which room is made at a time: doubling would leave a quarter unused.
const GROWTH: usize = 16;

/// Points in ascending order of time: one at least.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Unix seconds of the first point.
    start: i64,
    /// Seconds from each point to the next, unless there are `offsets`; no matter what while
    /// there is only one point.
    step: u32,
    /// Of irregular points, the seconds from the first to each.
    offsets: Option<Vec<u32>>,
    values: Vec<f64>,
}

impl Run {
    pub(super) fn new(time: i64, value: f64) -> Self {
        let mut values = Vec::new();
        push(&mut values, value);
        Self { start: time, step: 0, offsets: None, values }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn start(&self) -> i64 {
        self.start
    }

    pub(super) fn end(&self) -> i64 {
        self.time(self.len() - 1)
    }

    /// The points from `from` to `to`, both included.
    pub(super) fn range(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, f64)> {
        self.indices(from, to).map(|index| (self.time(index), self.values[index]))
    }

    /// Copies the points from `from` to `to`, both included: what most of the time of a query
    /// over many series goes into.
    pub(super) fn copy(&self, from: i64, to: i64, points: &mut Vec<(i64, f64)>) {
        let indices = self.indices(from, to);
        let (first, values) = (indices.start, &self.values[indices.clone()]);
        if let Some(offsets) = &self.offsets {
            let times = offsets[indices].iter().map(|offset| self.start + i64::from(*offset));
            points.extend(times.zip(values.iter().copied()));
        } else {
            let (start, step) = (self.start + self.regular_offset(first), i64::from(self.step));
            let times = (0_i64..).map(|index| start + step * index);
            points.extend(values.iter().copied().zip(times).map(|(value, time)| (time, value)));
        }
    }

    /// Gives the point of this second another value. False when there is none.
    pub(super) fn replace(&mut self, time: i64, value: f64) -> bool {
        let Some(index) = self.upper(time).checked_sub(1) else { return false };
        let found = self.time(index) == time;
        if found {
            self.values[index] = value;
        }
        found
    }

    /// Appends a point if it follows the others in time and there is room for it.
    pub(super) fn push(&mut self, time: i64, value: f64) -> bool {
        if MAX_LEN <= self.len() || time < self.end() {
            return false;
        }
        let Some(offset) = self.offset(time) else { return false };
        let regular = self.regular_offset(self.values.len());
        match &mut self.offsets {
            Some(offsets) => push(offsets, offset),
            None if self.values.len() == 1 => self.step = offset,
            None if i64::from(offset) == regular => {}
            None if MIN_REGULAR <= self.values.len() => return false,
            None => push(self.offsets(), offset),
        }
        push(&mut self.values, value);
        true
    }

    /// Takes a point wherever it belongs, after those of the same second. The run may be longer
    /// than [`MAX_LEN`] afterwards. False when it is too far away.
    pub(super) fn insert(&mut self, time: i64, value: f64) -> bool {
        let index = self.upper(time);
        if time < self.start {
            let Ok(moved) = u32::try_from(self.start.abs_diff(time)) else { return false };
            if self.offset(self.end()).is_none_or(|last| last.checked_add(moved).is_none()) {
                return false;
            }
            self.offsets().iter_mut().for_each(|offset| *offset += moved);
            self.start = time;
        }
        let Some(offset) = self.offset(time) else { return false };
        let offsets = self.offsets();
        offsets.reserve_exact(1);
        offsets.insert(index, offset);
        self.values.reserve_exact(1);
        self.values.insert(index, value);
        true
    }

    /// Takes the later half away when the run has become too long.
    pub(super) fn split(&mut self) -> Option<Self> {
        if self.len() <= MAX_LEN {
            return None;
        }
        let middle = self.len() / 2;
        let start = self.time(middle);
        let mut times = self.offsets().split_off(middle);
        let first = times.first().copied().unwrap_or_default();
        for offset in &mut times {
            *offset -= first;
        }
        let values = self.values.split_off(middle);
        let mut tail = Self { start, step: 0, offsets: Some(times), values };
        tail.settle();
        self.settle();
        Some(tail)
    }

    /// Gives back the memory that a run does not need to which nothing is appended any more.
    pub(super) fn settle(&mut self) {
        if let Some(offsets) = &mut self.offsets {
            let step = offsets.get(1).copied().unwrap_or_default();
            if offsets.windows(2).all(|pair| pair[1] - pair[0] == step) {
                (self.step, self.offsets) = (step, None);
            } else {
                offsets.shrink_to_fit();
            }
        }
        self.values.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn is_regular(&self) -> bool {
        self.offsets.is_none()
    }

    fn time(&self, index: usize) -> i64 {
        let offsets = self.offsets.as_ref();
        let irregular = offsets.map(|offsets| i64::from(offsets[index]));
        self.start + irregular.unwrap_or_else(|| self.regular_offset(index))
    }

    /// Which points are from `from` to `to`, both included.
    fn indices(&self, from: i64, to: i64) -> Range<usize> {
        let end = self.upper(to);
        let start = from.checked_sub(1).map_or(0, |before| self.upper(before)).min(end);
        start..end
    }

    fn regular_offset(&self, index: usize) -> i64 {
        // A run is short.
        i64::from(self.step) * i64::try_from(index).unwrap_or(i64::MAX)
    }

    /// Number of points that are not after `time`.
    fn upper(&self, time: i64) -> usize {
        let Some(after) = time.checked_sub(self.start) else {
            return if time < self.start { 0 } else { self.len() };
        };
        let Ok(after) = u64::try_from(after) else { return 0 };
        if let Some(offsets) = &self.offsets {
            return offsets.partition_point(|offset| u64::from(*offset) <= after);
        }
        let steps = after.checked_div(u64::from(self.step)).map(usize::try_from);
        steps
            .and_then(Result::ok)
            .map_or(self.len(), |steps| self.len().min(steps.saturating_add(1)))
    }

    fn offset(&self, time: i64) -> Option<u32> {
        u32::try_from(time.checked_sub(self.start)?).ok()
    }

    /// The offsets of all points, one by one from here on.
    fn offsets(&mut self) -> &mut Vec<u32> {
        let (step, len) = (self.step, self.values.len());
        self.offsets.get_or_insert_with(|| (0..).map(|index| step * index).take(len).collect())
    }
}

fn push<T>(values: &mut Vec<T>, value: T) {
    if values.len() == values.capacity() {
        values.reserve_exact(GROWTH);
    }
    values.push(value);
}
