//! Shows a run to people: while it goes on ([`watch`]), and at its end ([`text()`]).
//!
//! Everything here takes data and a place to write to; the model is in [`crate::outcome`].

use std::io::{self, Write};

use indicatif::ProgressDrawTarget;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::outcome::{Outcome, PhaseEnd, Verdict};
use crate::phase::Event;

mod live;
mod plain;
mod text;
mod words;

/// Whether to use colour. (Whoever parses the command line knows about `NO_COLOR` and terminals.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// ANSI colours.
    On,
    /// Plain text.
    Off,
}

/// How a run is shown while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A line per phase with a spinner, and one status line, redrawn on the terminal of stderr; it
    /// is gone at the end.
    Live,
    /// A line for everything that happens, on stdout.
    Plain,
}

/// Shows the events of a run until it is over. Run it on a task of its own and await that before
/// the report is printed.
pub async fn watch(view: View, colour: Colour, events: UnboundedReceiver<Event>) -> io::Result<()> {
    match view {
        View::Live => live::watch(events, colour, ProgressDrawTarget::stderr()).await,
        View::Plain => plain::watch(events, colour, &mut io::stdout()).await,
    }
}

/// Writes the report of one run: phases, time line, assertions, facts, and the verdict last.
pub fn text(outcome: &Outcome, colour: Colour, out: &mut impl Write) -> io::Result<()> {
    text::report(outcome, colour, out)
}

/// Writes the verdict line of each of several runs.
pub fn summary(outcomes: &[Outcome], colour: Colour, out: &mut impl Write) -> io::Result<()> {
    outcomes.iter().try_for_each(|outcome| writeln!(out, "{}", text::verdict(outcome, colour)))
}

impl Colour {
    fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.paint("31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// `text` between the ANSI codes (ECMA-48 SGR) that switch a style on and off.
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Colour::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colour::Off => text.to_owned(),
        }
    }

    /// The mark before something that went well, or not.
    pub(crate) fn mark(self, result: Result<(), ()>) -> String {
        match result {
            Ok(()) => self.good("✓"),
            Err(()) => self.bad("✗"),
        }
    }
}

fn phase_result(end: PhaseEnd) -> Result<(), ()> {
    match end {
        PhaseEnd::Done => Ok(()),
        PhaseEnd::Failed | PhaseEnd::Stopped => Err(()),
    }
}

fn verdict_result(verdict: Verdict) -> Result<(), ()> {
    match verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed | Verdict::Errored => Err(()),
    }
}
