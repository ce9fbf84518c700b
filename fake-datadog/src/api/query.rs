//! `GET /api/v1/query`: one or more queries over a window.
//!
//! Fields, their order and types are those of recorded answers
//! (test recordings of `DataDog/datadog-api-client-go`, 2022).

use std::collections::BTreeSet;

use axum::{
    Extension, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::{
        error::ApiError,
        request::{Params, presented_keys},
    },
    control::Right,
    expr::{
        Expression,
        evaluate::{Answer, Evaluation, Grid, Window, evaluate},
        parse::{ParseError, parse_queries},
    },
    fault::Effects,
    keys::Needs,
    scenario::QueryErrorMode,
    state::Shared,
};

pub(crate) const PATH: &str = "/api/v1/query";

/// Latest second that can be asked for: the end of the year 9999.
const MAX_TIME: i64 = 253_402_300_799;

#[derive(Debug, Serialize)]
struct Body<'a> {
    status: &'static str,
    res_type: &'static str,
    resp_version: u8,
    query: &'a str,
    /// Unix milliseconds.
    from_date: i64,
    /// Unix milliseconds.
    to_date: i64,
    series: Vec<Series>,
    group_by: Vec<&'a str>,
    message: &'static str,
    times: [(); 0],
    values: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Series {
    metric: String,
    display_name: String,
    expression: String,
    scope: String,
    tag_set: Vec<String>,
    query_index: usize,
    aggr: Option<String>,
    /// Seconds.
    interval: i64,
    length: usize,
    /// Unix milliseconds.
    start: i64,
    /// Unix milliseconds of the last bucket's last second.
    end: i64,
    /// `[Unix milliseconds, value]`.
    pointlist: Vec<(i64, Option<f64>)>,
    /// Always null: the fake knows no units.
    unit: (),
    /// Always empty.
    attributes: serde_json::Map<String, serde_json::Value>,
}

/// The short form of a refused query.
#[derive(Debug, Serialize)]
struct QueryError {
    status: &'static str,
    error: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route(PATH, get(query))
}

async fn query(
    State(shared): State<Shared>,
    uri: Uri,
    headers: HeaderMap,
    Extension(effects): Extension<Effects>,
) -> Result<Response, ApiError> {
    let params = Params::of(&uri);
    shared
        .keys()
        .check(&presented_keys(&headers, &params), Needs::Right(Right::TimeseriesQuery))?;
    let window = window(&params)?;
    let text = params.get("query").ok_or(ApiError::MissingParameter("query"))?;
    if text.trim().is_empty() {
        return Err(ApiError::InvalidParameter("query"));
    }

    let parsed = parse_queries(text);
    shared.metrics().queried(parsed.is_ok() && effects.query_error.is_none());
    let queries = match (parsed, effects.query_error) {
        (_, Some(injected)) => {
            return Ok(refuse(&shared, window, text, injected_error(injected, text)));
        }
        // One bad query fails all of them.
        (Err(error), None) => {
            log_refused(&error);
            let error = format!("Error parsing query:\n{error}");
            return Ok(refuse(&shared, window, text, error));
        }
        (Ok(queries), None) => queries,
    };
    let series = if effects.empty {
        Vec::new()
    } else {
        let data = shared.data(Timestamp::now(), effects.stale_by);
        all_series(queries.iter().map(|query| evaluate(query, window, None, &data)).collect())
    };
    let mut group_by: Vec<&str> = Vec::new();
    for key in queries.iter().flat_map(Expression::group_by) {
        if !group_by.contains(&key) {
            group_by.push(key);
        }
    }
    Ok(Json(Body { series, group_by, ..Body::new(window, text) }).into_response())
}

fn window(params: &Params) -> Result<Window, ApiError> {
    let time = |name: &'static str| {
        let text = params.get(name).ok_or(ApiError::MissingParameter(name))?;
        let time = text.parse().ok().filter(|time| (0..=MAX_TIME).contains(time));
        time.ok_or(ApiError::InvalidParameter(name))
    };
    let (from, to) = (time("from")?, time("to")?);
    if from < to { Ok(Window { from, to }) } else { Err(ApiError::EmptyWindow) }
}

/// The series of all queries, in the order of the queries.
fn all_series(evaluations: Vec<Evaluation>) -> Vec<Series> {
    // Queries of one request share their timestamps: where intervals differ, a query has nulls
    // at the bucket starts of the others. (datadog-agent skips nulls for that reason.)
    let times: BTreeSet<i64> = evaluations.iter().flat_map(|it| it.grid.starts()).collect();
    let mut all = Vec::new();
    for (query_index, Evaluation { grid, answers }) in evaluations.into_iter().enumerate() {
        for mut answer in answers {
            let values = std::mem::take(&mut answer.values);
            let mut own = grid.starts().zip(values).peekable();
            let value_at = |time: &i64| {
                let value = own.next_if(|(start, _)| start == time).and_then(|(_, value)| value);
                (*time * 1000, value)
            };
            let pointlist = times.iter().map(value_at).collect();
            all.push(Series::new(query_index, grid, answer, pointlist));
        }
    }
    all
}

/// What a query error that was injected says, which is the usual words when it has none of its own.
pub(crate) fn injected_error(message: String, query: &str) -> String {
    if message.trim().is_empty() {
        format!("Error parsing query:\nunable to parse {query}: injected fault")
    } else {
        message
    }
}

fn refuse(shared: &Shared, window: Window, query: &str, error: String) -> Response {
    match shared.query_error_mode() {
        QueryErrorMode::Http400 => {
            let body = QueryError { status: "error", error };
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
        QueryErrorMode::Http200 => {
            let body = Body { status: "error", error: Some(error), ..Body::new(window, query) };
            Json(body).into_response()
        }
    }
}

fn log_refused(error: &ParseError) {
    match error {
        ParseError::Syntax { expected, .. } => tracing::info!(%error, expected, "query refused"),
        ParseError::Mixed { .. } => tracing::info!(%error, "query refused"),
    }
}

// === impl Body ===

impl<'a> Body<'a> {
    fn new(window: Window, query: &'a str) -> Self {
        Self {
            status: "ok",
            res_type: "time_series",
            resp_version: 1,
            query,
            from_date: window.from * 1000,
            to_date: window.to * 1000,
            series: Vec::new(),
            group_by: Vec::new(),
            message: "",
            times: [],
            values: [],
            error: None,
        }
    }
}

// === impl Series ===

impl Series {
    fn new(
        query_index: usize,
        grid: Grid,
        answer: Answer,
        pointlist: Vec<(i64, Option<f64>)>,
    ) -> Self {
        let last = grid.starts().last().unwrap_or(grid.first);
        Self {
            display_name: answer.metric.clone(),
            metric: answer.metric,
            expression: answer.expression,
            scope: answer.scope,
            tag_set: answer.group_tags,
            query_index,
            aggr: answer.aggregator.map(|it| it.to_string()),
            interval: grid.interval,
            length: pointlist.len(),
            start: grid.first * 1000,
            end: (last + grid.interval - 1) * 1000,
            pointlist,
            unit: (),
            attributes: serde_json::Map::new(),
        }
    }
}
