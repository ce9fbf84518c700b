//! The query language: text → [`Query`] → numbers.
//!
//! ```text
//! text ─▶ parse ─▶ Query ─▶ scope picks the sources ─▶ evaluate ─▶ one answer per group
//! ```
//!
//! The subset is `[agg:]metric{scope}[ by {keys}][.rollup([agg][,][seconds])]`, several of them
//! separated by commas. Whatever is outside of it is refused with its position: a wrong number
//! would be worse than no number.

pub mod data;
pub mod evaluate;
pub mod parse;
pub mod scope;

use std::fmt;

use crate::expr::scope::Scope;

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
    /// What `.rollup(…)` asked for.
    pub rollup: Rollup,
}

/// A way to make one number out of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregator {
    /// Arithmetic mean.
    Avg,
    /// Sum.
    Sum,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Number of points; only inside `.rollup(…)`, since over sources it belongs to
    /// distribution metrics, which the fake does not keep.
    Count,
}

/// The arguments of `.rollup(…)`; both `None` when the query has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rollup {
    /// How the points of one source inside a bucket are combined; `avg` when not said.
    pub aggregator: Option<Aggregator>,
    /// Bucket length in seconds, at least 1.
    pub interval: Option<u32>,
}

impl Query {
    /// The text of this query for the one group that has `group_tags`: Datadog's `expression`,
    /// in which the group's values stand in the scope and `by` is gone (recorded answers of
    /// `GET /api/v1/query`).
    pub fn expression(&self, group_tags: &[String]) -> String {
        let head = Head(self);
        format!("{head}{{{}}}{}", self.scope.with_tags(group_tags), self.rollup)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{{}}}", Head(self), self.scope)?;
        if !self.group_by.is_empty() {
            write!(f, " by {{{}}}", self.group_by.join(","))?;
        }
        write!(f, "{}", self.rollup)
    }
}

/// `agg:metric`.
struct Head<'a>(&'a Query);

impl fmt::Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(aggregator) = self.0.aggregator {
            write!(f, "{}:", aggregator.name())?;
        }
        f.write_str(&self.0.metric)
    }
}

impl fmt::Display for Rollup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.aggregator, self.interval) {
            (None, None) => Ok(()),
            (None, Some(interval)) => write!(f, ".rollup({interval})"),
            (Some(aggregator), None) => write!(f, ".rollup({})", aggregator.name()),
            (Some(aggregator), Some(interval)) => {
                write!(f, ".rollup({},{interval})", aggregator.name())
            }
        }
    }
}

impl Aggregator {
    /// The word used in queries and in the answer's `aggr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
        }
    }

    /// The aggregator that queries call `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Avg, Self::Sum, Self::Min, Self::Max, Self::Count]
            .into_iter()
            .find(|it| it.name() == name)
    }

    /// Combines `values`; `None` when there are none.
    pub fn combine(self, values: impl Iterator<Item = f64>) -> Option<f64> {
        let mut count = 0.0;
        let combined = values.inspect(|_| count += 1.0).reduce(|left, right| match self {
            Self::Avg | Self::Sum => left + right,
            Self::Min => left.min(right),
            Self::Max => left.max(right),
            Self::Count => left,
        })?;
        Some(match self {
            Self::Avg => combined / count,
            Self::Sum | Self::Min | Self::Max => combined,
            Self::Count => count,
        })
    }
}
