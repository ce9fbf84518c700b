//! A recorder or a replay that runs in this process.

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

/// A server that runs in this process. It stops when this is dropped.
#[derive(Debug)]
pub struct Running {
    url: Url,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Running {
    /// Serves on `listener`, which is reached at `url`.
    pub(crate) fn start(listener: TcpListener, url: Url, router: Router) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
            if let Err(error) = serving.await {
                tracing::error!(%error, "server failed");
            }
        });
        Self { url, stop, server }
    }

    /// Its base address, such as `http://127.0.0.1:41234/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Stops; requests in flight are answered first.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "server task failed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
