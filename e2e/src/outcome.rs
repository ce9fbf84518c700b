//! What a scenario came to: the model that every report is made from.

use std::path::PathBuf;
use std::time::Duration;

use crate::timeline::Timeline;

/// The end of one scenario run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The scenario's name.
    pub scenario: String,
    /// The cluster backend it ran on.
    pub cluster: String,
    /// Whether it passed.
    pub verdict: Verdict,
    /// Wall time of the whole run.
    pub took: Duration,
    /// Its phases, in the order in which they began.
    pub phases: Vec<Phase>,
    /// What was seen of the scaling.
    pub timeline: Timeline,
    /// What was asserted, in the order in which it was decided.
    pub assertions: Vec<Assertion>,
    /// Named results worth printing: versions, rates, counts.
    pub facts: Vec<(String, String)>,
    /// What ended the run early, and in which phase.
    pub failure: Option<String>,
    /// Folder with events, logs and requests, when it did not pass.
    pub artifacts: Option<PathBuf>,
    /// The seed that repeats the run.
    pub seed: u64,
}

/// What a run says about the thing under test, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything that was asserted holds.
    Passed,
    /// An assertion said no.
    Failed,
    /// The harness could not decide.
    Errored,
}

impl Verdict {
    /// The exit code of a program with this verdict. (2 is misuse of the command line.)
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Passed => 0,
            Verdict::Failed => 1,
            Verdict::Errored => 3,
        }
    }

    /// The worst of several; of none, [`Verdict::Passed`].
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        verdicts.into_iter().max().unwrap_or(Verdict::Passed)
    }

    /// The word in reports: `passed`, `failed`, `errored`.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::Errored => "errored",
        }
    }
}

/// One part of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name, such as `control plane`.
    pub name: String,
    /// When it began, since the start of the run.
    pub began: Duration,
    /// When and how it ended; `None` while it goes on.
    pub end: Option<(Duration, PhaseEnd)>,
}

impl Phase {
    /// How long it took; `None` while it goes on.
    pub fn took(&self) -> Option<Duration> {
        self.end.map(|(ended, _)| ended.saturating_sub(self.began))
    }
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseEnd {
    /// Its work is done.
    Done,
    /// Its work gave an error.
    Failed,
    /// It was dropped before its end: a timeout, Ctrl-C, or another part that failed.
    Stopped,
}

/// Something that the run had to show, and whether it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// When it was decided, since the start of the run.
    pub at: Duration,
    /// What was asserted, as a sentence.
    pub name: String,
    /// What was seen: `Ok` when the assertion holds, `Err` when not.
    pub result: Result<String, String>,
}

#[cfg(test)]
mod tests {
    use super::Verdict;

    #[test]
    fn exit_codes_are_those_of_the_issue() {
        let codes = [Verdict::Passed, Verdict::Failed, Verdict::Errored].map(Verdict::exit_code);
        assert_eq!(codes, [0, 1, 3]);
    }

    #[test]
    fn the_worst_of_several_verdicts_decides() {
        assert_eq!(Verdict::worst([]), Verdict::Passed);
        assert_eq!(Verdict::worst([Verdict::Passed, Verdict::Failed]), Verdict::Failed);
        let all = [Verdict::Passed, Verdict::Errored, Verdict::Failed];
        assert_eq!(Verdict::worst(all), Verdict::Errored);
    }
}
