//! One metric query, without the arithmetic around it.

use std::fmt;

use crate::expr::{aggregator::Aggregator, scope::Scope};

/// One query. [`fmt::Display`] prints the normal form, which parses back to the same value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// How sources are combined; Datadog combines with `avg` when the query does not say.
    pub aggregator: Option<Aggregator>,
    /// Name of the metric, case sensitive.
    pub metric: String,
    /// Which sources take part.
    pub scope: Scope,
    /// Tag keys after `by`, lower case, in the order written; empty for a single answer.
    pub group_by: Vec<String>,
    /// `.as_count()` or `.as_rate()`.
    pub form: Option<Form>,
    /// What `.rollup(…)` asked for.
    pub rollup: Rollup,
    /// What `.fill(…)` asked for.
    pub fill: Option<Fill>,
}

/// The form in which a count or a rate is wanted; without effect on gauges
/// (docs, "Metric Type Modifiers").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.as_count()`: events in the bucket.
    Count,
    /// `.as_rate()`: events per second.
    Rate,
}

/// The arguments of `.rollup(…)`; both `None` when the query has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// How the points of one source inside a bucket are combined; `avg` when not said.
    pub aggregator: Option<Aggregator>,
    /// Bucket length in seconds, at least 1.
    pub interval: Option<u32>,
}

/// The arguments of `.fill(…)`: what stands in a source's empty buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// What to fill with.
    pub method: FillMethod,
    /// How far from a real value, in seconds, at most [`Fill::MAX_LIMIT`];
    /// [`Fill::DEFAULT_LIMIT`] when not said.
    pub limit: Option<u32>,
}

/// What `.fill(…)` fills with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillMethod {
    /// Nothing.
    Null,
    /// Zeros.
    Zero,
    /// The value before the gap.
    Last,
    /// A straight line between the values before and after the gap.
    Linear,
}

// === impl Query ===

impl Query {
    /// The text of this query for the one group that has `group_tags`: Datadog's `expression`,
    /// in which the group's values stand in the scope and `by` is gone (recorded answers of
    /// `GET /api/v1/query`).
    pub fn expression(&self, group_tags: &[String]) -> String {
        let (head, modifiers) = (Head(self), Modifiers(self));
        format!("{head}{{{}}}{modifiers}", self.scope.with_tags(group_tags))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{{}}}", Head(self), self.scope)?;
        if !self.group_by.is_empty() {
            write!(f, " by {{{}}}", self.group_by.join(","))?;
        }
        Modifiers(self).fmt(f)
    }
}

/// `agg:metric`.
struct Head<'a>(&'a Query);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(aggregator) = self.0.aggregator {
            write!(f, "{aggregator}:")?;
        }
        f.write_str(&self.0.metric)
    }
}

/// All that follows the scope and the grouping.
struct Modifiers<'a>(&'a Query);

impl fmt::Display for Modifiers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Query { form, rollup, fill, .. } = self.0;
        match form {
            None => {}
            Some(Form::Count) => f.write_str(".as_count()")?,
            Some(Form::Rate) => f.write_str(".as_rate()")?,
        }
        rollup.fmt(f)?;
        fill.map_or(Ok(()), |fill| fill.fmt(f))
    }
}

// === impl Rollup ===

impl fmt::Display for Rollup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.aggregator, self.interval) {
            (None, None) => Ok(()),
            (None, Some(interval)) => write!(f, ".rollup({interval})"),
            (Some(aggregator), None) => write!(f, ".rollup({aggregator})"),
            (Some(aggregator), Some(interval)) => write!(f, ".rollup({aggregator},{interval})"),
        }
    }
}

// === impl Fill ===

impl Fill {
    /// Datadog's limit in seconds where none is given (docs, "Interpolation").
    pub const DEFAULT_LIMIT: u32 = 300;

    /// The largest limit in seconds that Datadog takes (docs, "Interpolation").
    pub const MAX_LIMIT: u32 = 600;

    /// The limit in effect, in seconds.
    pub(crate) fn limit(self) -> i64 {
        i64::from(self.limit.unwrap_or(Self::DEFAULT_LIMIT))
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.limit {
            None => write!(f, ".fill({})", self.method.name()),
            Some(limit) => write!(f, ".fill({},{limit})", self.method.name()),
        }
    }
}

// === impl FillMethod ===

impl FillMethod {
    /// The word used in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Zero => "zero",
            Self::Last => "last",
            Self::Linear => "linear",
        }
    }

    /// The method that queries call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Null, Self::Zero, Self::Last, Self::Linear].into_iter().find(|it| it.name() == name)
    }
}
