//! Over HTTP into a file, with its SHA-256 compared on the way.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _};

use crate::assets::{error::chain, release::Digest, sum, ui::Ui};

/// A machine without a network often drops packets silently; do not wait for the kernel's minutes.
const CONNECT: Duration = Duration::from_secs(5);
/// Without a single byte for this long, the download is given up.
const STALL: Duration = Duration::from_secs(30);

/// Why a file is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("cannot set up the HTTP client: {}", chain(.0))]
    Client(#[source] reqwest::Error),
    #[error("cannot reach {url}: {}", chain(source))]
    Unreachable { url: String, source: reqwest::Error },
    #[error("{url} answers {status}")]
    Status { url: String, status: StatusCode },
    #[error("{url} broke off after {got} bytes: {}", chain(source))]
    Interrupted { url: String, got: u64, source: reqwest::Error },
    #[error("{url} holds no SHA-256 of the file")]
    NoDigest { url: String },
    #[error("{url} has SHA-256 {got}, published is {wanted}")]
    WrongDigest { url: String, wanted: String, got: String },
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl FetchError {
    /// Whether the host did not even answer, so that its other files need not be tried.
    pub(crate) const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Client(_) | Self::Unreachable { .. })
    }
}

/// Needs rustls's default crypto provider installed, as every reqwest client here.
pub(crate) fn client() -> Result<Client, FetchError> {
    Client::builder()
        // GitHub's API refuses requests without one.
        .user_agent(concat!("datadog-external-metrics-e2e/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(STALL)
        .build()
        .map_err(FetchError::Client)
}

/// The published SHA-256, in lower-case hex.
pub(crate) async fn digest(client: &Client, digest: &Digest) -> Result<String, FetchError> {
    let url = digest.url();
    let document = get(client, url).await?.text().await.map_err(|source| {
        FetchError::Interrupted { url: url.to_owned(), got: 0, source: source.without_url() }
    })?;
    digest.read(&document).ok_or_else(|| FetchError::NoDigest { url: url.to_owned() })
}

/// Writes what is at `url` to `path` and returns its length, or fails when its SHA-256 is
/// not `wanted`; what is at `path` is then worthless.
pub(crate) async fn file(
    client: &Client,
    url: &str,
    wanted: &str,
    path: &Path,
    ui: &Ui<'_>,
) -> Result<u64, FetchError> {
    let write = |source| FetchError::Write { path: path.to_owned(), source };
    let mut response = get(client, url).await?;
    let name = url.rsplit('/').next().unwrap_or(url).to_owned();
    let bar = ui.bytes(name, response.content_length());
    let mut file = File::create(path).await.map_err(write)?;
    let mut hash = Sha256::new();
    let mut got = 0;
    loop {
        let chunk = response.chunk().await.map_err(|source| FetchError::Interrupted {
            url: url.to_owned(),
            got,
            source: source.without_url(),
        })?;
        let Some(chunk) = chunk else { break };
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(write)?;
        got += chunk.len() as u64;
        bar.advance(chunk.len() as u64);
    }
    file.flush().await.map_err(write)?;
    // Closed before it can be run: a file open for writing cannot be.
    drop(file.into_std().await);

    let digest = sum::hex(&hash.finalize());
    if digest == wanted {
        Ok(got)
    } else {
        Err(FetchError::WrongDigest { url: url.to_owned(), wanted: wanted.to_owned(), got: digest })
    }
}

async fn get(client: &Client, url: &str) -> Result<Response, FetchError> {
    let sent = client.get(url).send().await;
    let response = sent.map_err(|source| FetchError::Unreachable {
        url: url.to_owned(),
        source: source.without_url(),
    })?;
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(FetchError::Status { url: url.to_owned(), status }),
    }
}
