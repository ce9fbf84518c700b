//! Reads the text of the parameter `labelSelector`; pure.
//!
//! Grammar, rules for keys and values, and the words for errors are those of
//! `k8s.io/apimachinery/pkg/labels/selector.go`: who sends nonsense reads the same as from any
//! other Kubernetes API.

use crate::{
    api::selector::lexer::{Lexer, Token},
    selector::{Operator, Requirement, Selector},
    sorted::Sorted,
};

mod label;
mod lexer;

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SyntaxError(String);

/// Bad values that one message tells of; Go's servers tell of all, however many there are.
const MAX_TOLD: usize = 8;

/// Reads `text`; empty selects everything.
pub fn parse(text: &str) -> Result<Selector, SyntaxError> {
    let mut parser = Parser::new(text);
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::End => break,
            Token::Word(_) | Token::Not => {}
            token => return Err(found(token, "!, identifier, or 'end of string'")),
        }
        let requirement = parser.requirement();
        requirements.push(requirement.map_err(|SyntaxError(reason)| {
            SyntaxError(format!("unable to parse requirement: {reason}"))
        })?);
        match (parser.next(), parser.peek()) {
            (Token::End, _) => break,
            (Token::Comma, Token::Word(_) | Token::Not) => {}
            (Token::Comma, token) => return Err(found(token, "identifier after ','")),
            (token, _) => return Err(found(token, "',' or 'end of string'")),
        }
    }
    Ok(requirements.into_iter().collect())
}

fn found(token: Token<'_>, expected: &str) -> SyntaxError {
    SyntaxError(format!("found '{}', expected: {expected}", token.text()))
}

/// Reads with one token of look-ahead.
struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Token<'a>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let ahead = lexer.token();
        Self { lexer, ahead }
    }

    fn peek(&self) -> Token<'a> {
        self.ahead
    }

    fn next(&mut self) -> Token<'a> {
        std::mem::replace(&mut self.ahead, self.lexer.token())
    }

    fn requirement(&mut self) -> Result<Requirement, SyntaxError> {
        let absent = self.peek() == Token::Not;
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            token => return Err(found(token, "identifier")),
        };
        let errors = label::key_errors(key);
        if !errors.is_empty() {
            return Err(SyntaxError(invalid("<nil>", key, &errors.join("; "))));
        }
        let operator = if absent {
            Operator::DoesNotExist
        } else if matches!(self.peek(), Token::End | Token::Comma) {
            Operator::Exists
        } else {
            self.comparison(key)?
        };
        Ok(Requirement { key: key.to_owned(), operator })
    }

    fn comparison(&mut self, key: &str) -> Result<Operator, SyntaxError> {
        match self.next() {
            Token::Equals | Token::DoubleEquals => {
                self.value().and_then(|value| of_values(key, &[value])).map(Operator::In)
            }
            Token::NotEquals => {
                self.value().and_then(|value| of_values(key, &[value])).map(Operator::NotIn)
            }
            Token::Word("in") => {
                self.values().and_then(|values| of_values(key, &values)).map(Operator::In)
            }
            Token::Word("notin") => {
                self.values().and_then(|values| of_values(key, &values)).map(Operator::NotIn)
            }
            Token::Greater => {
                self.value().and_then(|value| integer(key, value)).map(Operator::GreaterThan)
            }
            Token::Less => {
                self.value().and_then(|value| integer(key, value)).map(Operator::LessThan)
            }
            token => Err(found(token, "in, notin, =, ==, !=, gt, lt")),
        }
    }

    /// The one value after an operator; nothing is the empty value.
    fn value(&mut self) -> Result<&'a str, SyntaxError> {
        if matches!(self.peek(), Token::End | Token::Comma) {
            return Ok("");
        }
        match self.next() {
            Token::Word(value) => Ok(value),
            token => Err(found(token, "identifier")),
        }
    }

    /// A list in parentheses, in which nothing between two commas is the empty value.
    fn values(&mut self) -> Result<Sorted<&'a str>, SyntaxError> {
        match self.next() {
            Token::Open => {}
            // Without a comma, as in Go.
            token => {
                return Err(SyntaxError(format!("found '{}' expected: '('", token.text())));
            }
        }
        if !matches!(self.peek(), Token::Word(_) | Token::Comma | Token::Close) {
            return Err(found(self.peek(), "',', ')' or identifier"));
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                Token::Word(value) => {
                    self.next();
                    values.push(value);
                }
                Token::Comma | Token::Close => {
                    values.push("");
                }
                token => return Err(found(token, "',', or identifier")),
            }
            match self.next() {
                Token::Close => return Ok(values.into_iter().collect()),
                Token::Comma => {}
                token => return Err(found(token, "',' or ')'")),
            }
        }
    }
}

fn of_values(key: &str, values: &[&str]) -> Result<Sorted<String>, SyntaxError> {
    let errors =
        values.iter().enumerate().filter_map(|(index, value)| value_error(key, index, value));
    match one_line(&errors.take(MAX_TOLD).collect::<Vec<_>>()) {
        None => Ok(values.iter().map(|value| (*value).to_owned()).collect()),
        Some(error) => Err(error),
    }
}

/// What is compared has to be both an integer and a label value: there are no negative ones.
fn integer(key: &str, value: &str) -> Result<i64, SyntaxError> {
    let number: Result<i64, _> = value.parse();
    let error = number.is_err().then(|| {
        invalid("values[0]", value, "for 'Gt', 'Lt' operators, the value must be an integer")
    });
    let errors: Vec<_> = error.into_iter().chain(value_error(key, 0, value)).collect();
    match one_line(&errors) {
        Some(error) => Err(error),
        None => number.map_err(|error| SyntaxError(error.to_string())),
    }
}

fn value_error(key: &str, index: usize, value: &str) -> Option<String> {
    let errors = label::value_errors(value);
    let path = || format!("values[{index}][{key}]");
    (!errors.is_empty()).then(|| invalid(&path(), value, &errors.join("; ")))
}

/// As `k8s.io/apimachinery/pkg/util/errors` joins several.
fn one_line(errors: &[String]) -> Option<SyntaxError> {
    match errors {
        [] => None,
        [error] => Some(SyntaxError(error.clone())),
        errors => Some(SyntaxError(format!("[{}]", errors.join(", ")))),
    }
}

/// As `k8s.io/apimachinery/pkg/util/validation/field` words it.
fn invalid(field: &str, value: &str, detail: &str) -> String {
    format!("{field}: Invalid value: {}: {detail}", label::quoted(value))
}

#[cfg(test)]
mod tests;
