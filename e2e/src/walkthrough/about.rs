//! Numbers that differ from run to run by their nature, and how much they may; pure.
//!
//! `{8667m}/9 ± 1` says: where a number stands before `/9`, show 8667m for every one from 7.667 to
//! 9.667. A number outside stays as it is, so that the page and the run differ.

use regex::{Captures, Regex};

/// A text with the numbers that stand for others, and the tolerance.
#[derive(Clone, Debug)]
pub struct About {
    pattern: Regex,
    shown: Vec<Shown>,
    tolerance: f64,
}

/// A number as the page shows it.
#[derive(Clone, Debug)]
struct Shown {
    text: String,
    value: f64,
}

/// A tolerance that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No number is marked.
    #[error("{text:?} has no number in braces, write as in `{{8667m}}/9 ± 1`")]
    NoBraces {
        /// As given.
        text: String,
    },
    /// No tolerance.
    #[error("{text:?} ends with no tolerance, write as in `{{8667m}}/9 ± 1`")]
    NoTolerance {
        /// As given.
        text: String,
    },
    /// What is in the braces is no number.
    #[error("{text:?} is no number, write as kubectl does: 25, 8.5, 8667m")]
    Number {
        /// What is in the braces.
        text: String,
    },
    /// The text makes no pattern.
    #[error(transparent)]
    Regex(#[from] regex::Error),
}

/// A number, with the suffixes of Kubernetes' quantities that metrics have.
const NUMBER: &str = r"(\d+(?:\.\d+)?[numk]?)";

impl std::str::FromStr for About {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let no_tolerance = || Error::NoTolerance { text: text.to_owned() };
        let (template, tolerance) = text.rsplit_once('±').ok_or_else(no_tolerance)?;
        let tolerance = quantity(tolerance.trim()).ok_or_else(no_tolerance)?;
        let mut pieces = template.trim().split('{');
        let mut pattern = regex::escape(pieces.next().unwrap_or_default());
        let mut shown = Vec::new();
        for piece in pieces {
            let (number, literal) =
                piece.split_once('}').ok_or_else(|| Error::NoBraces { text: text.to_owned() })?;
            let value =
                quantity(number).ok_or_else(|| Error::Number { text: number.to_owned() })?;
            shown.push(Shown { text: number.to_owned(), value });
            pattern += NUMBER;
            pattern += &regex::escape(literal);
        }
        if shown.is_empty() {
            return Err(Error::NoBraces { text: text.to_owned() });
        }
        Ok(Self { pattern: Regex::new(&pattern)?, shown, tolerance })
    }
}

impl About {
    /// `text` with the numbers of the page in the place of those that are near enough.
    pub fn apply(&self, text: &str) -> String {
        self.pattern.replace_all(text, |found: &Captures<'_>| self.settle(found)).into_owned()
    }

    fn settle(&self, found: &Captures<'_>) -> String {
        let whole = found.get_match();
        let mut settled = String::new();
        let mut from = whole.start();
        for (group, shown) in found.iter().skip(1).flatten().zip(&self.shown) {
            settled += &found[0][from - whole.start()..group.start() - whole.start()];
            settled +=
                if self.covers(group.as_str(), shown) { &shown.text } else { group.as_str() };
            from = group.end();
        }
        settled + &found[0][from - whole.start()..]
    }

    fn covers(&self, number: &str, shown: &Shown) -> bool {
        quantity(number).is_some_and(|value| (value - shown.value).abs() <= self.tolerance)
    }
}

fn quantity(text: &str) -> Option<f64> {
    let (number, factor) = match text.as_bytes().last()? {
        b'n' => (&text[..text.len() - 1], 1e-9),
        b'u' => (&text[..text.len() - 1], 1e-6),
        b'm' => (&text[..text.len() - 1], 1e-3),
        b'k' => (&text[..text.len() - 1], 1e3),
        _ => (text, 1.0),
    };
    let value: f64 = number.parse().ok()?;
    value.is_finite().then_some(value * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(about: &str, text: &str, expected: &str) {
        assert_eq!(about.parse::<About>().unwrap().apply(text), expected);
    }

    #[test]
    fn a_number_within_the_tolerance_is_shown_as_on_the_page() {
        check("{8667m}/9 (avg) ± 1", "8334m/9 (avg)", "8667m/9 (avg)");
        check("{8667m}/9 ± 1", "a 9/9 b 9667m/9", "a 8667m/9 b 8667m/9");
        check("\"{26}\" ± 2", "\"value\":\"25500144695n\"", "\"value\":\"26\"");
    }

    #[test]
    fn a_number_outside_stays() {
        check("{8667m}/9 ± 1", "7500m/9 and 18667m/9", "7500m/9 and 18667m/9");
        check("{0}/9 ± 1", "<unknown>/9", "<unknown>/9");
    }

    #[test]
    fn several_numbers_are_judged_one_by_one() {
        check("{7} {7} {7} ± 6", " 12 13 14", " 7 7 14");
    }

    #[test]
    fn numbers_elsewhere_are_not_touched() {
        check("{8}/9 ± 1", "8.5 of 9", "8.5 of 9");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, expected) in [
            ("{8}", "no tolerance"),
            ("{8} ± much", "no tolerance"),
            ("8 ± 1", "no number in braces"),
            ("{8 ± 1", "no number in braces"),
            ("{x} ± 1", "\"x\" is no number"),
        ] {
            let error = text.parse::<About>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
