//! Values from a recorded answer of `GET /api/v1/query`.

use std::{path::Path, time::Duration};

use serde::Deserialize;

use crate::{
    control::{AnswerFile, Moment, Shape, Span},
    exchange,
    scenario::files::FileError,
};

/// The part of an answer that is wanted.
#[derive(Debug, Deserialize)]
struct Body {
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    /// `[Unix milliseconds, value]`.
    pointlist: Vec<(f64, Option<f64>)>,
}

/// The values of the file at `path`, which holds `text`.
pub(super) fn shape(wanted: &AnswerFile, path: &Path, text: &str) -> Result<Shape, FileError> {
    let content = |reason: String| FileError::Content { path: path.to_owned(), reason };
    let recorded =
        if exchange::is_recording(text) { Some(recorded(wanted, path, text)?) } else { None };
    let text = recorded.as_deref().unwrap_or(text);
    let body: Body = serde_json::from_str(text).map_err(|error| FileError::Place {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        reason: format!("no answer of `GET /api/v1/query`: {}", without_place(&error)),
    })?;
    let count = body.series.len();
    let series = body.series.into_iter().nth(wanted.series).ok_or_else(|| {
        content(format!("the answer has no series {}, it has {count}", wanted.series))
    })?;
    let start = series.pointlist.first().map_or(0.0, |(time, _)| *time);
    let mut points: Vec<Moment> = Vec::new();
    for (time, value) in series.pointlist {
        let at = Duration::try_from_secs_f64((time - start) / 1000.0).map(Span::from);
        let later = at.ok().filter(|at| points.last().is_none_or(|last| last.at < *at));
        let at = later
            .ok_or_else(|| content(format!("time `{time}` must come after the one before")))?;
        points.push(Moment { at, value });
    }
    if points.is_empty() {
        return Err(content(format!("series {} of the answer has no points", wanted.series)));
    }
    Ok(Shape::Timeline { points, repeat: wanted.repeat })
}

/// The body of the first answer in a recording that is meant.
fn recorded(wanted: &AnswerFile, path: &Path, text: &str) -> Result<String, FileError> {
    let content = |reason: String| FileError::Content { path: path.to_owned(), reason };
    let exchanges = exchange::parse(path, text).map_err(|error| content(error.to_string()))?;
    let is_wanted = |request: &exchange::Request| {
        let query = request.params.iter().find(|(name, _)| name == "query");
        request.path == "/api/v1/query"
            && wanted.query.as_ref().is_none_or(|it| query.is_some_and(|(_, query)| query == it))
    };
    let found =
        exchanges.into_iter().find(|it| it.response.status == 200 && is_wanted(&it.request));
    let body = found.and_then(|it| it.response.body);
    let body = body.ok_or_else(|| content("no answer of that query is recorded".to_owned()))?;
    Ok(body.text().to_owned())
}

/// The message without the place at its end, which is given in front.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, series: usize) -> Result<Shape, String> {
        let wanted = AnswerFile { file: "a.json".into(), query: None, series, repeat: true };
        shape(&wanted, Path::new("a.json"), text).map_err(|error| error.to_string())
    }

    /// As Datadog was recorded to answer (test recordings of `DataDog/datadog-api-client-go`).
    const ANSWER: &str = r#"{"status":"ok","series":[{"metric":"m","pointlist":[[1600000000000.0,1.5],[1600000020000.0,null],[1600000040000.0,3]],"interval":20}]}"#;

    #[test]
    fn times_count_from_the_first_point() {
        let Shape::Timeline { points, repeat: true } = read(ANSWER, 0).unwrap() else {
            panic!("no timeline")
        };
        let points: Vec<_> =
            points.iter().map(|it| (it.at.as_duration().as_secs(), it.value)).collect();
        assert_eq!(points, [(0, Some(1.5)), (20, None), (40, Some(3.0))]);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let refused = |text, series, expected: &str| {
            assert_eq!(read(text, series).unwrap_err(), expected);
        };
        refused(
            "{\"status\":\n 5}",
            0,
            "a.json:2:3: no answer of `GET /api/v1/query`: missing field `series`",
        );
        refused(ANSWER, 1, "a.json: the answer has no series 1, it has 1");
        refused(
            r#"{"series":[{"pointlist":[]}]}"#,
            0,
            "a.json: series 0 of the answer has no points",
        );
    }
}
