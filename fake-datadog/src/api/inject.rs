//! Does what the faults in force say: before the request is handled, and to its answer.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822::DateTimePrinter};

use crate::{
    api::{
        error::{ApiError, short_form, status_answer},
        record::Hit,
        request::{Params, presented_keys},
    },
    control::Endpoint,
    fault::{Effects, Target},
    server::Connection,
    state::Shared,
};

/// The middleware around all of Datadog's paths.
pub(crate) async fn inject(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let keys = presented_keys(request.headers(), &Params::of(request.uri()));
    let target = Target { endpoint: Endpoint::of(path), path, keys: &shared.keys().labels(&keys) };
    let effects = shared.hit(Timestamp::now(), target);
    if !effects.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(effects.delay) => {}
            () = shared.stopping().cancelled() => {}
        }
    }
    if effects.reset {
        return reset(&request);
    }
    let mut response = effects.body.apply(answer(&effects, request, next).await).await;
    if !effects.names.is_empty() {
        response.extensions_mut().insert(Hit(effects.names));
    }
    if effects.clock_ahead != 0 {
        set_date(&mut response, effects.clock_ahead);
    }
    response
}

async fn answer(effects: &Effects, mut request: Request, next: Next) -> Response {
    if let Some(status) = &effects.status {
        return status_answer(status);
    }
    if effects.revoked {
        return refused(request.uri().path());
    }
    request.extensions_mut().insert(effects.clone());
    next.run(request).await
}

/// What a bad key gets there.
fn refused(path: &str) -> Response {
    if path.starts_with("/api/v2/") {
        return short_form(ApiError::Forbidden);
    }
    ApiError::Forbidden.into_response()
}

/// Closes the connection with a reset. The client sees no answer; the log shows one with 444, as
/// nginx calls a connection that it closed without an answer.
fn reset(request: &Request) -> Response {
    if let Some(connection) = request.extensions().get::<Connection>() {
        connection.reset();
    }
    StatusCode::from_u16(444).unwrap_or_default().into_response()
}

/// The date of a clock that is `ahead` seconds ahead of ours.
fn set_date(response: &mut Response, ahead: i64) {
    let date = Timestamp::now()
        .checked_add(SignedDuration::from_secs(ahead))
        .and_then(|date| DateTimePrinter::new().timestamp_to_rfc9110_string(&date));
    // Out of HTTP's years only by a skew of thousands of them.
    if let Ok(date) = date
        && let Ok(date) = HeaderValue::try_from(date)
    {
        response.headers_mut().insert(header::DATE, date);
    }
}
