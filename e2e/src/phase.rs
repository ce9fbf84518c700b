//! Records a run while it goes on: phases and their times, observations, assertions.
//!
//! A [`Recorder`] is shared by everything that takes part in a run. It keeps the model, from which
//! [`Recorder::finish`] makes the [`Outcome`], and sends each event to a renderer as it comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use crate::outcome::{Assertion, Outcome, Phase, PhaseEnd, Verdict};
use crate::timeline::{Entry, Observation, Timeline};

#[cfg(test)]
mod tests;

/// Something that happened in a run. Times are since its start.
#[derive(Clone, Debug)]
pub enum Event {
    /// A phase began.
    PhaseBegan {
        /// Identifies the phase among those of the run.
        id: usize,
        /// The phase, without an end.
        phase: Phase,
    },
    /// A phase ended.
    PhaseEnded {
        /// Identifies the phase among those of the run.
        id: usize,
        /// The phase, with its end.
        phase: Phase,
    },
    /// Value or replicas changed.
    Changed(Entry),
    /// A remark for people.
    Note {
        /// When it was made.
        at: Duration,
        /// One line.
        text: String,
    },
    /// An assertion was decided.
    Asserted(Assertion),
    /// The run is over: the last event.
    Finished {
        /// When it ended.
        at: Duration,
    },
}

/// An assertion said no. A scenario that hands this on ends as [`Verdict::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {seen}")]
pub struct AssertionFailed {
    /// What was asserted.
    pub name: String,
    /// What was seen instead.
    pub seen: String,
}

/// The record of one scenario run; clones share it.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    scenario: String,
    cluster: String,
    began: Instant,
    /// Nobody listening is no failure: a run need not be watched.
    events: UnboundedSender<Event>,
    /// A std lock: held for a few instructions, and by `Drop`, which cannot await.
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    phases: Vec<Phase>,
    timeline: Timeline,
    assertions: Vec<Assertion>,
    facts: Vec<(String, String)>,
}

impl Recorder {
    /// Begins the record of a run of `scenario` on `cluster`; the receiver is for a renderer.
    pub fn new(
        scenario: impl Into<String>,
        cluster: impl Into<String>,
    ) -> (Recorder, UnboundedReceiver<Event>) {
        let (events, receiver) = unbounded_channel();
        let shared = Shared {
            scenario: scenario.into(),
            cluster: cluster.into(),
            began: Instant::now(),
            events,
            record: Mutex::default(),
        };
        (Recorder { shared: Arc::new(shared) }, receiver)
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.shared.began.elapsed()
    }

    /// Runs `work` as a phase of the run. When the future is dropped before its end, the phase
    /// counts as stopped.
    pub async fn phase<T, E>(
        &self,
        name: impl Into<String>,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut open = self.open_phase(name.into());
        let result = work.await;
        open.end = if result.is_ok() { PhaseEnd::Done } else { PhaseEnd::Failed };
        result
    }

    /// The phase that is going on; of several at once, the last to begin. When none is: the first
    /// that was stopped or failed, so that whoever ran into a timeout can name it.
    pub fn current_phase(&self) -> Option<String> {
        let record = self.record();
        let going_on = record.phases.iter().rev().find(|phase| phase.end.is_none());
        let broken = || {
            let ended_badly =
                |phase: &&Phase| phase.end.is_some_and(|(_, end)| end != PhaseEnd::Done);
            record.phases.iter().filter(ended_badly).min_by_key(|phase| phase.end.map(|end| end.0))
        };
        going_on.or_else(broken).map(|phase| phase.name.clone())
    }

    /// Takes in what was just observed; only changes are kept.
    pub fn observe(&self, observation: Observation) {
        let change = self.record().timeline.record(self.elapsed(), observation);
        if let Some(entry) = change {
            self.send(Event::Changed(entry));
        }
    }

    /// What has been observed so far.
    pub fn timeline(&self) -> Timeline {
        self.record().timeline.clone()
    }

    /// A remark for people who watch; it is not part of the outcome.
    pub fn note(&self, text: impl Into<String>) {
        self.send(Event::Note { at: self.elapsed(), text: text.into() });
    }

    /// A named result for the report, such as a version or a rate; a later one of the same name
    /// takes its place.
    pub fn fact(&self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        let mut record = self.record();
        match record.facts.iter_mut().find(|fact| fact.0 == name) {
            Some(fact) => fact.1 = value,
            None => record.facts.push((name, value)),
        }
    }

    /// Records an assertion with what was seen. Any `Err` fails the run; with `?` it also ends it.
    pub fn assertion(
        &self,
        name: impl Into<String>,
        result: Result<String, String>,
    ) -> Result<(), AssertionFailed> {
        let assertion = Assertion { at: self.elapsed(), name: name.into(), result };
        self.record().assertions.push(assertion.clone());
        self.send(Event::Asserted(assertion.clone()));
        match assertion.result {
            Ok(_) => Ok(()),
            Err(seen) => Err(AssertionFailed { name: assertion.name, seen }),
        }
    }

    /// Ends the run: `result` is what the scenario returned. The outcome has no artifacts yet.
    pub fn finish(&self, result: &anyhow::Result<()>, seed: u64) -> Outcome {
        let took = self.elapsed();
        let phase = self.current_phase();
        self.send(Event::Finished { at: took });
        let record = self.record();
        let failure = result.as_ref().err().map(|error| match phase {
            Some(phase) => format!("{error:#} (in phase {phase})"),
            None => format!("{error:#}"),
        });
        Outcome {
            scenario: self.shared.scenario.clone(),
            cluster: self.shared.cluster.clone(),
            verdict: verdict(result, &record.assertions),
            took,
            phases: record.phases.clone(),
            timeline: record.timeline.clone(),
            assertions: record.assertions.clone(),
            facts: record.facts.clone(),
            failure,
            artifacts: None,
            seed,
        }
    }

    fn open_phase(&self, name: String) -> OpenPhase<'_> {
        let phase = Phase { name, began: self.elapsed(), end: None };
        let mut record = self.record();
        let id = record.phases.len();
        record.phases.push(phase.clone());
        drop(record);
        self.send(Event::PhaseBegan { id, phase });
        OpenPhase { recorder: self, id, end: PhaseEnd::Stopped }
    }

    fn send(&self, event: Event) {
        let _no_one_listens = self.shared.events.send(event);
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        // A panic of a scenario must not cost the report: each change of the record is complete.
        self.shared.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A "no" of any assertion is a failure of the thing under test; any other error means that the
/// harness could not decide.
fn verdict(result: &anyhow::Result<()>, assertions: &[Assertion]) -> Verdict {
    let said_no = assertions.iter().any(|assertion| assertion.result.is_err());
    match result {
        _ if said_no => Verdict::Failed,
        Ok(()) => Verdict::Passed,
        Err(error) if error.is::<AssertionFailed>() => Verdict::Failed,
        Err(_) => Verdict::Errored,
    }
}

/// Ends its phase when dropped, be it at the end of the work or because the work was dropped.
struct OpenPhase<'a> {
    recorder: &'a Recorder,
    id: usize,
    end: PhaseEnd,
}

impl Drop for OpenPhase<'_> {
    fn drop(&mut self) {
        let at = self.recorder.elapsed();
        let mut record = self.recorder.record();
        let Some(phase) = record.phases.get_mut(self.id) else { return };
        phase.end = Some((at, self.end));
        let phase = phase.clone();
        drop(record);
        self.recorder.send(Event::PhaseEnded { id: self.id, phase });
    }
}
