//! Serves a router over TLS until it is told to stop.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

use axum::Router;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use tokio_util::sync::CancellationToken;

pub mod ca;
pub mod tls;

/// How long requests under way may take to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

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

/// Serves `router` on `listener` until `stop`; then takes no new connections and gives those under
/// way ten seconds. Each handshake runs in a task of its own under a time limit, so that a client
/// that says nothing holds up nobody.
pub async fn run(
    listener: TcpListener,
    tls: RustlsConfig,
    router: Router,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle = Handle::new();
    let server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
    let mut serving = std::pin::pin!(server.serve(router.into_make_service()));
    tokio::select! {
        ended = &mut serving => return ended,
        () = stop.cancelled() => handle.graceful_shutdown(Some(DRAIN)),
    }
    serving.await
}
