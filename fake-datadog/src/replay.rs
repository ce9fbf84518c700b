//! Serves recorded exchanges again, in place of Datadog.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let replay = fake_datadog::replay::Replay::load("exchanges.jsonl".as_ref())?.start().await?;
//! // Ask `replay.url()` what was asked when it was recorded.
//! # Ok(())
//! # }
//! ```
//!
//! A request is answered as one with the same method, path and parameters was. Of `from` and `to`
//! only the distance between them matters, and the times in the answer are moved into the window
//! asked for. Repeated requests get the recorded answers in order; the last one repeats. Keys are
//! not looked at. What was not recorded gets 404 and the list of what was.

mod asked;
mod json;
mod shift;

use std::{
    collections::BTreeMap,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router, body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    exchange::{self, Exchange, RecordingError, Running},
    replay::asked::Asked,
    server::{self, StartError},
};

/// Largest body of a request, in bytes.
const MAX_BODY: usize = 64 << 20;

/// Most recorded requests that a 404 lists.
const MAX_LISTED: usize = 50;

/// Options of `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `record` wrote.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Match `from` and `to` as they were recorded, and leave the times in answers alone.
    #[arg(long, env = "FAKE_DATADOG_EXACT")]
    pub exact: bool,

    /// Address to listen on; port 0 picks a free one.
    #[arg(
        long,
        env = "FAKE_DATADOG_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8126"
    )]
    pub listen: SocketAddr,
}

/// A recording to be served. [`Replay::start`] lets it run.
#[derive(Debug)]
pub struct Replay {
    exchanges: Vec<Exchange>,
    exact: bool,
    listen: SocketAddr,
}

/// What the handler works with.
#[derive(Debug)]
struct Tape {
    exact: bool,
    /// The recorded answers to each request, and the number of the next one.
    tracks: Mutex<BTreeMap<Asked, Track>>,
}

#[derive(Debug, Default)]
struct Track {
    exchanges: Vec<Arc<Exchange>>,
    next: usize,
}

/// Replays until `stop`.
pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let Args { file, exact, listen } = args;
    let replay = Replay::load(&file)?.exact(exact).listen(listen);
    let exchanges = replay.exchanges.len();
    let running = replay.start().await?;
    let address = running.url().as_str().trim_end_matches('/');
    writeln!(io::stdout(), "fake-datadog listening on {address}")?;
    tracing::info!(exchanges, "replaying");
    stop.cancelled().await;
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

impl Replay {
    /// Reads the recording at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is no recording.
    pub fn load(path: &Path) -> Result<Self, RecordingError> {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Ok(Self { exchanges: exchange::read(path)?, exact: false, listen })
    }

    /// Matches `from` and `to` as they were recorded, and leaves the times in answers alone.
    #[must_use]
    pub fn exact(self, exact: bool) -> Self {
        Self { exact, ..self }
    }

    /// Listens there; port 0 picks a free one.
    #[must_use]
    pub fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// Lets it run; it listens when this returns.
    ///
    /// # Errors
    ///
    /// When the address is taken.
    pub async fn start(self) -> Result<Running, StartError> {
        let Self { exchanges, exact, listen } = self;
        let mut tracks: BTreeMap<Asked, Track> = BTreeMap::new();
        for exchange in exchanges {
            let asked = Asked::of(&exchange.request, exact);
            tracks.entry(asked).or_default().exchanges.push(Arc::new(exchange));
        }
        let tape = Arc::new(Tape { exact, tracks: Mutex::new(tracks) });
        let (listener, url) = server::bind(listen).await?;
        let router = Router::new().fallback(answer).with_state(tape);
        Ok(Running::start(listener, url, router))
    }
}

async fn answer(State(tape): State<Arc<Tape>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = body::to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = asked::request(&parts.method, &parts.uri, &body);
    let asked = Asked::of(&request, tape.exact);
    match tape.next(&asked) {
        Ok(exchange) => recorded(&exchange, &request, tape.exact),
        Err(list) => {
            tracing::info!(%asked, "not recorded");
            let error = format!("fake-datadog replay: not recorded: {asked}");
            let body = json!({ "errors": [error], "recorded": list });
            (StatusCode::NOT_FOUND, Json(body)).into_response()
        }
    }
}

/// A recorded answer, for the window of `request`.
fn recorded(exchange: &Exchange, request: &exchange::Request, exact: bool) -> Response {
    let recorded = &exchange.response;
    let text = recorded.body.as_ref().map(exchange::Body::text).unwrap_or_default();
    let moved = if exact { None } else { shift::moved(&exchange.request, request, text) };
    let mut response = moved.unwrap_or_else(|| text.to_owned()).into_response();
    *response.status_mut() =
        StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().clear();
    for (name, value) in &recorded.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

impl Tape {
    /// The next answer to a request, or the list of what there is.
    fn next(&self, asked: &Asked) -> Result<Arc<Exchange>, Vec<String>> {
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        let next = tracks.get_mut(asked).and_then(|track| {
            let last = track.exchanges.len().checked_sub(1)?;
            let exchange = track.exchanges.get(track.next.min(last)).cloned();
            track.next = track.next.saturating_add(1);
            exchange
        });
        next.ok_or_else(|| tracks.keys().take(MAX_LISTED).map(ToString::to_string).collect())
    }
}
