//! The page: prose, commands, and what each of them printed.
//!
//! ```text
//! source ─parse─▶ Page ─steps()─▶ what to run     Page ─Display─▶ the same source, byte for byte
//! ```

use std::fmt;

use crate::walkthrough::{about::About, directive::Until};

/// A page that was parsed.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub(crate) parts: Vec<Part>,
    pub(crate) pods: Vec<String>,
    pub(crate) cleanup: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// A line that is printed as it was read: prose, fences, comments.
    Line(String),
    /// A command with its output, or a hidden one.
    Step(Step),
}

/// A command of the page.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its line in the page, from 1.
    pub line: usize,
    /// What bash is given; several lines where the page continues it with backslashes.
    pub command: String,
    /// What has to come of it.
    pub expect: Expect,
    /// Whether a reader sees it.
    pub view: View,
}

/// How a command appears on the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// Behind a `$`, followed by these lines.
    Shown {
        /// The output.
        output: Vec<String>,
    },
    /// In a comment, which is this line.
    Hidden {
        /// As it was read.
        comment: String,
    },
}

/// What has to come of a command.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// What its output has to show in time; without it, the command is run once.
    pub until: Option<Until>,
    /// Its exit code.
    pub exit: i32,
    /// Numbers that vary.
    pub about: Vec<About>,
}

impl Page {
    /// The commands, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.parts.iter().filter_map(|part| match part {
            Part::Line(_) => None,
            Part::Step(step) => Some(step),
        })
    }

    pub(crate) fn steps_mut(&mut self) -> impl Iterator<Item = &mut Step> {
        self.parts.iter_mut().filter_map(|part| match part {
            Part::Line(_) => None,
            Part::Step(step) => Some(step),
        })
    }

    /// Workloads whose pods have random names.
    pub fn pods(&self) -> &[String] {
        &self.pods
    }

    /// Commands that remove what the page makes.
    pub fn cleanup(&self) -> &[String] {
        &self.cleanup
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            // Between lines, not after each: whether the last line has an end is kept as well.
            let newline = if index == 0 { "" } else { "\n" };
            match part {
                Part::Line(line) => write!(f, "{newline}{line}")?,
                Part::Step(Step { command, view, .. }) => match view {
                    View::Hidden { comment } => write!(f, "{newline}{comment}")?,
                    View::Shown { output } => {
                        write!(f, "{newline}$ {command}")?;
                        output.iter().try_for_each(|line| write!(f, "\n{line}"))?;
                    }
                },
            }
        }
        Ok(())
    }
}
