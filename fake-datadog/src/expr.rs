//! The query language: text → [`Expression`] → numbers.
//!
//! ```text
//! text ─▶ parse ─▶ Expression ─▶ evaluate ─▶ one answer per group
//!                   └ Query ─▶ scope picks the sources ─▶ time ─▶ space ┘
//! ```
//!
//! An expression is a number, a metric query, a function of an expression, or arithmetic of two.
//! Whatever is outside of the subset is refused with its position: a wrong number would be worse
//! than no number.
//!
//! | part | what there is |
//! |---|---|
//! | query | `[agg:]metric{scope}[ by {keys}]` and modifiers; `agg` is avg, sum, min, max, or, of distributions, count and p50, p99.9 and so on |
//! | scope | `*`, tags, `!` and commas; or AND, OR, NOT, IN, NOT IN and parentheses; wildcards in values |
//! | modifiers | `.rollup(agg, seconds)`, `.rollup(agg)`, `.rollup(seconds)`, `.fill(method[, seconds])`, `.as_count()`, `.as_rate()` |
//! | arithmetic | `+ - * /`, unary minus, parentheses, numbers |
//! | functions | see [`function::Function`] |
//!
//! Not here, and refused: `weighted()`, calendar and offset arguments of rollup, `autosmooth`,
//! `calendar_shift`, anomaly, forecast and outlier detection, regression, nested aggregation.

pub mod aggregator;
pub mod data;
pub mod evaluate;
pub mod function;
pub mod grid;
pub mod parse;
pub mod query;
pub mod scope;

mod label;

#[cfg(test)]
mod generate;

use std::fmt;

pub use crate::expr::{
    aggregator::Aggregator,
    function::Function,
    query::{Fill, FillMethod, Form, Query, Rollup},
};

/// What is asked for. [`fmt::Display`] prints the normal form, which parses back to the same
/// value: no white space that is not needed, and parentheses around all arithmetic.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Finite and not negative: a minus sign is [`Self::Negate`].
    Number(f64),
    /// A metric.
    Query(Query),
    /// A function of one expression.
    Call(Function, Box<Self>),
    /// Unary minus.
    Negate(Box<Self>),
    /// Arithmetic of two expressions.
    Binary(Operator, Box<Self>, Box<Self>),
}

/// The arithmetic between expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
}

// === impl Expression ===

impl Expression {
    /// The queries in it, from left to right.
    pub fn queries(&self) -> Vec<&Query> {
        let mut queries = Vec::new();
        self.collect_queries(&mut queries);
        queries
    }

    /// The tag keys that its answers are grouped by, in the order in which they are first written.
    pub fn group_by(&self) -> Vec<&str> {
        match self {
            // They make one series of all groups.
            Self::Call(Function::CountNonzero | Function::CountNotNull | Function::Dt, _) => {
                Vec::new()
            }
            Self::Number(_) => Vec::new(),
            Self::Query(query) => query.group_by.iter().map(String::as_str).collect(),
            Self::Call(_, inner) | Self::Negate(inner) => inner.group_by(),
            Self::Binary(_, left, right) => {
                let mut keys = left.group_by();
                for key in right.group_by() {
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
                keys
            }
        }
    }

    fn collect_queries<'a>(&'a self, queries: &mut Vec<&'a Query>) {
        match self {
            Self::Number(_) => {}
            Self::Query(query) => queries.push(query),
            Self::Call(_, inner) | Self::Negate(inner) => inner.collect_queries(queries),
            Self::Binary(_, left, right) => {
                left.collect_queries(queries);
                right.collect_queries(queries);
            }
        }
    }

    /// The longest way from here to a leaf, this node included.
    pub(crate) fn height(&self) -> usize {
        match self {
            Self::Number(_) | Self::Query(_) => 1,
            Self::Call(_, inner) | Self::Negate(inner) => 1 + inner.height(),
            Self::Binary(_, left, right) => 1 + left.height().max(right.height()),
        }
    }

    /// The text of this expression, with what `query` makes of each query in it.
    fn text(&self, query: &dyn Fn(&Query) -> String) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Query(it) => query(it),
            Self::Call(function, inner) => function.text(&inner.text(query)),
            Self::Negate(inner) => format!("-{}", inner.text(query)),
            Self::Binary(operator, left, right) => {
                format!("({} {} {})", left.text(query), operator.symbol(), right.text(query))
            }
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(&Query::to_string))
    }
}

// === impl Operator ===

impl Operator {
    /// How it is written.
    pub fn symbol(self) -> char {
        match self {
            Self::Add => '+',
            Self::Subtract => '-',
            Self::Multiply => '*',
            Self::Divide => '/',
        }
    }

    /// The result; not finite where arithmetic has none.
    pub(crate) fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Subtract => left - right,
            Self::Multiply => left * right,
            Self::Divide => left / right,
        }
    }
}
