//! Serves a router over TLS until it is told to stop.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use rustls::ServerConfig;
use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::serve::{
    connection::Shared, connections::Connections, limits::Limits, metrics::Metrics,
};

pub mod ca;
pub mod client_certs;
pub mod connection;
mod connections;
pub mod guard;
pub mod limits;
pub mod metrics;
pub mod tls;

/// Time until the next try where no connection can be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Why the port cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}, choose another port with {remedy}")]
pub struct BindError {
    address: SocketAddr,
    remedy: &'static str,
    source: io::Error,
}

/// Listens on `address` and `port`; without an address on all of them, IPv6 and IPv4 where the
/// system has both. `remedy` names the setting that chooses the port.
pub fn bind(
    address: Option<IpAddr>,
    port: u16,
    remedy: &'static str,
) -> Result<TcpListener, BindError> {
    let all = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    let candidates: &[IpAddr] = address.as_ref().map_or(&all, std::slice::from_ref);
    let mut refused = None;
    for ip in candidates {
        let address = SocketAddr::new(*ip, port);
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(source) => refused = Some(BindError { address, remedy, source }),
        }
    }
    Err(refused.unwrap_or(BindError {
        address: SocketAddr::new(all[1], port),
        remedy,
        source: io::ErrorKind::AddrNotAvailable.into(),
    }))
}

/// A server that is yet to run.
#[derive(Debug, Default)]
pub struct Server {
    /// Its bounds.
    pub limits: Limits,
    /// What it counts.
    pub metrics: Metrics,
    /// How long it serves on once it is told to stop: until no client is sent here any more.
    pub shutdown_delay: Duration,
}

impl Server {
    /// Serves `router` on `listener`. Once `stopping` is cancelled it goes on for the shutdown
    /// delay; then takes no new connections, tells those that there are to end, and gives the
    /// requests under way [`Limits::drain`].
    pub async fn run(
        self,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        router: Router,
        stopping: CancellationToken,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let connections = Connections::new(self.limits.handshakes, self.limits.connections);
        let shared = Arc::new(Shared {
            acceptor: tls.into(),
            router,
            limits: self.limits,
            metrics: self.metrics,
            drain: CancellationToken::new(),
        });
        let mut tasks = JoinSet::new();
        let serve = |(stream, address)| {
            let place = connections.arrive();
            tasks.spawn(connection::serve(shared.clone(), stream, address, place));
            while let Some(ended) = tasks.try_join_next() {
                tell(&ended);
            }
        };
        let stop = async {
            stopping.cancelled().await;
            sleep(self.shutdown_delay).await;
        };
        tokio::select! {
            () = stop => {}
            () = accept(|| listener.accept(), serve, || connections.make_room()) => {}
        }
        drop(listener);
        shared.drain.cancel();
        let drained = async {
            while let Some(ended) = tasks.join_next().await {
                tell(&ended);
            }
        };
        if timeout(shared.limits.drain, drained).await.is_err() {
            tracing::warn!("requests were still under way, the server stops without them");
        }
        tasks.shutdown().await;
        Ok(())
    }
}

/// Hands on whoever connects, for ever. An error that is one connection's is nobody's else; where
/// the process has run out of something, files above all, it makes room and tries again.
async fn accept<S, F: Future<Output = io::Result<S>>>(
    next: impl Fn() -> F,
    mut serve: impl FnMut(S),
    make_room: impl Fn(),
) {
    let mut failing = false;
    loop {
        match next().await {
            Ok(accepted) => {
                failing = false;
                serve(accepted);
            }
            Err(error) if is_of_one_connection(error.kind()) => {}
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "connections cannot be accepted, trying again");
                }
                make_room();
                sleep(ACCEPT_AGAIN).await;
            }
        }
    }
}

fn is_of_one_connection(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// A panic ends its connection, not the server.
fn tell(ended: &Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a panic");
    }
}

#[cfg(test)]
mod tests;
