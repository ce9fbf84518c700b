//! The JSON of `GET /api/v1/query`, as Datadog documents it
//! (<https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>).

use serde::Deserialize;

use crate::sample::Point;

/// A 200. Fields that we do not use are not named: they may come and go.
#[derive(Debug, Deserialize)]
pub(super) struct QueryResponse {
    /// `ok` or `error`.
    #[serde(default)]
    pub(super) status: String,
    /// The reason when `status` is `error`.
    #[serde(default)]
    pub(super) error: Option<String>,
    /// One entry for each series of each query.
    #[serde(default)]
    pub(super) series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Series {
    /// Position of the query in the request; may be missing when there was only one.
    #[serde(default)]
    pub(super) query_index: Option<i64>,
    /// `[milliseconds, value or null]`, from old to new.
    #[serde(default)]
    pub(super) pointlist: Vec<Point>,
    #[serde(default)]
    pub(super) scope: Option<String>,
    /// The tags of the group; may be null.
    #[serde(default)]
    pub(super) tag_set: Option<Vec<String>>,
}

/// The body of an error: `{"errors": ["…"]}` or `{"status": "error", "error": "…"}`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorBody {
    #[serde(default)]
    errors: Vec<String>,
    #[serde(default)]
    error: Option<String>,
}

/// How much of a body that is no JSON is shown.
const EXCERPT: usize = 200;

/// Datadog's words in the body of an error, whatever its form, on one line.
pub(super) fn error_message(body: &[u8]) -> String {
    let parsed: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let message = match (parsed.errors.is_empty(), parsed.error) {
        (false, _) => parsed.errors.join("; "),
        (true, Some(error)) => error,
        (true, None) => String::from_utf8_lossy(body).chars().take(EXCERPT).collect(),
    };
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "no message".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_error_body_gives_one_line() {
        assert_eq!(error_message(br#"{"errors":["Forbidden"]}"#), "Forbidden");
        assert_eq!(
            error_message(br#"{"status":"error","error":"Error parsing\n query: x"}"#),
            "Error parsing query: x"
        );
        assert_eq!(error_message(b"<html>Bad Gateway</html>"), "<html>Bad Gateway</html>");
        assert_eq!(error_message(b""), "no message");
    }
}
