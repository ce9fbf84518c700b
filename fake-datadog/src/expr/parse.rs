//! Text → [`Query`], by recursive descent.

use crate::{
    expr::{
        Aggregator, Query, Rollup,
        scope::{Expr, Item, Pattern, Scope},
    },
    tags::{is_metric_char, is_tag_char, normalise_pattern},
};

mod characters;

/// Deepest nesting of `NOT` and parentheses; keeps hostile text from exhausting the stack.
const MAX_DEPTH: usize = 32;

/// How much of the text from the error on Datadog shows.
const SHOWN_CHARS: usize = 14;

/// Why a query is refused, in Datadog's words.
///
/// The wording and the 1-based column are those of errors seen in public reports
/// (`DataDog/datadog-agent#6119`, `DataDog/hiring-engineers#784`,
/// `DataDog/documentation#23070`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text leaves the grammar.
    #[error("unable to parse {query}: Rule 'scope_expr' didn't match at '{rest}' ({position}).")]
    Syntax {
        /// The whole text.
        query: String,
        /// The first characters that do not fit; empty at the end of the text.
        rest: String,
        /// Where `rest` begins.
        position: Position,
        /// What would have fitted. Not part of Datadog's message; for our own log.
        expected: &'static str,
    },
    /// A scope uses both the comma notation and the boolean one.
    #[error("'AND' and 'OR' cannot be mixed with ',' ({position})")]
    Mixed {
        /// Where the second notation begins.
        position: Position,
    },
}

/// A place in a text, both numbers from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Parses one or more queries separated by top-level commas.
///
/// ```
/// let queries = fake_datadog::expr::parse::parse_queries("sum:a{*}, max:b{env:Prod} by {pod}")?;
/// assert_eq!(queries[1].to_string(), "max:b{env:prod} by {pod}");
/// # Ok::<(), fake_datadog::expr::parse::ParseError>(())
/// ```
pub fn parse_queries(text: &str) -> Result<Vec<Query>, ParseError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let mut queries = vec![parser.query()?];
    while parser.eat(',') {
        queries.push(parser.query()?);
    }
    if parser.at < text.len() {
        return parser.fail("',' or the end");
    }
    Ok(queries)
}

struct Parser<'a> {
    text: &'a str,
    /// Byte offset of what comes next; always on a character boundary.
    at: usize,
    depth: usize,
}

// === impl Parser: queries ===

impl Parser<'_> {
    fn query(&mut self) -> Result<Query, ParseError> {
        self.skip_space();
        let start = self.at;
        let first = self.take_while(is_metric_char);
        let (aggregator, metric_at, metric) = if self.text[self.at..].starts_with(':') {
            let Some(aggregator) = space_aggregator(first) else {
                return self.fail_at(start, "avg, sum, min or max before ':'");
            };
            self.at += 1;
            let metric_at = self.at;
            (Some(aggregator), metric_at, self.take_while(is_metric_char))
        } else {
            (None, start, first)
        };
        if !metric.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return self.fail_at(metric_at, "a metric name");
        }
        self.expect('{', "'{' and a scope")?;
        let scope = self.scope()?;
        self.expect('}', "'}'")?;
        let group_by = if self.eat_keyword("by") { self.group_by()? } else { Vec::new() };
        let rollup = if self.eat('.') { self.rollup()? } else { Rollup::default() };
        self.skip_space();
        Ok(Query { aggregator, metric: metric.to_owned(), scope, group_by, rollup })
    }

    fn group_by(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect('{', "'{' and tag keys")?;
        let mut keys = Vec::new();
        loop {
            let key = self.tag_key("a tag key")?;
            if !keys.contains(&key) {
                keys.push(key);
            }
            if !self.eat(',') {
                break;
            }
        }
        self.expect('}', "',' or '}'")?;
        Ok(keys)
    }

    fn rollup(&mut self) -> Result<Rollup, ParseError> {
        let start = self.at;
        if self.take_while(is_word_char) != "rollup" {
            return self.fail_at(start, "rollup; other functions are not supported");
        }
        self.expect('(', "'('")?;
        self.skip_space();
        let start = self.at;
        let word = self.take_while(is_word_char);
        let rollup = if let Some(aggregator) = Aggregator::from_name(word) {
            let interval = if self.eat(',') { Some(self.interval()?) } else { None };
            Rollup { aggregator: Some(aggregator), interval }
        } else {
            self.at = start;
            Rollup { aggregator: None, interval: Some(self.interval()?) }
        };
        self.expect(')', "')'")?;
        Ok(rollup)
    }

    fn interval(&mut self) -> Result<u32, ParseError> {
        self.skip_space();
        let start = self.at;
        match self.take_while(|c| c.is_ascii_digit()).parse() {
            Ok(interval) if 0 < interval => Ok(interval),
            _ => self.fail_at(start, "an aggregator or a number of seconds"),
        }
    }
}

fn space_aggregator(name: &str) -> Option<Aggregator> {
    Aggregator::from_name(name).filter(|it| *it != Aggregator::Count)
}

// === impl Parser: scopes ===

