//! The parser's way through the text, character by character.

use crate::expr::parse::{ParseError, Parser, Position, SHOWN_CHARS, scope::is_pattern_char};

impl<'a> Parser<'a> {
    pub(super) fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let next = self.text[self.at..].chars().next()?;
        self.at += next.len_utf8();
        Some(next)
    }

    /// What comes after white space; takes nothing.
    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().find(|c| !c.is_whitespace())
    }

    /// A word out of ASCII letters, digits and `_`, maybe empty.
    pub(super) fn word(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    /// A word in single or double quotes, or bare: Datadog takes all three.
    pub(super) fn maybe_quoted(&mut self) -> Result<&'a str, ParseError> {
        self.skip_space();
        for quote in ['\'', '"'] {
            if self.eat(quote) {
                let word = self.word();
                let closed = self.text[self.at..].starts_with(quote);
                self.at += usize::from(closed);
                return if closed { Ok(word) } else { self.fail("the same quote again") };
            }
        }
        Ok(self.word())
    }

    /// A whole number of at least 1.
    pub(super) fn positive(&mut self) -> Result<u32, ParseError> {
        self.skip_space();
        let start = self.at;
        match self.take_while(|c| c.is_ascii_digit()).parse() {
            Ok(number) if 0 < number => Ok(number),
            _ => self.fail_at(start, "a whole number of at least 1"),
        }
    }

    /// A number without a sign: digits with a decimal point and an exponent, maybe.
    pub(super) fn number(&mut self) -> Result<f64, ParseError> {
        self.skip_space();
        let start = self.at;
        self.take_while(|c| c.is_ascii_digit() || c == '.');
        let before_exponent = self.at;
        if self.take_while(|c| matches!(c, 'e' | 'E')).len() == 1 {
            let signs = self.take_while(|c| matches!(c, '+' | '-')).len();
            if 1 < signs || self.take_while(|c| c.is_ascii_digit()).is_empty() {
                self.at = before_exponent;
            }
        } else {
            self.at = before_exponent;
        }
        match self.text[start..self.at].parse() {
            Ok(number) if f64::is_finite(number) => Ok(number),
            _ => self.fail_at(start, "a number"),
        }
    }

    /// A number with a minus sign or without.
    pub(super) fn signed_number(&mut self) -> Result<f64, ParseError> {
        let negative = self.eat('-');
        let number = self.number()?;
        Ok(if negative { -number } else { number })
    }

    /// Nothing but white space may come.
    pub(super) fn end(&mut self, expected: &'static str) -> Result<(), ParseError> {
        self.skip_space();
        if self.at < self.text.len() { self.fail(expected) } else { Ok(()) }
    }

    /// Skips white space and takes `wanted`; takes nothing when something else follows.
    pub(super) fn eat(&mut self, wanted: char) -> bool {
        let before = self.at;
        self.skip_space();
        let found = self.next() == Some(wanted);
        if !found {
            self.at = before;
        }
        found
    }

    /// Like [`Self::eat`] for a whole word, in capitals or not.
    pub(super) fn eat_keyword(&mut self, wanted: &str) -> bool {
        let before = self.at;
        self.skip_space();
        let found = self.take_while(is_pattern_char).eq_ignore_ascii_case(wanted);
        if !found {
            self.at = before;
        }
        found
    }

    pub(super) fn expect(
        &mut self,
        wanted: char,
        expected: &'static str,
    ) -> Result<(), ParseError> {
        if self.eat(wanted) {
            return Ok(());
        }
        self.skip_space();
        self.fail(expected)
    }

    pub(super) fn fail<T>(&self, expected: &'static str) -> Result<T, ParseError> {
        self.fail_at(self.at, expected)
    }

    pub(super) fn fail_at<T>(&self, at: usize, expected: &'static str) -> Result<T, ParseError> {
        Err(ParseError::Syntax {
            query: self.text.to_owned(),
            rest: self.text[at..].chars().take(SHOWN_CHARS).collect(),
            position: self.position(at),
            expected,
        })
    }

    pub(super) fn position(&self, at: usize) -> Position {
        let before = &self.text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
