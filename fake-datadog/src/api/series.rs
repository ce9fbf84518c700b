//! `POST /api/v1/series`: intake of points.

use std::io::{self, Read};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use flate2::read::{GzDecoder, ZlibDecoder};
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    api::{
        error::ApiError,
        request::{Params, presented_keys},
    },
    expr::data::Kind,
    keys::Needs,
    state::Shared,
    store::Submission,
    tags::{Tags, normalise_metric},
};

pub(crate) const PATH: &str = "/api/v1/series";

/// Largest body as sent: 3.2 MB (Datadog API, "Submit metrics").
const MAX_SENT: usize = 3_200_000;

/// Largest body once inflated: 60 MiB (Datadog API, "Submit metrics").
const MAX_INFLATED: u64 = 62_914_560;

/// The body. Unknown fields are ignored, as is the type of a series: all are gauges here.
#[derive(Debug, Deserialize)]
struct Payload {
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: String,
    /// `[Unix seconds, value]`; a point without a value is none.
    points: Vec<(f64, Option<f64>)>,
    host: Option<String>,
    device: Option<String>,
    tags: Option<Vec<String>>,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route(PATH, post(submit))
}

/// Answers 202 as soon as the body is understood. Single points that Datadog would not keep
/// (too old, too far ahead, a metric whose name does not begin with a letter) are dropped
/// without an error, as Datadog does, and counted in `/fake/health`.
async fn submit(State(shared): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let presented = presented_keys(request.headers(), &Params::of(request.uri()));
    shared.keys().check(&presented, Needs::Api)?;
    let encoding = Encoding::of(request.headers())?;
    let sent = to_bytes(request.into_body(), MAX_SENT).await.map_err(|_| ApiError::TooLarge)?;
    let body = encoding.inflate(sent)?;
    let payload: Payload =
        serde_json::from_slice(&body).map_err(|error| ApiError::Payload(error.to_string()))?;

    let now = Timestamp::now();
    for series in payload.series {
        let Some(metric) = normalise_metric(&series.metric) else {
            tracing::info!(metric = series.metric, "points of a metric without a name dropped");
            shared.drop_points(series.points.len());
            continue;
        };
        let (metric, tags, points) = (&metric, &series.tags(), &series.points());
        let submission = Submission { metric, tags, kind: Kind::Gauge, interval: None, points };
        shared.submit(now, &submission);
    }
    // The type is `text/json`, as recorded.
    let content_type = [(header::CONTENT_TYPE, "text/json")];
    Ok((StatusCode::ACCEPTED, content_type, r#"{"status":"ok"}"#).into_response())
}

impl Series {
    /// Its tags; host and device are tags like any other when it comes to queries.
    fn tags(&self) -> Tags {
        let named = |key: &str, value: &Option<String>| {
            value.as_ref().filter(|value| !value.is_empty()).map(|value| format!("{key}:{value}"))
        };
        let tags = self.tags.iter().flatten().cloned();
        Tags::normalise(tags.chain(named("host", &self.host)).chain(named("device", &self.device)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "whole seconds; far ones are refused")]
    fn points(&self) -> Vec<(i64, f64)> {
        self.points.iter().filter_map(|(time, value)| Some((*time as i64, (*value)?))).collect()
    }
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    /// With zlib's frame, as HTTP has it.
    Deflate,
    Gzip,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let Some(name) = headers.get(header::CONTENT_ENCODING) else { return Ok(Self::Identity) };
        let name = String::from_utf8_lossy(name.as_bytes()).to_ascii_lowercase();
        match name.trim() {
            "" | "identity" => Ok(Self::Identity),
            "deflate" => Ok(Self::Deflate),
            "gzip" => Ok(Self::Gzip),
            _ => Err(ApiError::Encoding(name)),
        }
    }

    fn inflate(self, sent: Bytes) -> Result<Bytes, ApiError> {
        match self {
            Self::Identity => Ok(sent),
            Self::Deflate => read_all(ZlibDecoder::new(&sent[..]), MAX_INFLATED),
            Self::Gzip => read_all(GzDecoder::new(&sent[..]), MAX_INFLATED),
        }
    }
}

/// Reads up to `limit` bytes and no further, however small the packed body was.
fn read_all(packed: impl Read, limit: u64) -> Result<Bytes, ApiError> {
    let mut body = Vec::new();
    let read = packed.take(limit + 1).read_to_end(&mut body);
    let read = read.map_err(|error: io::Error| ApiError::Payload(error.to_string()))?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(body.into())
    } else {
        Err(ApiError::TooLarge)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        assert_eq!(read_all(io::repeat(0).take(10), 10).map(|it| it.len()), Ok(10));
        assert_eq!(read_all(io::repeat(0), 10), Err(ApiError::TooLarge));
    }

    #[test]
    fn host_and_device_become_tags() {
        let json = r#"{"metric": "m", "points": [[10.0, 1], [20, null]], "type": "gauge",
            "interval": 10, "host": "Web-1", "device": "", "tags": ["env:prod"]}"#;
        let series: Series = serde_json::from_str(json).unwrap();
        assert_eq!(series.tags(), Tags::normalise(["env:prod", "host:web-1"]));
        assert_eq!(series.points(), [(10, 1.0)]);
    }
}
