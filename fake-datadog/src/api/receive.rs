//! What all intake endpoints have in common: key, encoding, size and time of a body.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use crate::{
    api::{
        error::ApiError,
        request::{Params, presented_keys},
    },
    intake::{Encoding, Limits, Refusal},
    keys::Needs,
    state::Shared,
};

/// How long a body may take to come in. Datadog documents the status 408, but no figure.
const PATIENCE: Duration = Duration::from_secs(30);

/// A body of more bytes than this is read beside the tasks that answer queries: inflating and
/// parsing megabytes takes longer than any of them.
const LARGE: usize = 64 * 1024;

/// Reads the body of a request that brings a good API key.
///
/// No content type is refused: none of Datadog's documents has a refusal for it, and clients send
/// `text/json` as well as `application/json`, or none.
pub(crate) async fn receive<T: Send + 'static>(
    shared: &Shared,
    request: Request,
    limits: Limits,
    read: impl FnOnce(&[u8]) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, ApiError> {
    let presented = presented_keys(request.headers(), &Params::of(request.uri()));
    shared.keys().check(&presented, Needs::Api)?;
    let encoding = encoding(request.headers(), limits)?;
    let sent = body(request.into_body(), limits).await?;
    let is_large = LARGE < sent.len();
    let read = move || read(&encoding.inflate(&sent, limits)?);
    let taken = if is_large {
        tokio::task::spawn_blocking(read).await.map_err(|error| {
            tracing::error!(%error, "body not read");
            ApiError::Payload(error.to_string())
        })?
    } else {
        read()
    };
    Ok(taken?)
}

/// The answer of version 1 to what was taken, to the letter and with the type `text/json`
/// (recorded, `TestMetrics` of `DataDog/datadog-api-client-go`).
pub(crate) fn accepted() -> Response {
    let content_type = [(header::CONTENT_TYPE, "text/json")];
    (StatusCode::ACCEPTED, content_type, r#"{"status": "ok"}"#).into_response()
}

fn encoding(headers: &HeaderMap, limits: Limits) -> Result<Encoding, Refusal> {
    let name = headers.get(header::CONTENT_ENCODING);
    let name = name.map(|name| String::from_utf8_lossy(name.as_bytes()));
    Encoding::of(name.as_deref().unwrap_or_default(), limits)
}

async fn body(body: Body, limits: Limits) -> Result<Bytes, ApiError> {
    let Ok(body) = timeout(PATIENCE, to_bytes(body, limits.sent)).await else {
        return Err(ApiError::SlowBody);
    };
    // A broken connection is an error too, but nobody is there any more to read the answer.
    body.map_err(|_| ApiError::TooLarge)
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(body(never, Limits::V1).await, Err(ApiError::SlowBody));
    }
}
