//! Bodies on their way through: what is kept of them, while they pass unchanged.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

/// Most bytes kept of one body.
pub(crate) const MAX_KEPT: usize = 64 << 10;

/// What is kept of the body of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// The first bytes.
    pub(crate) head: Vec<u8>,
    /// Bytes that have been read so far.
    pub(crate) length: Arc<AtomicU64>,
}

/// What is kept of the body of an answer; filled while it is sent.
#[derive(Debug, Default)]
pub(crate) struct Sent(Mutex<SentState>);

#[derive(Debug, Default)]
struct SentState {
    /// The first chunk, which mostly is all.
    first: Bytes,
    /// Bytes of the chunks after it, together with it at most [`MAX_KEPT`].
    rest: Vec<u8>,
    length: u64,
}

/// Reads the head of a request's body, so that it is known even when nobody wants the body.
/// Returns a body that brings the same.
pub(crate) async fn peek(mut body: Body) -> (Received, Body) {
    let mut received = Received::default();
    if body.is_end_stream() {
        return (received, body);
    }
    let mut frames = VecDeque::new();
    while received.head.len() < MAX_KEPT {
        let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        else {
            break;
        };
        // Copied: a slice of hyper's buffer would keep all of that buffer in memory.
        if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref) {
            let room = MAX_KEPT - received.head.len();
            received.head.extend_from_slice(&data[..data.len().min(room)]);
        }
        let failed = frame.is_err();
        frames.push_back(frame);
        if failed {
            break;
        }
    }
    let body = Peeked { frames, rest: body, length: Arc::clone(&received.length) };
    // Counted here already: the handler need not read it.
    let in_frames = body.frames.iter().map(frame_len).sum();
    received.length.store(in_frames, Ordering::Relaxed);
    (received, Body::new(body))
}

/// Passes the body of an answer on and keeps its head.
pub(crate) fn tap(body: Body) -> (Arc<Sent>, Body) {
    let sent = Arc::new(Sent::default());
    let tapped = Tapped { body, sent: Arc::clone(&sent) };
    (sent, Body::new(tapped))
}

fn frame_len(frame: &Result<Frame<Bytes>, axum::Error>) -> u64 {
    let data = frame.as_ref().ok().and_then(Frame::data_ref);
    data.map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}

// === impl Received ===

impl Received {
    /// Bytes that have been read so far.
    pub(crate) fn length(&self) -> u64 {
        self.length.load(Ordering::Relaxed)
    }
}

// === impl Sent ===

impl Sent {
    /// The first bytes, and how many there were in all so far.
    pub(crate) fn head(&self) -> (Vec<u8>, u64) {
        let state = self.lock();
        ([&state.first[..], &state.rest[..]].concat(), state.length)
    }

    fn add(&self, data: &Bytes) {
        let mut state = self.lock();
        if state.length == 0 && data.len() <= MAX_KEPT {
            state.first = data.clone();
        } else {
            let room = MAX_KEPT.saturating_sub(state.first.len() + state.rest.len());
            state.rest.extend_from_slice(&data[..data.len().min(room)]);
        }
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        state.length = state.length.saturating_add(length);
    }

    fn lock(&self) -> MutexGuard<'_, SentState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body whose first frames have been read.
struct Peeked {
    frames: VecDeque<Result<Frame<Bytes>, axum::Error>>,
    rest: Body,
    length: Arc<AtomicU64>,
}

impl HttpBody for Peeked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(frame) = self.frames.pop_front() {
            return Poll::Ready(Some(frame));
        }
        let polled = Pin::new(&mut self.rest).poll_frame(cx);
        if let Poll::Ready(Some(frame)) = &polled {
            self.length.fetch_add(frame_len(frame), Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.frames.iter().map(frame_len).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

/// A body that is looked at while it is sent.
struct Tapped {
    body: Body,
    sent: Arc<Sent>,
}

impl HttpBody for Tapped {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.sent.add(data);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;

    use super::*;

    fn chunks(chunks: &[usize]) -> Body {
        let chunks: Vec<_> = chunks
            .iter()
            .map(|length| Ok::<_, axum::Error>(Bytes::from(vec![b'x'; *length])))
            .collect();
        Body::from_stream(futures::stream::iter(chunks))
    }

    #[tokio::test]
    async fn a_request_passes_whole_and_its_head_is_kept() {
        let (received, body) = peek(chunks(&[10, MAX_KEPT, 10])).await;
        assert_eq!(received.head.len(), MAX_KEPT);
        assert_eq!(to_bytes(body, usize::MAX).await.unwrap().len(), MAX_KEPT + 20);
        assert_eq!(received.length(), u64::try_from(MAX_KEPT + 20).unwrap());
    }

    #[tokio::test]
    async fn the_length_of_a_body_is_told_on() {
        let (received, body) = peek(Body::from("abc")).await;
        assert_eq!((&received.head[..], received.length()), (&b"abc"[..], 3));
        assert_eq!(body.size_hint().exact(), Some(3));
        let (_, body) = tap(Body::from("abc"));
        assert_eq!(body.size_hint().exact(), Some(3));
        assert!(peek(Body::empty()).await.1.is_end_stream());
    }

    #[tokio::test]
    async fn a_request_that_breaks_off_breaks_off_for_the_handler() {
        let broken = [Ok(Bytes::from("ab")), Err(axum::Error::new("gone"))];
        let (received, body) = peek(Body::from_stream(futures::stream::iter(broken))).await;
        assert_eq!(received.head, b"ab");
        assert!(to_bytes(body, usize::MAX).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_passes_whole_and_its_head_is_kept() {
        let (sent, body) = tap(chunks(&[10, MAX_KEPT, 10]));
        assert_eq!(to_bytes(body, usize::MAX).await.unwrap().len(), MAX_KEPT + 20);
        let (head, length) = sent.head();
        assert_eq!((head.len(), length), (MAX_KEPT, u64::try_from(MAX_KEPT + 20).unwrap()));

        let (sent, body) = tap(chunks(&[MAX_KEPT + 1]));
        to_bytes(body, usize::MAX).await.unwrap();
        assert_eq!(sent.head().0.len(), MAX_KEPT);
    }
}
