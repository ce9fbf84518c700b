//! Records exchanges with a real Datadog: a proxy that writes down what goes through it.
//!
//! ```no_run
//! use fake_datadog::record::Recording;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let upstream = "https://api.datadoghq.com".parse()?;
//! let recording = Recording::of(upstream, "exchanges.jsonl".as_ref())?.start().await?;
//! // Point a client with its own keys at `recording.url()`, then:
//! recording.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The keys go to Datadog and nowhere else: see [`crate::exchange`] for what is in the file.

mod pass;
mod scrub;

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    exchange::{self, Exchange, RecordingError, Running},
    server::{self, StartError},
};

pub(crate) use crate::record::scrub::{Scrubber, is_secret};

/// Longest wait for a connection to the upstream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest wait for an answer of the upstream.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Options of `record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Datadog's address, such as `https://api.datadoghq.com`.
    #[arg(long, env = "FAKE_DATADOG_UPSTREAM", value_name = "URL")]
    pub upstream: Url,

    /// File to add the exchanges to; in a folder, a new one is begun.
    #[arg(long, env = "FAKE_DATADOG_OUT", value_name = "FILE")]
    pub out: PathBuf,

    /// Address to listen on; port 0 picks a free one.
    #[arg(
        long,
        env = "FAKE_DATADOG_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8126"
    )]
    pub listen: SocketAddr,
}

/// A recorder to be. [`Recording::start`] lets it run.
#[derive(Debug)]
pub struct Recording {
    proxy: Proxy,
    listen: SocketAddr,
    path: PathBuf,
}

/// Why nothing can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file.
    #[error(transparent)]
    File(#[from] RecordingError),
    /// The address of Datadog.
    #[error("upstream `{0}` must be an address such as `https://api.datadoghq.com`")]
    Upstream(Url),
    /// No HTTP client can be made.
    #[error("cannot set up an HTTP client: {0}")]
    Client(#[source] reqwest::Error),
}

/// What the handler works with.
#[derive(Debug)]
struct Proxy {
    http: reqwest::Client,
    upstream: Url,
    scrubber: Mutex<Scrubber>,
    /// A std mutex: it is held for one write and never across an `.await`.
    file: Mutex<File>,
}

/// Records until `stop`.
pub(crate) async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let Args { upstream, out, listen } = args;
    let recording = Recording::of(upstream, &out)?.listen(listen);
    let path = recording.path.display().to_string();
    let running = recording.start().await?;
    let address = running.url().as_str().trim_end_matches('/');
    writeln!(io::stdout(), "fake-datadog listening on {address}")?;
    tracing::info!(path, "recording");
    stop.cancelled().await;
    running.stop().await;
    tracing::info!("stopped");
    Ok(())
}

impl Recording {
    /// Records what is asked of `upstream` into the file `out`, or a new file in the folder `out`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written or is something else than a recording.
    pub fn of(upstream: Url, out: &Path) -> Result<Self, RecordError> {
        if !matches!(upstream.scheme(), "http" | "https") || upstream.host().is_none() {
            return Err(RecordError::Upstream(upstream));
        }
        let path = if out.is_dir() {
            let name = Timestamp::now().strftime("exchanges-%Y%m%dT%H%M%SZ.jsonl");
            out.join(name.to_string())
        } else {
            out.to_owned()
        };
        let file = open(&path, &upstream)?;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd();
        let on_this_machine =
            upstream.host_str().is_some_and(|it| it == "localhost" || it == "127.0.0.1");
        let http = if on_this_machine { http.no_proxy() } else { http };
        let http = http.build().map_err(RecordError::Client)?;
        let (scrubber, file) = (Mutex::default(), Mutex::new(file));
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Ok(Self { proxy: Proxy { http, upstream, scrubber, file }, listen, path })
    }

    /// Listens there; port 0 picks a free one.
    #[must_use]
    pub fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// The file that it writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lets it run; it listens when this returns. Each exchange is in the file before its client
    /// has the answer.
    ///
    /// # Errors
    ///
    /// When the address is taken.
    pub async fn start(self) -> Result<Running, StartError> {
        let (listener, url) = server::bind(self.listen).await?;
        Ok(Running::start(listener, url, pass::router(Arc::new(self.proxy))))
    }
}

impl Proxy {
    /// Adds an exchange to the file: one write, so that a line is there or not.
    fn write(&self, exchange: &Exchange) -> io::Result<()> {
        let line = exchange::line(exchange);
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }
}

/// Opens a recording to go on with, or begins it.
fn open(path: &Path, upstream: &Url) -> Result<File, RecordingError> {
    let failed = |source| RecordingError::File { path: path.to_owned(), source };
    let mut file =
        OpenOptions::new().create(true).read(true).append(true).open(path).map_err(failed)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    if text.is_empty() {
        file.write_all(exchange::header(upstream.as_str()).as_bytes()).map_err(failed)?;
    } else {
        exchange::parse(path, &text)?;
        // Cut off what a killed writer left of its last line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(u64::try_from(whole).unwrap_or(u64::MAX)).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
    }
    Ok(file)
}
