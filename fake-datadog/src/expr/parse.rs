//! Text → [`Expression`], by recursive descent.

use std::collections::BTreeMap;

use crate::{
    expr::{Expression, Operator},
    tags::is_metric_char,
};

mod call;
mod characters;
mod query;
mod scope;

/// Deepest nesting of an expression, in its text and in what is made of it; keeps hostile text
/// from exhausting the stack.
const MAX_DEPTH: usize = 64;

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

/// Parses one or more expressions separated by top-level commas.
///
/// ```
/// use fake_datadog::expr::parse::parse_queries;
///
/// let queries = parse_queries("sum:a{*} / 2, abs(max:b{env:Prod} by {pod})")?;
/// assert_eq!(queries[0].to_string(), "(sum:a{*} / 2)");
/// assert_eq!(queries[1].to_string(), "abs(max:b{env:prod} by {pod})");
/// # Ok::<(), fake_datadog::expr::parse::ParseError>(())
/// ```
pub fn parse_queries(text: &str) -> Result<Vec<Expression>, ParseError> {
    let names = BTreeMap::new();
    let mut parser = Parser::new(text, &names);
    let mut queries = vec![parser.whole_expression()?];
    while parser.eat(',') {
        queries.push(parser.whole_expression()?);
    }
    parser.end("',' or the end")?;
    Ok(queries)
}

/// Parses a formula, in which each of `names` stands for its expression.
///
/// ```
/// use fake_datadog::expr::parse::{parse_formula, parse_queries};
///
/// let names = [("errors".to_owned(), parse_queries("sum:e{*}")?.remove(0))].into();
/// let formula = parse_formula("hour_before(errors) * 100", &names)?;
/// assert_eq!(formula.to_string(), "(hour_before(sum:e{*}) * 100)");
/// # Ok::<(), fake_datadog::expr::parse::ParseError>(())
/// ```
pub fn parse_formula(
    text: &str,
    names: &BTreeMap<String, Expression>,
) -> Result<Expression, ParseError> {
    let mut parser = Parser::new(text, names);
    let formula = parser.whole_expression()?;
    parser.end("an operator or the end")?;
    Ok(formula)
}

struct Parser<'a> {
    text: &'a str,
    /// What stands for an expression.
    names: &'a BTreeMap<String, Expression>,
    /// Byte offset of what comes next; always on a character boundary.
    at: usize,
    /// Parentheses, functions and signs around what comes next.
    depth: usize,
    /// The same inside of a scope.
    scope_depth: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, names: &'a BTreeMap<String, Expression>) -> Self {
        Self { text, names, at: 0, depth: 0, scope_depth: 0 }
    }

    /// An expression that asks for something.
    fn whole_expression(&mut self) -> Result<Expression, ParseError> {
        self.skip_space();
        let start = self.at;
        let expression = self.sum()?;
        if expression.queries().is_empty() {
            return self.fail_at(start, "a metric somewhere in the expression");
        }
        Ok(expression)
    }

    fn sum(&mut self) -> Result<Expression, ParseError> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some('+') => Operator::Add,
                Some('-') => Operator::Subtract,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::product)?;
        }
    }

    fn product(&mut self) -> Result<Expression, ParseError> {
        let mut left = self.signed()?;
        loop {
            let operator = match self.peek() {
                Some('*') => Operator::Multiply,
                Some('/') => Operator::Divide,
                _ => return Ok(left),
            };
            left = self.binary(operator, left, Self::signed)?;
        }
    }

    /// Takes the operator that comes next and its right side. All operators bind to the left.
    fn binary(
        &mut self,
        operator: Operator,
        left: Expression,
        right: impl Fn(&mut Self) -> Result<Expression, ParseError>,
    ) -> Result<Expression, ParseError> {
        self.skip_space();
        let start = self.at;
        self.at += 1;
        let right = right(self)?;
        let expression = Expression::Binary(operator, Box::new(left), Box::new(right));
        self.checked(start, expression)
    }

    fn signed(&mut self) -> Result<Expression, ParseError> {
        self.skip_space();
        let start = self.at;
        if !self.eat('-') {
            return self.operand();
        }
        self.deeper()?;
        let inner = self.signed()?;
        self.depth -= 1;
        self.checked(start, Expression::Negate(Box::new(inner)))
    }

    fn operand(&mut self) -> Result<Expression, ParseError> {
        self.skip_space();
        let start = self.at;
        if self.eat('(') {
            self.deeper()?;
            let inner = self.sum()?;
            self.depth -= 1;
            self.expect(')', "an operator or ')'")?;
            return Ok(inner);
        }
        if self.text[start..].starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number().map(Expression::Number);
        }
        let word = self.take_while(is_metric_char);
        if self.peek() == Some('(') {
            return self.call(start, word);
        }
        if let Some(expression) = self.names.get(word)
            && !matches!(self.peek(), Some('{' | ':'))
        {
            return self.checked(start, expression.clone());
        }
        self.at = start;
        self.query().map(Expression::Query)
    }

    fn deeper(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if MAX_DEPTH < self.depth { self.fail("an expression nested less deeply") } else { Ok(()) }
    }

    /// The expression that begins at `start`, unless it is nested too deeply.
    fn checked(&self, start: usize, expression: Expression) -> Result<Expression, ParseError> {
        if MAX_DEPTH < expression.height() {
            return self.fail_at(start, "an expression nested less deeply");
        }
        Ok(expression)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
pub(crate) use crate::expr::parse::scope::is_keyword;

#[cfg(test)]
mod tests;
