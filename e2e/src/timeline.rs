//! What was seen of a scaling run, and when: the metric's value, the count that the HPA wants, and
//! the replicas there are.

use std::time::Duration;

/// One look at the run. What was not looked at (or could not be read) stays `None`: a failed read
/// is never an observation.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// The metric as the external metrics API serves it.
    pub value: Option<f64>,
    /// `status.desiredReplicas` of the HPA.
    pub desired: Option<i32>,
    /// `status.currentReplicas` of the HPA.
    pub current: Option<i32>,
    /// `status.readyReplicas` of the Deployment.
    pub ready: Option<i32>,
}

impl Observation {
    /// This observation, with what it leaves open taken from an earlier one.
    #[must_use]
    pub fn or(self, earlier: Observation) -> Observation {
        Observation {
            value: self.value.or(earlier.value),
            desired: self.desired.or(earlier.desired),
            current: self.current.or(earlier.current),
            ready: self.ready.or(earlier.ready),
        }
    }
}

/// All that was known at one moment of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Time since the run began.
    pub at: Duration,
    /// The latest of everything that has been observed by then.
    pub seen: Observation,
}

/// The changes of a run, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    entries: Vec<Entry>,
}

impl Timeline {
    /// Takes in what was observed `at` a time since the start; gives the new entry, if it differs
    /// from what was known.
    pub fn record(&mut self, at: Duration, observation: Observation) -> Option<Entry> {
        let known = self.latest();
        let entry = Entry { at, seen: observation.or(known) };
        if entry.seen == known {
            return None;
        }
        self.entries.push(entry);
        Some(entry)
    }

    /// Every change, oldest first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The latest of everything that has been observed.
    pub fn latest(&self) -> Observation {
        self.entries.last().map(|entry| entry.seen).unwrap_or_default()
    }

    /// The entries in which the wanted or the ready replicas changed: the story of the run, without
    /// the small moves of the value.
    pub fn steps(&self) -> Vec<Entry> {
        let replicas = |entry: &Entry| (entry.seen.desired, entry.seen.ready);
        let mut steps: Vec<Entry> =
            self.entries.iter().copied().filter(|entry| replicas(entry) != (None, None)).collect();
        steps.dedup_by_key(|entry| replicas(entry));
        steps
    }

    /// The counts that the HPA wanted, one after the other: `[1, 3, 1]` in the walkthrough.
    pub fn desired_counts(&self) -> Vec<i32> {
        let mut counts: Vec<i32> =
            self.entries.iter().filter_map(|entry| entry.seen.desired).collect();
        counts.dedup();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Entry, Observation, Timeline};

    fn observation(value: f64, desired: i32, ready: i32) -> Observation {
        Observation {
            value: Some(value),
            desired: Some(desired),
            ready: Some(ready),
            ..Observation::default()
        }
    }

    fn timeline(observations: &[Observation]) -> Timeline {
        let mut timeline = Timeline::default();
        for (at, &observation) in (0..).zip(observations) {
            timeline.record(Duration::from_secs(at), observation);
        }
        timeline
    }

    #[test]
    fn what_was_not_read_keeps_what_was_known() {
        let failed_reads = Observation { value: Some(25.0), ..Observation::default() };
        let timeline = timeline(&[observation(0.0, 1, 1), failed_reads]);
        assert_eq!(timeline.latest(), observation(25.0, 1, 1));
    }

    #[test]
    fn only_changes_are_kept() {
        let mut timeline = timeline(&[observation(0.0, 1, 1), observation(0.0, 1, 1)]);
        assert_eq!(timeline.entries().len(), 1);
        assert_eq!(timeline.record(Duration::from_secs(5), Observation::default()), None);
        let change = timeline.record(Duration::from_secs(6), observation(0.0, 3, 1));
        let expected = Entry { at: Duration::from_secs(6), seen: observation(0.0, 3, 1) };
        assert_eq!(change, Some(expected));
    }

    #[test]
    fn steps_are_the_changes_of_replicas_with_the_value_of_that_time() {
        let timeline = timeline(&[
            Observation { value: Some(1.0), ..Observation::default() },
            observation(0.0, 1, 1),
            observation(24.0, 1, 1),
            observation(25.0, 3, 1),
            observation(25.5, 3, 3),
            observation(0.0, 1, 3),
            observation(0.0, 1, 1),
        ]);
        let steps: Vec<_> = timeline.steps().iter().map(|step| step.seen).collect();
        let expected = [
            observation(0.0, 1, 1),
            observation(25.0, 3, 1),
            observation(25.5, 3, 3),
            observation(0.0, 1, 3),
            observation(0.0, 1, 1),
        ];
        assert_eq!(steps, expected);
        assert_eq!(timeline.desired_counts(), [1, 3, 1]);
    }
}
