//! What faults do to the body of an answer.

mod points;

use std::io;

use axum::{
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use futures::stream;
use tokio::time::{Duration, sleep};

use crate::{control::Which, fault::body::points::replace_values};

/// How often a slow body goes on, and how long a cut body takes to leave.
const TICK: Duration = Duration::from_millis(100);

/// What happens to one body, in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BodyEffects {
    /// Values of points to replace, and with what.
    pub(crate) points: Vec<(Which, &'static str)>,
    /// End it half way, as if that were the whole.
    pub(crate) malformed: bool,
    /// The type to announce.
    pub(crate) content_type: Option<String>,
    /// Close the connection after this many bytes.
    pub(crate) truncated_to: Option<u64>,
    /// Bytes per second.
    pub(crate) speed: Option<u32>,
}

impl BodyEffects {
    /// The answer as the client gets it.
    pub(crate) async fn apply(&self, response: Response) -> Response {
        if *self == Self::default() {
            return response;
        }
        let (mut parts, body) = response.into_parts();
        // Handlers have their bodies in memory: reading one cannot fail.
        let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let body = self.changed(body);
        parts.headers.remove(header::CONTENT_LENGTH);
        if let Some(content_type) = &self.content_type
            && let Ok(content_type) = HeaderValue::try_from(content_type)
        {
            parts.headers.insert(header::CONTENT_TYPE, content_type);
        }
        let body = self.sent(&mut parts.headers, body);
        Response::from_parts(parts, body)
    }

    /// The bytes to announce.
    fn changed(&self, mut body: Bytes) -> Bytes {
        for (which, value) in &self.points {
            body = replace_values(&body, *which, value).into();
        }
        if self.malformed { body.slice(..body.len() / 2) } else { body }
    }

    /// The way they go out.
    fn sent(&self, headers: &mut HeaderMap, body: Bytes) -> Body {
        let whole = body.len();
        let kept = self.truncated_to.map(|to| usize::try_from(to).unwrap_or(whole).min(whole));
        if kept.is_some() {
            headers.insert(header::CONTENT_LENGTH, whole.into());
        }
        if kept.is_none() && self.speed.is_none() {
            return body.into();
        }
        let kept = body.slice(..kept.unwrap_or(whole));
        let cut_off = kept.len() < whole;
        let (chunk, pause) = self.speed.map_or((kept.len(), TICK), pace);
        Body::from_stream(stream::unfold((kept, true), move |(mut rest, is_first)| async move {
            if rest.is_empty() && !cut_off {
                return None;
            }
            if !is_first {
                sleep(pause).await;
            }
            if rest.is_empty() {
                // Makes the server close the connection, which after the pause has sent the rest.
                return Some((Err(io::Error::other("injected fault")), (rest, false)));
            }
            let next = rest.split_to(chunk.min(rest.len()));
            Some((Ok(next), (rest, false)))
        }))
    }
}

/// The bytes of a chunk and the pause between two of them, for a speed in bytes per second.
fn pace(speed: u32) -> (usize, Duration) {
    let chunk = (speed / 10).max(1);
    (usize::try_from(chunk).unwrap_or(usize::MAX), Duration::from_secs(1) * chunk / speed.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_has_a_pause_between_two_chunks() {
        let started = tokio::time::Instant::now();
        let effects = BodyEffects { speed: Some(50), ..BodyEffects::default() };
        let response = effects.apply(Response::new(Body::from(r#"{"valid":true}"#))).await;
        to_bytes(response.into_body(), usize::MAX).await.unwrap();
        // The clock stands still but for pauses: three chunks of at most 5 bytes have two.
        assert_eq!(started.elapsed(), Duration::from_millis(200));
    }
}
