//! `POST /api/v2/series`: intake of points, as JSON or as the protobuf of agents.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;

use crate::{
    api::{
        error::{ApiError, short_form},
        receive::receive,
    },
    intake::{Limits, series_v2_json, series_v2_protobuf},
    state::Shared,
};

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/api/v2/series", post(submit))
}

async fn submit(State(shared): State<Shared>, request: Request) -> Response {
    match take(&shared, request).await {
        // To the letter as recorded (`Scenario_Submit_metrics_returns_Payload_accepted_response`
        // of `DataDog/datadog-api-client-go`).
        Ok(()) => {
            (StatusCode::ACCEPTED, [(header::CONTENT_TYPE, "application/json")], r#"{"errors":[]}"#)
                .into_response()
        }
        Err(error) => short_form(error),
    }
}

async fn take(shared: &Shared, request: Request) -> Result<(), ApiError> {
    let read = if is_protobuf(request.headers()) { series_v2_protobuf } else { series_v2_json };
    let batch = receive(shared, request, Limits::V2, read).await?;
    shared.take(Timestamp::now(), &batch);
    Ok(())
}

/// True for the content type of agents (`protobufContentType`, `pkg/serializer` of
/// `DataDog/datadog-agent`).
fn is_protobuf(headers: &HeaderMap) -> bool {
    let name = headers.get(header::CONTENT_TYPE).and_then(|name| name.to_str().ok());
    let name = name.and_then(|name| name.split(';').next()).unwrap_or_default();
    name.trim().eq_ignore_ascii_case("application/x-protobuf")
}
