//! Takes connections on one or more ports until it is told to stop.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    server::{StartError, connection, tls::Identity},
    state::Shared,
};

/// How long requests in flight may take after the stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Pause after a failure to accept that has nothing to do with one connection, such as too many
/// open files.
const ACCEPT_AGAIN: Duration = Duration::from_secs(1);

/// What a port speaks, once there is a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// HTTP alone.
    Http,
    /// HTTPS alone.
    Https,
    /// Either, told apart by the first byte.
    Either,
}

/// A port that is listened on.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    /// Where it can be reached by HTTP.
    url: Url,
    scheme: Scheme,
}

/// What every connection gets.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) shared: Shared,
    pub(crate) tls: Option<Identity>,
    pub(crate) stop: CancellationToken,
}

// === impl Listener ===

impl Listener {
    /// Listens on `listen`; port 0 picks a free one.
    pub(crate) async fn bind(listen: SocketAddr, scheme: Scheme) -> Result<Self, StartError> {
        let (tcp, url) = bind(listen).await?;
        Ok(Self { tcp, url, scheme })
    }

    /// The address under which it can be reached.
    pub(crate) fn url(&self, scheme: &str) -> Url {
        let mut url = self.url.clone();
        // Between schemes of the web, which these are, a change cannot fail.
        let _ = url.set_scheme(scheme);
        url
    }

    /// The next connection. Failures of single connections are passed over.
    async fn accept(&self) -> (TcpStream, Scheme) {
        loop {
            match self.tcp.accept().await {
                Ok((stream, _)) => return (stream, self.scheme),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

/// Listens on `listen` and says under which address that can be reached.
pub(crate) async fn bind(listen: SocketAddr) -> Result<(TcpListener, Url), StartError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { listen },
        _ => StartError::Listen { listen, source },
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let url = Url::parse(&format!("http://{address}"))
        .map_err(|error| failed(io::Error::other(error)))?;
    Ok((listener, url))
}

/// Serves until the service's stop; requests in flight get 5 s more.
pub(crate) async fn run(listeners: Vec<Listener>, service: Service) {
    let mut connections = JoinSet::new();
    loop {
        let next = futures::future::select_all(
            listeners.iter().map(|listener| Box::pin(listener.accept())),
        );
        tokio::select! {
            ((stream, scheme), ..) = next => {
                connections.spawn(connection::serve(stream, scheme, service.clone()));
            }
            Some(ended) = connections.join_next() => log(ended),
            () = service.stop.cancelled() => break,
        }
    }
    // The ports are free from here on.
    drop(listeners);
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            log(ended);
        }
    };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!(after = ?DRAIN, "requests in flight were cut off");
    }
}

fn log(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "connection task failed");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