impl Parser<'_> {
    fn scope(&mut self) -> Result<Scope, ParseError> {
        if self.is_boolean_scope()? {
            let expr = self.any_of()?;
            return Ok(match expr {
                // Parentheses around one tag add nothing; one form for one meaning.
                Expr::Tag(pattern) => Scope::List(vec![Item { negated: false, pattern }]),
                expr => Scope::Boolean(expr),
            });
        }
        let mut items = Vec::new();
        loop {
            let negated = self.eat('!');
            items.push(Item { negated, pattern: self.pattern()? });
            if !self.eat(',') {
                return Ok(Scope::List(items));
            }
        }
    }

    /// Looks ahead to the closing brace for signs of either notation.
    fn is_boolean_scope(&self) -> Result<bool, ParseError> {
        let mut ahead = Parser { ..*self };
        let (mut list, mut boolean) = (false, false);
        let mut open = 0_usize;
        loop {
            ahead.skip_space();
            let start = ahead.at;
            let word = ahead.take_while(is_pattern_char);
            if word.is_empty() {
                match ahead.next() {
                    None | Some('}') => return Ok(boolean),
                    Some('!') => list = true,
                    // A comma inside parentheses separates the values of IN.
                    Some(',') => list |= open == 0,
                    Some('(') => {
                        boolean = true;
                        open += 1;
                    }
                    Some(')') => open = open.saturating_sub(1),
                    Some(_) => {}
                }
            } else {
                boolean |= is_keyword(word);
            }
            if list && boolean {
                return Err(ParseError::Mixed { position: self.position(start) });
            }
        }
    }

    fn any_of(&mut self) -> Result<Expr, ParseError> {
        let mut any = vec![self.all_of()?];
        while self.eat_keyword("OR") {
            any.push(self.all_of()?);
        }
        Ok(single(any).unwrap_or_else(Expr::Or))
    }

    fn all_of(&mut self) -> Result<Expr, ParseError> {
        let mut all = vec![self.one_of()?];
        while self.eat_keyword("AND") {
            all.push(self.one_of()?);
        }
        Ok(single(all).unwrap_or_else(Expr::And))
    }

    fn one_of(&mut self) -> Result<Expr, ParseError> {
        self.skip_space();
        self.depth += 1;
        if MAX_DEPTH < self.depth {
            return self.fail("a scope nested less deeply");
        }
        let expr = if self.eat('(') {
            let inner = self.any_of()?;
            self.expect(')', "AND, OR or ')'")?;
            inner
        } else if self.eat_keyword("NOT") {
            Expr::Not(Box::new(self.one_of()?))
        } else {
            self.tag_or_in()?
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn tag_or_in(&mut self) -> Result<Expr, ParseError> {
        self.skip_space();
        let start = self.at;
        if is_keyword(self.take_while(is_pattern_char)) {
            return self.fail_at(start, "a tag");
        }
        let after = self.at;
        let negated = self.eat_keyword("NOT");
        if !self.eat_keyword("IN") {
            // A NOT that no IN follows is left for the caller to refuse.
            self.at = start;
            return Ok(Expr::Tag(self.pattern()?));
        }
        let before_values = self.at;
        self.at = start;
        let key = self.tag_key("a tag key before IN")?;
        if self.at != after {
            return self.fail_at(start, "a tag key before IN");
        }
        self.at = before_values;
        Ok(Expr::In { key, values: self.values()?, negated })
    }

    fn values(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect('(', "'(' and values")?;
        let mut values = Vec::new();
        loop {
            self.skip_space();
            let start = self.at;
            let value = self.take_while(is_tag_char);
            if value.is_empty() {
                return self.fail_at(start, "a value without wildcards");
            }
            values.push(normalise_pattern(value));
            if !self.eat(',') {
                break;
            }
        }
        self.expect(')', "',' or ')'")?;
        Ok(values)
    }

    fn pattern(&mut self) -> Result<Pattern, ParseError> {
        self.skip_space();
        let start = self.at;
        let text = self.take_while(is_pattern_char);
        let key = text.split_once(':').map_or(text, |(key, _)| key);
        if text != "*" && (key.is_empty() || key.contains('*')) {
            return self.fail_at(start, "a tag, wildcards only in its value");
        }
        Ok(Pattern::new(text))
    }

    fn tag_key(&mut self, expected: &'static str) -> Result<String, ParseError> {
        self.skip_space();
        let start = self.at;
        let key = self.take_while(|c| is_tag_char(c) && c != ':');
        if key.is_empty() {
            return self.fail_at(start, expected);
        }
        Ok(normalise_pattern(key))
    }
}

/// The only element, or all of them.
fn single(mut exprs: Vec<Expr>) -> Result<Expr, Vec<Expr>> {
    if exprs.len() == 1 { exprs.pop().ok_or(exprs) } else { Err(exprs) }
}

fn is_keyword(word: &str) -> bool {
    ["AND", "OR", "NOT", "IN"].iter().any(|it| it.eq_ignore_ascii_case(word))
}

fn is_pattern_char(c: char) -> bool {
    is_tag_char(c) || c == '*'
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests;
