//! Reads the text of the parameter `labelSelector`.
//!
//! Grammar of `k8s.io/apimachinery/pkg/labels/selector.go` (`=`, `==`, `!=`, `in`, `notin`, exists,
//! `!`), without `<` and `>`, which no HPA can ask for.

use std::collections::BTreeSet;

use crate::selector::{Operator, Requirement, Selector};

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("labelSelector {text:?} cannot be read at character {position}: {expected} expected")]
pub struct SyntaxError {
    text: String,
    position: usize,
    expected: &'static str,
}

/// Reads `text`; empty selects everything.
pub fn parse(text: &str) -> Result<Selector, SyntaxError> {
    let mut parser = Parser { text, rest: text };
    parser.skip_blanks();
    let mut requirements = Vec::new();
    while !parser.rest.is_empty() {
        requirements.push(parser.requirement()?);
        if parser.rest.is_empty() {
            break;
        }
        parser.expect(",", "`,` or the end")?;
        if parser.rest.is_empty() {
            return Err(parser.error("a requirement"));
        }
    }
    Ok(requirements.into_iter().collect())
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn requirement(&mut self) -> Result<Requirement, SyntaxError> {
        if self.take("!") {
            let key = self.key()?;
            return Ok(Requirement { key, operator: Operator::DoesNotExist });
        }
        let key = self.key()?;
        let operator = if self.take("!=") {
            Operator::NotIn(BTreeSet::from([self.word().to_owned()]))
        } else if self.take("==") || self.take("=") {
            Operator::In(BTreeSet::from([self.word().to_owned()]))
        } else {
            match self.word() {
                "" => Operator::Exists,
                "in" => Operator::In(self.values()?),
                "notin" => Operator::NotIn(self.values()?),
                _ => {
                    return Err(
                        self.error("an operator (`=`, `==`, `!=`, `in`, `notin`) before this")
                    );
                }
            }
        };
        Ok(Requirement { key, operator })
    }

    fn key(&mut self) -> Result<String, SyntaxError> {
        match self.word() {
            "" => Err(self.error("a label key")),
            key => Ok(key.to_owned()),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, SyntaxError> {
        self.expect("(", "`(`")?;
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.word().to_owned());
            if self.take(")") {
                return Ok(values);
            }
            self.expect(",", "`,` or `)`")?;
        }
    }

    /// A key or value: everything up to a blank or a character of the grammar.
    fn word(&mut self) -> &'a str {
        let is_end = |c: char| c.is_whitespace() || "=!,()<>".contains(c);
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip_blanks();
        word
    }

    fn take(&mut self, symbol: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(symbol) else { return false };
        self.rest = rest;
        self.skip_blanks();
        true
    }

    fn expect(&mut self, symbol: &str, expected: &'static str) -> Result<(), SyntaxError> {
        if self.take(symbol) { Ok(()) } else { Err(self.error(expected)) }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn error(&self, expected: &'static str) -> SyntaxError {
        let read = &self.text[..self.text.len() - self.rest.len()];
        let position = read.chars().count() + 1;
        SyntaxError { text: self.text.to_owned(), position, expected }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, canonical: &str) {
        assert_eq!(parse(text).unwrap().to_string(), canonical, "{text}");
    }

    #[test]
    fn every_form_is_read_and_written_canonically() {
        check("", "");
        check("  ", "");
        check("kube_container_name=nginx", "kube_container_name=nginx");
        check("b==1, a = x", "a=x,b=1");
        check("a!=x", "a notin (x)");
        check("a in (y,x),b notin ( z ),c,!d", "a in (x,y),b notin (z),c,!d");
        check("a in (x)", "a=x");
        check("a=", "a=");
        check("in in (in)", "in=in");
        check("example.com/a=x", "example.com/a=x");
    }

    #[test]
    fn what_is_no_selector_is_refused_with_its_position() {
        for (text, position, expected) in [
            ("a=b,", 5, "a requirement"),
            (",a", 1, "a label key"),
            ("a in x", 6, "`(`"),
            ("a in (x", 8, "`,` or `)`"),
            ("a b", 4, "an operator (`=`, `==`, `!=`, `in`, `notin`) before this"),
            ("a>1", 2, "`,` or the end"),
            ("!", 2, "a label key"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!((error.position, error.expected), (position, expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn property_test_no_text_panics_and_what_is_written_is_read_back(text in "[ab!=,() in<>é]{0,24}") {
            if let Ok(selector) = parse(&text) {
                prop_assert_eq!(parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
