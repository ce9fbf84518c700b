//! Numbers for an expression.
//!
//! ```text
//! sources ─▶ time (.rollup) ─▶ rates ─▶ gaps (.fill) ─▶ space (avg:, by) ─▶ functions, arithmetic
//! ```

mod aggregate;
mod arithmetic;
mod function;
mod gap;
mod smooth;
mod table;

use crate::expr::{
    Aggregator, Expression, data::Data, evaluate::table::Value, function::Function, grid,
};

pub(crate) use crate::expr::evaluate::aggregate::NO_VALUE;
pub use crate::expr::grid::Grid;

/// The time asked for, Unix seconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Oldest second.
    pub from: i64,
    /// Newest second; without any bucket when it is before `from`.
    pub to: i64,
}

/// All answers to an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// When the values are.
    pub grid: Grid,
    /// One a group, by ascending tags, or in the order of `top`.
    pub answers: Vec<Answer>,
}

/// One series of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Name of the metric, with the functions and the arithmetic around it.
    pub metric: String,
    /// The scope, narrowed to the group.
    pub scope: String,
    /// The text of the expression, narrowed to the group.
    pub expression: String,
    /// How sources were combined, where the query says so.
    pub aggregator: Option<Aggregator>,
    /// `key:value` of each grouping key, in the order of the query; empty without grouping.
    pub group_tags: Vec<String>,
    /// One finite value a bucket, `None` where there is none. At least one is `Some`.
    pub values: Vec<Option<f64>>,
}

/// Evaluates `expression` over the sources that `data` has for its metrics and scopes.
///
/// `interval` is the length of buckets in seconds for queries without a rollup of their own;
/// without either it follows from the length of the window.
///
/// 1. The points of each source inside a bucket and inside the window become one value
///    (`.rollup`'s aggregator, else `avg`, or the sum of what `as_count` and `as_rate` ask for).
/// 2. Sources are put into groups by their values of the `by` keys. A source with several
///    values of a key is in several groups, one without any in the group `N/A`.
/// 3. Where a query has several sources, a source's empty buckets between two of its own
///    values are filled in linearly, if the two are at most 300 s apart, unless `.fill` says
///    otherwise (docs, "Interpolation and the Fill Modifier"). Nothing is carried in from outside
///    of the window.
/// 4. Per bucket the sources' values become one (the query's aggregator, else `avg`). Of a
///    distribution all values of all sources count alike, in time and space at once.
/// 5. Functions and arithmetic act on the groups. Queries in other intervals than each other
///    meet where a bucket of each begins.
///
/// A group without any value is left out.
pub fn evaluate(
    expression: &Expression,
    window: Window,
    interval: Option<i64>,
    data: &dyn Data,
) -> Evaluation {
    let window = window.bounded();
    let context = Context { window, interval, look_back: 0, shift: 0, data };
    let Value::Table(table) = context.evaluate(expression) else {
        // Text without a query does not parse.
        let grid = Grid::new(window, grid::interval(interval, window), 0);
        return Evaluation { grid, answers: Vec::new() };
    };
    let (metric, aggregator) = (expression.metric(), expression.aggregator());
    let series = table.series.into_iter().filter_map(|mut series| {
        for value in &mut series.values {
            *value = value.filter(|it| it.is_finite());
        }
        series.values.iter().any(Option::is_some).then_some(series)
    });
    let answers = series.map(|series| Answer {
        metric: metric.clone(),
        scope: expression.scope(&series.group),
        expression: expression.for_group(&series.group),
        aggregator,
        group_tags: series.group,
        values: series.values,
    });
    Evaluation { grid: table.grid, answers: answers.collect() }
}

/// What the parts of an expression are evaluated in.
#[derive(Clone, Copy)]
struct Context<'a> {
    window: Window,
    /// Seconds, for queries without a rollup of their own.
    interval: Option<i64>,
    /// Seconds before the window for which values are needed too.
    look_back: i64,
    /// Seconds that points are moved into the future.
    shift: i64,
    data: &'a dyn Data,
}

// === impl Context ===

impl Context<'_> {
    fn evaluate(self, expression: &Expression) -> Value {
        match expression {
            Expression::Number(number) => Value::Number(*number),
            Expression::Query(query) => Value::Table(self.query(query, None)),
            Expression::Call(function, inner) => self.call(*function, inner),
            Expression::Negate(inner) => self.evaluate(inner).map(|it| -it),
            Expression::Binary(operator, left, right) => {
                arithmetic::binary(*operator, self.evaluate(left), self.evaluate(right))
            }
        }
    }

    fn call(self, function: Function, inner: &Expression) -> Value {
        if let (true, Expression::Query(query)) = (function.is_rate(), inner) {
            return Value::Table(self.query(query, Some(function)));
        }
        let (shift, look_back) = (function.shift(), function.look_back());
        let context = Self {
            shift: self.shift.saturating_add(shift),
            look_back: self.look_back.saturating_add(look_back),
            ..self
        };
        match context.evaluate(inner) {
            Value::Number(number) => Value::Number(number),
            Value::Table(table) => Value::Table(function::apply(function, table, self)),
        }
    }

    /// The buckets wanted of a query that has them `interval` seconds long.
    fn grid(self, interval: i64) -> Grid {
        Grid::new(self.window, interval, self.look_back)
    }
}

// === impl Window ===

impl Window {
    /// Seconds from 1970 in either direction beyond which nothing is looked for: some 30,000
    /// years, so that no sum of times can overflow.
    pub(crate) const LATEST: i64 = 1_000_000_000_000;

    pub(crate) fn bounded(self) -> Self {
        let bounded = |time: i64| time.clamp(-Self::LATEST, Self::LATEST);
        Self { from: bounded(self.from), to: bounded(self.to) }
    }
}

#[cfg(test)]
mod tests;
