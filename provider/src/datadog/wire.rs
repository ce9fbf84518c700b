//! The JSON of `GET /api/v1/query`, as Datadog documents it
//! (<https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>), and what it says of
//! each query; pure.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, SeqAccess, Visitor},
};

use crate::{datadog::Series, sample::Point};

/// Why the body of a 200 gives no series.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoSeries {
    /// `status: error` for what a query says.
    Query(String),
    /// `status: error` for another reason.
    Failure(String),
    /// It is not what the API promises.
    Malformed(String),
}

/// A 200. Fields that we do not use are not named: they may come and go.
#[derive(Debug, Deserialize)]
struct QueryResponse {
    /// `ok` or `error`.
    #[serde(default)]
    status: String,
    /// The reason when `status` is `error`.
    #[serde(default)]
    error: Option<String>,
    /// One entry for each series of each query.
    #[serde(default, deserialize_with = "bounded")]
    series: Vec<WireSeries>,
}

#[derive(Debug, Deserialize)]
struct WireSeries {
    /// Position of the query in the request; may be missing when there was only one.
    #[serde(default)]
    query_index: Option<i64>,
    /// `[milliseconds, value or null]`, from old to new.
    #[serde(default)]
    pointlist: Vec<Point>,
    #[serde(default)]
    scope: Option<String>,
    /// The tags of the group; may be null.
    #[serde(default)]
    tag_set: Option<Vec<String>>,
}

/// The body of an error: `{"errors": ["…"]}` or `{"status": "error", "error": "…"}`.
#[derive(Debug, Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    error: Option<String>,
}

/// Most series in one answer. An empty one takes three bytes of a body and forty times that of
/// memory, so that a limit of bytes alone would not hold.
const MOST_SERIES: usize = 100_000;

/// Words of an error in a 200 that speak of Datadog, not of the query.
const NOT_THE_QUERY: [&str; 11] = [
    "rate limit",
    "too many requests",
    "quota",
    "forbidden",
    "unauthorized",
    "not authorized",
    "internal error",
    "internal server error",
    "unavailable",
    "try again later",
    "overloaded",
];

/// The series of a 200 by query. Expressions are not compared: Datadog rewrites them. A series
/// that says no valid position among several queries spoils the whole answer: it could belong to
/// any of them.
pub(super) fn series(body: &[u8], queries: usize) -> Result<Vec<Vec<Series>>, NoSeries> {
    let malformed = |reason: String| Err(NoSeries::Malformed(reason));
    let response: QueryResponse = match serde_json::from_slice(body) {
        Ok(response) => response,
        Err(error) => return malformed(no_json(body, &error)),
    };
    match response.status.as_str() {
        "ok" => {}
        "error" => return Err(no_answer(response.error.unwrap_or_default())),
        other => return malformed(format!("status is {other:?}, neither ok nor error")),
    }
    let mut assigned = vec![Vec::new(); queries];
    for series in response.series {
        let position = match series.query_index {
            Some(position) => usize::try_from(position).ok(),
            None if queries == 1 => Some(0),
            None => None,
        };
        let Some(place) = position.and_then(|position| assigned.get_mut(position)) else {
            let index = series.query_index;
            return malformed(format!("query_index {index:?} of a series fits no query"));
        };
        place.push(Series {
            points: series.pointlist,
            scope: series.scope.unwrap_or_default(),
            tags: series.tag_set.unwrap_or_default(),
        });
    }
    Ok(assigned)
}

/// Most often it is the query: Datadog understood the request, and says what is wrong in free text
/// ("Error parsing query", "Invalid query input", "Query timed out": `DataDog/datadog-agent` issues
/// 5282, 10781, 20183). Taking another failure for the query's costs some calls; taking a query's
/// for another one leaves all that are asked with it without an answer.
fn no_answer(message: String) -> NoSeries {
    let words = message.to_lowercase();
    if NOT_THE_QUERY.iter().any(|failure| words.contains(failure)) {
        NoSeries::Failure(message)
    } else {
        NoSeries::Query(message)
    }
}

fn no_json(body: &[u8], error: &serde_json::Error) -> String {
    match body.trim_ascii().first() {
        None => "it is empty".to_owned(),
        Some(b'<') => format!(
            "it is a page, not JSON, look for a proxy or portal in between: {}",
            error_message(body)
        ),
        Some(_) => error.to_string(),
    }
}

/// Datadog's words in the body of an error, whatever its form; of a page its text.
pub(super) fn error_message(body: &[u8]) -> String {
    let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    match (parsed.errors.is_empty(), parsed.error) {
        (false, _) => parsed.errors.join("; "),
        (true, Some(error)) => error,
        (true, None) => {
            let text = String::from_utf8_lossy(body);
            if text.trim_start().starts_with('<') {
                without_markup(&text)
            } else {
                text.into_owned()
            }
        }
    }
}

fn without_markup(page: &str) -> String {
    let parts = page.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text));
    parts.collect::<Vec<_>>().join(" ")
}

/// A list of series that is not too long.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WireSeries>, D::Error> {
    struct Bounded;

    impl<'de> Visitor<'de> for Bounded {
        type Value = Vec<WireSeries>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of series")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while all.len() < MOST_SERIES {
                match list.next_element()? {
                    Some(series) => all.push(series),
                    None => return Ok(all),
                }
            }
            match list.next_element::<IgnoredAny>()? {
                None => Ok(all),
                Some(_) => Err(de::Error::custom(format!("more than {MOST_SERIES} series"))),
            }
        }
    }

    deserializer.deserialize_seq(Bounded)
}

#[cfg(test)]
mod tests;
