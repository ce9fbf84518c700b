//! `GET /api/v1/query`: one or more queries over a window.
//!
//! Fields, their order and types are those of recorded answers
//! (test recordings of `DataDog/datadog-api-client-go`, 2022).

use std::collections::{BTreeMap, BTreeSet};

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
    expr::{
        Query,
        evaluate::{Answer, Grid, Window, evaluate},
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
    aggr: Option<&'static str>,
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
    shared.keys().check(&presented_keys(&headers, &params), Needs::ApiAndApp)?;
    let window = window(&params)?;
    let text = params.get("query").ok_or(ApiError::MissingParameter("query"))?;
    if text.trim().is_empty() {
        return Err(ApiError::InvalidParameter("query"));
    }

    let parsed = parse_queries(text);
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
        let answers = queries.iter().map(|query| {
            let (grid, answers) = evaluate(query, window, &data);
            (query, grid, answers)
        });
        all_series(&answers.collect::<Vec<_>>())
    };
    let mut group_by: Vec<&str> = Vec::new();
    for key in queries.iter().flat_map(|query| &query.group_by) {
        if !group_by.contains(&key.as_str()) {
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
fn all_series(answers: &[(&Query, Grid, Vec<Answer>)]) -> Vec<Series> {
    // Queries of one request share their timestamps: where intervals differ, a query has nulls
    // at the bucket starts of the others. (datadog-agent skips nulls for that reason.)
    let times: BTreeSet<i64> = answers.iter().flat_map(|(_, grid, _)| grid.starts()).collect();
    let mut all = Vec::new();
    for (query_index, (query, grid, groups)) in answers.iter().enumerate() {
        for group in groups {
            let values: BTreeMap<i64, Option<f64>> =
                grid.starts().zip(group.values.iter().copied()).collect();
            let value_at = |time: &i64| (*time * 1000, values.get(time).copied().flatten());
            all.push(Series::new(
                query_index,
                query,
                *grid,
                &group.group_tags,
                times.iter().map(value_at).collect(),
            ));
        }
    }
    all
}

fn injected_error(message: String, query: &str) -> String {
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
        query: &Query,
        grid: Grid,
        group_tags: &[String],
        pointlist: Vec<(i64, Option<f64>)>,
    ) -> Self {
        let last = grid.starts().last().unwrap_or(grid.first);
        Self {
            metric: query.metric.clone(),
            display_name: query.metric.clone(),
            expression: query.expression(group_tags),
            scope: query.scope.with_tags(group_tags),
            tag_set: group_tags.to_vec(),
            query_index,
            aggr: query.aggregator.map(crate::expr::Aggregator::name),
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
