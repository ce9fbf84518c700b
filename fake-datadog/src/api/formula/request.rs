//! What a formula request asks for: bytes → [`Asked`], or Datadog's words about the first mistake.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    api::error::ApiError,
    expr::{
        Expression,
        evaluate::Window,
        parse::{ParseError, parse_formula, parse_queries},
    },
};

/// Data sources that take metric queries, and of them the one that has any data here
/// (Datadog API, `MetricsDataSource`).
const METRICS: &str = "metrics";

/// Latest millisecond that can be asked for: the end of the year 9999.
const MAX_TIME_MS: i64 = 253_402_300_799_999;

/// A request as sent (Datadog API, `TimeseriesFormulaRequest` and `ScalarFormulaRequest`).
#[derive(Debug, Deserialize)]
struct Attributes {
    /// Unix milliseconds, included.
    from: i64,
    /// Unix milliseconds, not included.
    to: i64,
    /// Milliseconds.
    interval: Option<i64>,
    #[serde(default)]
    formulas: Vec<FormulaText>,
    queries: Vec<QueryText>,
}

#[derive(Debug, Deserialize)]
struct FormulaText {
    formula: String,
    limit: Option<Limit>,
}

#[derive(Debug, Deserialize)]
struct QueryText {
    data_source: String,
    query: String,
    name: Option<String>,
    aggregator: Option<Reducer>,
}

/// How many rows of a scalar answer are wanted, and in which order.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Limit {
    pub(super) count: Option<u32>,
    #[serde(default)]
    pub(super) order: Order,
}

/// Order of the rows by the formula's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    Asc,
    /// What the API takes when nothing is said (`QuerySortOrder`).
    #[default]
    Desc,
}

/// How the points of the window become one number (Datadog API, `MetricsAggregator`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Reducer {
    /// The same as `mean`.
    #[serde(alias = "mean")]
    Avg,
    Min,
    Max,
    Sum,
    Last,
    /// Root of the sum of squares.
    L2norm,
    /// Signed area under the curve, in value × seconds.
    Area,
    /// Over all values of a distribution; refused, see [`Asked::parse`].
    Percentile,
}

/// A request that has been understood.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) window: Window,
    /// Bucket length in seconds, if one was asked for.
    pub(super) interval: Option<i64>,
    pub(super) queries: Vec<Named>,
    pub(super) formulas: Vec<Formula>,
}

/// One of the queries.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) query: Expression,
    /// Given on scalar requests, and only there.
    pub(super) reducer: Option<Reducer>,
}

/// One of the results: a formula, or a query where the request has no formulas.
#[derive(Debug)]
pub(super) struct Formula {
    /// As written.
    pub(super) text: String,
    pub(super) limit: Option<Limit>,
}

/// Which of the two requests a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Timeseries,
    Scalar,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The body is wrong: always 400.
    Body(ApiError),
    /// A query or formula is: an error in the way that the scenario chooses.
    Query(String),
}

impl From<ParseError> for Refused {
    fn from(error: ParseError) -> Self {
        Self::Query(format!("Error parsing query:\n{error}"))
    }
}

impl Kind {
    fn type_name(self) -> &'static str {
        match self {
            Self::Timeseries => "timeseries_request",
            Self::Scalar => "scalar_request",
        }
    }
}

impl Asked {
    /// Reads a body. An aggregator `percentile` is refused: it is taken over all values of the window,
    /// which the points of a series do not hold any more, and a wrong number would be worse than none.
    pub(super) fn parse(kind: Kind, body: &[u8]) -> Result<Self, Refused> {
        let mut body: Value = read(body)?;
        let expected = kind.type_name();
        if body["data"]["type"] != expected {
            // As recorded, the quotes included.
            return Err(invalid(format_args!("Invalid type. Expected \"{expected}\".")));
        }
        let attributes: Attributes = serde_json::from_value(body["data"]["attributes"].take())
            .map_err(|error| invalid(format_args!("{error}")))?;
        let window = window(attributes.from, attributes.to)?;
        let interval = attributes.interval.map(|ms| (ms / 1000).max(1));
        if attributes.queries.is_empty() {
            return Err(invalid(format_args!("queries must not be empty")));
        }
        let queries = attributes.queries.into_iter().enumerate();
        let queries = queries.map(|(index, query)| query.named(kind, index));
        let queries = queries.collect::<Result<Vec<_>, _>>()?;
        let formulas = formulas(&queries, attributes.formulas);
        Ok(Self { window, interval, queries, formulas })
    }

    /// Each formula with the names in it replaced by what `leaf` makes of the queries.
    pub(super) fn expressions(
        &self,
        leaf: impl Fn(&Named) -> Expression,
    ) -> Result<Vec<Expression>, Refused> {
        let leaves: BTreeMap<String, Expression> =
            self.queries.iter().map(|named| (named.name.clone(), leaf(named))).collect();
        let formulas = self.formulas.iter();
        let parsed = formulas.map(|formula| parse_formula(&formula.text, &leaves));
        parsed.map(|it| it.map_err(Refused::from)).collect()
    }
}

