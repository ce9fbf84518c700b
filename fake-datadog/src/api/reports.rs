//! What agents report beside points: `POST /api/v1/check_run` and `POST /intake/`. No query can
//! show it, the control API does.

use axum::{
    Json, Router,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use jiff::Timestamp;

use crate::{
    api::{
        error::ApiError,
        receive::{accepted, receive},
    },
    intake::{Event, Limits, ServiceCheck, agent, check_run},
    state::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/v1/check_run", post(submit_checks))
        .route("/intake/", post(submit_events))
        // Go's HTTP client and others drop the slash when they join paths.
        .route("/intake", post(submit_events))
}

/// Under `/fake`.
pub(crate) fn control_routes() -> Router<Shared> {
    Router::new().route("/checks", get(checks)).route("/events", get(events))
}

/// Answers 202 as recorded (`Scenario_Submit_a_Service_Check_returns_Payload_accepted_response`
/// of `DataDog/datadog-api-client-go`).
async fn submit_checks(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Response, ApiError> {
    let checks = receive(&shared, request, Limits::AGENT, check_run).await?;
    shared.take_checks(Timestamp::now(), checks);
    Ok(accepted())
}

/// Answers 202; agents look at nothing but the status (`comp/forwarder` of
/// `DataDog/datadog-agent`).
async fn submit_events(
    State(shared): State<Shared>,
    request: Request,
) -> Result<Response, ApiError> {
    let events = receive(&shared, request, Limits::AGENT, agent).await?;
    shared.take_events(Timestamp::now(), events);
    Ok(accepted())
}

async fn checks(State(shared): State<Shared>) -> Json<Vec<ServiceCheck>> {
    Json(shared.store().reports().checks())
}

async fn events(State(shared): State<Shared>) -> Json<Vec<Event>> {
    Json(shared.store().reports().events())
}
