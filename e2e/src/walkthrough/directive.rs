//! What the runner is told in comments that a reader of the page does not see:
//! `<!-- run: WORD … -->`.
//!
//! | comment | meaning |
//! |---|---|
//! | `run: within 60s until REGEX` | the next command is repeated until its output has a match |
//! | `run: exit 1` | the exit code that the next command ends with |
//! | `run: about {8667m}/9 ± 1` | the number in braces stands for every one within the tolerance |
//! | `run: hidden COMMAND` | a command that the page does not show |
//! | `run: pods NAME …` | workloads whose pods' names are normalised, for the whole page |
//! | `run: cleanup COMMAND` | run before the first command of the page, and after the last |

use std::{num::ParseIntError, time::Duration};

use regex::{Regex, RegexBuilder};

use crate::walkthrough::about::{self, About};

/// A comment for the runner.
#[derive(Clone, Debug)]
pub enum Directive {
    /// Repeat the next command until.
    Until(Until),
    /// The next command's exit code.
    Exit(i32),
    /// Numbers that vary from run to run, and by how much.
    About(About),
    /// A command that is not shown.
    Hidden(String),
    /// Workloads whose pods have random names.
    Pods(Vec<String>),
    /// A command that removes what the page has made.
    Cleanup(String),
}

/// A condition that comes true by itself, given time.
#[derive(Clone, Debug)]
pub struct Until {
    /// How long it may take.
    pub within: Duration,
    /// What the normalised output then has.
    pub pattern: Regex,
}

/// A comment that cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such word.
    #[error("`run: {word}` is unknown, use within, exit, about, hidden, pods or cleanup")]
    Word {
        /// The word.
        word: String,
    },
    /// Nothing follows the word.
    #[error("`run: {word}` says nothing, add {wanted}")]
    Empty {
        /// The word.
        word: &'static str,
        /// What is to follow it.
        wanted: &'static str,
    },
    /// The words are not in order.
    #[error("`within {text}` has no `until`, write `within TIME until REGEX`")]
    NoUntil {
        /// What follows `within`.
        text: String,
    },
    /// The time cannot be read.
    #[error("{text:?} is no time ({source}), write one such as 60s")]
    Time {
        /// As given.
        text: String,
        /// What is wrong with it.
        source: humantime::DurationError,
    },
    /// The regular expression cannot be read.
    #[error(transparent)]
    Regex(#[from] regex::Error),
    /// The exit code is no number.
    #[error("{text:?} is no exit code ({source})")]
    Code {
        /// As given.
        text: String,
        /// What is wrong with it.
        source: ParseIntError,
    },
    /// The tolerance cannot be read.
    #[error(transparent)]
    About(#[from] about::Error),
}

/// The text behind `run:` where `line` is a comment for the runner.
pub(crate) fn comment(line: &str) -> Option<&str> {
    let inside = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(inside.trim().strip_prefix("run:")?.trim())
}

impl std::str::FromStr for Directive {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        let wanting = |word, wanted| {
            if rest.is_empty() { Err(Error::Empty { word, wanted }) } else { Ok(rest) }
        };
        Ok(match word {
            "within" => Self::Until(until(rest)?),
            "exit" => Self::Exit(
                rest.parse().map_err(|source| Error::Code { text: rest.to_owned(), source })?,
            ),
            "about" => Self::About(rest.parse()?),
            "hidden" => Self::Hidden(wanting("hidden", "a command")?.to_owned()),
            "cleanup" => Self::Cleanup(wanting("cleanup", "a command")?.to_owned()),
            "pods" => {
                let names = wanting("pods", "names of workloads")?;
                Self::Pods(names.split_whitespace().map(str::to_owned).collect())
            }
            _ => return Err(Error::Word { word: word.to_owned() }),
        })
    }
}

fn until(text: &str) -> Result<Until, Error> {
    let (time, pattern) =
        text.split_once(" until ").ok_or_else(|| Error::NoUntil { text: text.to_owned() })?;
    let within = humantime::parse_duration(time.trim())
        .map_err(|source| Error::Time { text: time.trim().to_owned(), source })?;
    // `^` and `$` are the ends of a line: the patterns are about lines of a listing.
    let pattern = RegexBuilder::new(pattern.trim()).multi_line(true).build()?;
    Ok(Until { within, pattern })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = text.parse::<Directive>().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn only_comments_that_say_run_are_ours() {
        assert_eq!(comment("<!-- run: exit 1 -->"), Some("exit 1"));
        assert_eq!(comment("<!-- a remark -->"), None);
        assert_eq!(comment("text <!-- run: exit 1 -->"), None);
    }

    #[test]
    fn a_condition_has_a_time_and_a_pattern_for_lines() {
        let Ok(Directive::Until(until)) = "within 1m until ^nginx .* 3$".parse() else { panic!() };
        assert_eq!(until.within, Duration::from_secs(60));
        assert!(until.pattern.is_match("NAME\nnginx  3\nother"));
    }

    #[test]
    fn what_cannot_be_obeyed_is_named() {
        refused("wthin 60s until x", "`run: wthin` is unknown");
        refused("within 60s", "`within 60s` has no `until`");
        refused("within soon until x", "\"soon\" is no time");
        refused("within 1s until (", "regex parse error");
        refused("exit one", "\"one\" is no exit code");
        refused("hidden", "add a command");
        refused("about 9 ± 1", "braces");
    }
}
