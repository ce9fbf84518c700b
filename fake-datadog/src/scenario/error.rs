//! What is wrong with a scenario.

use std::{io, path::PathBuf};

use serde_saphyr::Location;

use crate::control::{InvalidFault, InvalidKey, InvalidRateLimit, InvalidScript};

/// A scenario made in code that cannot be served.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidScenario {
    /// One of its series.
    #[error("series[{index}]: {source}")]
    Script {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidScript,
    },
    /// One of its faults.
    #[error("faults[{index}]: {source}")]
    Fault {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidFault,
    },
    /// One of its rate limits.
    #[error("rate_limits[{index}]: {source}")]
    RateLimit {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidRateLimit,
    },
    /// One of its keys.
    #[error("keys[{index}]: {source}")]
    Key {
        /// Position in the list, from 0.
        index: usize,
        /// What is wrong with it.
        source: InvalidKey,
    },
}

/// A text that is no scenario. The message is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {reason}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// What is wrong there and what was expected.
    pub reason: String,
}

/// A scenario file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read scenario {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It cannot be understood.
    #[error("scenario {path}:{source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: ParseError,
    },
}

impl ParseError {
    pub(super) fn new(error: &serde_saphyr::Error) -> Self {
        let location = error.location().unwrap_or(Location::UNKNOWN);
        // The location is given in front already, and only one line is wanted.
        let text = error.without_snippet().to_string();
        let first = text.lines().next().unwrap_or_default();
        let place = format!(" at line {}, column {}", location.line(), location.column());
        let reason = first.strip_suffix(&place).unwrap_or(first);
        Self { reason: reason.to_owned(), ..Self::at(location, &"") }
    }

    pub(super) fn at(location: Location, reason: &dyn ToString) -> Self {
        Self { line: location.line(), column: location.column(), reason: reason.to_string() }
    }
}
