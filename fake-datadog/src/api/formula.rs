//! `POST /api/v2/query/timeseries` and `POST /api/v2/query/scalar`: formulas over queries.
//!
//! Fields, their order, types and content types are those of recorded answers (test recordings of
//! `DataDog/datadog-api-client-go`, `v2/Feature_Metrics`, 2024 to 2026). Of the data sources there is
//! only `metrics`; a request for another one is refused.

mod request;
mod scalar;
mod timeseries;

use axum::{
    Extension, Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    api::{
        error::{ApiError, short_form},
        formula::request::{Asked, Kind, Refused},
        query::injected_error,
        request::{Params, presented_keys},
    },
    control::Right,
    expr::data::Data,
    fault::Effects,
    keys::Needs,
    scenario::QueryErrorMode,
    state::Shared,
};

pub(crate) const TIMESERIES: &str = "/api/v2/query/timeseries";
pub(crate) const SCALAR: &str = "/api/v2/query/scalar";

/// Type of an answer, as recorded; errors are plain JSON.
const JSON_API: &str = "application/vnd.api+json";

/// Largest body. Datadog documents no limit; a dashboard's largest request has some 100 kB.
const MAX_BODY: usize = 1 << 20;

/// The document around an answer (JSON:API).
#[derive(Debug, Serialize)]
struct Body<A> {
    data: Document<A>,
    /// Why the answer is not what it should be; with a 200, where the scenario wants it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<String>,
}

#[derive(Debug, Serialize)]
struct Document<A> {
    id: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    attributes: A,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route(TIMESERIES, post(timeseries_answer)).route(SCALAR, post(scalar_answer))
}

async fn timeseries_answer(
    state: State<Shared>,
    effects: Extension<Effects>,
    request: Request,
) -> Response {
    answer(Kind::Timeseries, "timeseries_response", state, effects, request, timeseries::attributes)
        .await
        .unwrap_or_else(short_form)
}

async fn scalar_answer(
    state: State<Shared>,
    effects: Extension<Effects>,
    request: Request,
) -> Response {
    answer(Kind::Scalar, "scalar_response", state, effects, request, scalar::attributes)
        .await
        .unwrap_or_else(short_form)
}

async fn answer<A: Default + Serialize>(
    kind: Kind,
    response_type: &'static str,
    State(shared): State<Shared>,
    Extension(effects): Extension<Effects>,
    request: Request,
    attributes: impl FnOnce(&Asked, &dyn Data) -> Result<A, Refused>,
) -> Result<Response, ApiError> {
    let presented = presented_keys(request.headers(), &Params::of(request.uri()));
    shared.keys().check(&presented, Needs::Right(Right::TimeseriesQuery))?;
    let body = to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| ApiError::TooLarge)?;
    let document = |attributes: A| Document { id: "0", kind: response_type, attributes };
    let found = Asked::parse(kind, &body).and_then(|asked| {
        if let Some(injected) = effects.query_error {
            return Err(Refused::Query(injected_error(injected, "the queries")));
        }
        if effects.empty {
            return Ok(A::default());
        }
        attributes(&asked, &shared.data(Timestamp::now(), effects.stale_by))
    });
    if !matches!(found, Err(Refused::Body(_))) {
        shared.metrics().queried(found.is_ok());
    }
    let body = match found {
        Ok(attributes) => Body { data: document(attributes), errors: None },
        Err(Refused::Body(error)) => return Err(error),
        // One bad query fails all of them.
        Err(Refused::Query(error)) => match shared.query_error_mode() {
            QueryErrorMode::Http400 => return Err(ApiError::Invalid(error)),
            QueryErrorMode::Http200 => Body { data: document(A::default()), errors: Some(error) },
        },
    };
    Ok(([(header::CONTENT_TYPE, JSON_API)], Json(body)).into_response())
}
