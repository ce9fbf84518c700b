//! The parser's way through the text, character by character.

use crate::expr::parse::{ParseError, Parser, Position, SHOWN_CHARS, is_pattern_char};

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
