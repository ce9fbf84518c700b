//! The control API under `/fake`; [`crate::control`] describes it.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    api::request::Params,
    control::{
        Accepted, Clock, ClockChange, Fault, FaultList, Health, Problem, RateLimit,
        RecordedRequest, Removed, RequestLog, Script, SeriesList,
    },
    scenario::Scenario,
    state::Shared,
    tags::Tags,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/scenario", put(set_scenario).get(scenario))
        .route("/series", put(set_script).get(series).delete(remove_scripts))
        .route("/faults", put(set_fault).get(faults).delete(clear_faults))
        .route("/clock", get(clock).put(set_clock))
        .route("/rate_limits", put(set_rate_limits).get(rate_limits))
        .route("/requests", get(requests))
        .route("/requests/{id}", get(request))
        .route("/reset", post(reset))
        .route("/health", get(health))
        .fallback(unknown_path)
}

async fn set_script(State(shared): State<Shared>, body: Bytes) -> Result<Json<Accepted>, Refused> {
    let script: Script = parse("script", &body)?;
    shared.script(Timestamp::now(), script).map(Json).map_err(|error| Refused::bad_request(&error))
}

async fn set_scenario(State(shared): State<Shared>, body: Bytes) -> Result<Json<Value>, Refused> {
    let bad = |error: &dyn std::fmt::Display| {
        Refused::bad_request(&format_args!("bad scenario: {error}"))
    };
    let text = std::str::from_utf8(&body).map_err(|error| bad(&error))?;
    let scenario = Scenario::parse(text).map_err(|error| bad(&error))?;
    shared.set_scenario(Timestamp::now(), scenario).map_err(|error| bad(&error))?;
    Ok(done())
}

async fn scenario(State(shared): State<Shared>) -> Json<Scenario> {
    Json(shared.scenario(Timestamp::now()))
}

async fn series(State(shared): State<Shared>, uri: Uri) -> Json<SeriesList> {
    Json(shared.series(Timestamp::now(), Params::of(&uri).get("metric")))
}

async fn remove_scripts(State(shared): State<Shared>, uri: Uri) -> Result<Json<Removed>, Refused> {
    let params = Params::of(&uri);
    let (metric, tags) = (params.get("metric"), params.get("tags"));
    if metric.is_none() && tags.is_some() {
        return Err(Refused::bad_request(&"parameter `tags` needs `metric` beside it"));
    }
    let tags = tags.map(|tags| Tags::normalise(tags.split(',')));
    Ok(Json(Removed { removed: shared.remove_scripts(metric, tags.as_ref()) }))
}

async fn set_fault(State(shared): State<Shared>, body: Bytes) -> Result<Json<Value>, Refused> {
    let fault: Fault = parse("fault", &body)?;
    shared.fault(Timestamp::now(), fault).map_err(|error| Refused::bad_request(&error))?;
    Ok(done())
}

async fn clear_faults(State(shared): State<Shared>, uri: Uri) -> Json<Removed> {
    let removed = shared.clear_faults(Timestamp::now(), Params::of(&uri).get("name"));
    Json(Removed { removed })
}

async fn faults(State(shared): State<Shared>) -> Json<FaultList> {
    Json(shared.faults(Timestamp::now()))
}

async fn clock(State(shared): State<Shared>) -> Json<Clock> {
    Json(shared.clock(Timestamp::now()))
}

async fn set_clock(State(shared): State<Shared>, body: Bytes) -> Result<Json<Clock>, Refused> {
    let change: ClockChange = parse("clock change", &body)?;
    Ok(Json(shared.set_clock(Timestamp::now(), change)))
}

async fn set_rate_limits(
    State(shared): State<Shared>,
    body: Bytes,
) -> Result<Json<Value>, Refused> {
    let limits: Vec<RateLimit> = parse("rate limits", &body)?;
    shared.set_rate_limits(limits).map_err(|error| Refused::bad_request(&error))?;
    Ok(done())
}

async fn rate_limits(State(shared): State<Shared>) -> Json<Vec<RateLimit>> {
    Json(shared.rate_limits())
}

async fn requests(State(shared): State<Shared>, uri: Uri) -> Json<RequestLog> {
    let log = shared.recorder().log();
    // Short unless asked for: harnesses poll it.
    if Params::of(&uri).get("full").is_none() {
        return Json(log);
    }
    Json(RequestLog { requests: shared.recorder().exchanges(), ..log })
}

async fn request(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Json<RecordedRequest>, Refused> {
    let found = id.parse().ok().and_then(|id| shared.recorder().exchange(id));
    found.map(Json).ok_or_else(|| Refused {
        status: StatusCode::NOT_FOUND,
        error: format!("no request `{id}` among the last ones, see `/fake/requests`"),
    })
}

async fn reset(State(shared): State<Shared>) -> Result<Json<Value>, Refused> {
    shared.reset(Timestamp::now()).map_err(|error| Refused::bad_request(&error))?;
    Ok(done())
}

async fn health(State(shared): State<Shared>) -> Json<Health> {
    Json(shared.health(Timestamp::now()))
}

async fn unknown_path(uri: Uri) -> Refused {
    // A nested router sees the path without its prefix.
    let error = format!("no control call `/fake{}`", uri.path());
    Refused { status: StatusCode::NOT_FOUND, error }
}

fn parse<T: DeserializeOwned>(what: &str, body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| Refused::bad_request(&format_args!("bad {what}: {error}")))
}

fn done() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// A control call that was not carried out.
struct Refused {
    status: StatusCode,
    error: String,
}

impl Refused {
    fn bad_request(error: &dyn ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.to_string() }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(Problem { error: self.error })).into_response()
    }
}