impl QueryText {
    fn named(self, kind: Kind, index: usize) -> Result<Named, Refused> {
        let Self { data_source, query, name, aggregator } = self;
        if data_source != METRICS {
            let text = format_args!("data_source \"{data_source}\" is not supported");
            return Err(invalid(text));
        }
        let reducer = match (kind, aggregator) {
            (Kind::Timeseries, _) => None,
            (Kind::Scalar, Some(Reducer::Percentile)) => {
                return Err(invalid(format_args!("aggregator \"percentile\" is not supported")));
            }
            // Left out, it is the average (Datadog API, `MetricsAggregator`).
            (Kind::Scalar, given) => Some(given.unwrap_or(Reducer::Avg)),
        };
        let mut parsed = parse_queries(&query)?;
        let (Some(query), true) = (parsed.pop(), parsed.is_empty()) else {
            return Err(invalid(format_args!("query \"{query}\" must be a single query")));
        };
        let name = name.unwrap_or_else(|| format!("query{}", index + 1));
        Ok(Named { name, query, reducer })
    }
}

/// The results wanted: without formulas, every query is one.
fn formulas(queries: &[Named], texts: Vec<FormulaText>) -> Vec<Formula> {
    if texts.is_empty() {
        let plain = |named: &Named| Formula { text: named.name.clone(), limit: None };
        return queries.iter().map(plain).collect();
    }
    texts.into_iter().map(|it| Formula { text: it.formula, limit: it.limit }).collect()
}

fn window(from: i64, to: i64) -> Result<Window, Refused> {
    for (name, time) in [("from", from), ("to", to)] {
        if !(0..=MAX_TIME_MS).contains(&time) {
            return Err(invalid(format_args!("{name} {time} is no time in milliseconds")));
        }
    }
    // The end is not included, the evaluation's window has whole seconds and both ends.
    let window = Window { from: (from + 999).div_euclid(1000), to: (to - 1).div_euclid(1000) };
    if from < to && window.from <= window.to {
        Ok(window)
    } else {
        Err(invalid(format_args!("to must be after from")))
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| invalid(format_args!("{error}")))
}

/// In the words that every recorded 400 of these endpoints begins with.
fn invalid(reason: std::fmt::Arguments<'_>) -> Refused {
    Refused::Body(ApiError::Invalid(format!("API input validation failed: {reason}")))
}

impl Reducer {
    /// One number for the values of buckets that are `interval` seconds long; `None` without values.
    pub(super) fn reduce(self, interval: i64, values: &[Option<f64>]) -> Option<f64> {
        let present = || values.iter().flatten().copied();
        let first = present().next()?;
        #[expect(clippy::cast_precision_loss, reason = "at most some thousand buckets")]
        Some(match self {
            Self::Avg | Self::Percentile => present().sum::<f64>() / present().count() as f64,
            Self::Min => present().fold(first, f64::min),
            Self::Max => present().fold(first, f64::max),
            Self::Sum => present().sum(),
            Self::Last => present().next_back().unwrap_or(first),
            Self::L2norm => present().map(|value| value * value).sum::<f64>().sqrt(),
            Self::Area => present().sum::<f64>() * interval as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(kind: Kind, body: &str) -> String {
        match Asked::parse(kind, body.as_bytes()).unwrap_err() {
            Refused::Body(ApiError::Invalid(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mistakes_are_named_in_datadogs_way() {
        let check = |body: &str, expected: &str| {
            let said = refused(Kind::Timeseries, body);
            assert_eq!(said.strip_prefix("API input validation failed: "), Some(expected));
        };
        check("{", "EOF while parsing an object at line 1 column 1");
        check("[]", "Invalid type. Expected \"timeseries_request\".");
        check(
            r#"{"data":{"type":"timeseries_rquest"}}"#,
            "Invalid type. Expected \"timeseries_request\".",
        );
        let with = |attributes: &str| {
            format!(r#"{{"data":{{"type":"timeseries_request","attributes":{attributes}}}}}"#)
        };
        check(&with(r#"{"from":0,"to":60000}"#), "missing field `queries`");
        check(&with(r#"{"from":0,"to":60000,"queries":[]}"#), "queries must not be empty");
        check(&with(r#"{"from":60000,"to":60000,"queries":[]}"#), "to must be after from");
        check(
            &with(r#"{"from":-1,"to":60000,"queries":[]}"#),
            "from -1 is no time in milliseconds",
        );
        check(
            &with(r#"{"from":0,"to":60000,"queries":[{"data_source":"rum","query":"a"}]}"#),
            "data_source \"rum\" is not supported",
        );
        check(
            &with(
                r#"{"from":0,"to":60000,"queries":[{"data_source":"metrics","query":"a{*},b{*}"}]}"#,
            ),
            "query \"a{*},b{*}\" must be a single query",
        );
    }

    #[test]
    fn the_window_has_its_start_and_not_its_end() {
        assert_eq!(window(10_000, 20_000), Ok(Window { from: 10, to: 19 }));
        assert_eq!(window(10_001, 20_001), Ok(Window { from: 11, to: 20 }));
        assert!(window(10_001, 10_002).is_err());
    }

    #[test]
    fn values_are_reduced_as_asked() {
        let values = [None, Some(3.0), Some(-4.0), None];
        let check = |reducer: Reducer, expected: f64| {
            assert_eq!(reducer.reduce(20, &values), Some(expected), "{reducer:?}");
        };
        check(Reducer::Avg, -0.5);
        check(Reducer::Min, -4.0);
        check(Reducer::Max, 3.0);
        check(Reducer::Sum, -1.0);
        check(Reducer::Last, -4.0);
        check(Reducer::L2norm, 5.0);
        check(Reducer::Area, -20.0);
        assert_eq!(Reducer::Sum.reduce(20, &[None]), None);
    }
}
