//! One connection, from the first byte to the last.

use std::{convert::Infallible, future, io, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::{
    control::Handshake,
    server::{
        listen::{Scheme, Service},
        socket::{Connection, Socket},
    },
};

/// How long a client may take for its TLS handshake, once it has begun.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// First byte of a TLS connection: a record of type `handshake` (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// The fatal alert `handshake_failure` in a record of TLS 1.2 (RFC 8446, 5.1 and 6).
const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

/// Serves one connection until the client or the stop ends it.
pub(crate) async fn serve(stream: TcpStream, scheme: Scheme, service: Service) {
    if let Err(error) = stream.set_nodelay(true) {
        // Small answers would wait for more to send.
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    if let Err(error) = try_serve(stream, scheme, service).await {
        tracing::debug!(error, "connection failed");
    }
}

async fn try_serve(stream: TcpStream, scheme: Scheme, service: Service) -> Result<(), String> {
    let Some(identity) = service.tls.clone() else { return plain(stream, service).await };
    let is_tls = match scheme {
        Scheme::Http => false,
        Scheme::Https => true,
        Scheme::Either => begins_with_tls(&stream, &service).await?,
    };
    if !is_tls {
        return plain(stream, service).await;
    }
    if let Some(failure) = service.shared.handshake(Timestamp::now()) {
        return fail(stream, failure).await.map_err(|error| error.to_string());
    }
    let connection = Connection::default();
    let socket = Socket::new(stream, connection.clone());
    let handshake = TlsAcceptor::from(identity.config).accept(socket);
    let tls = tokio::select! {
        tls = tokio::time::timeout(HANDSHAKE, handshake) => tls,
        () = service.stop.cancelled() => return Ok(()),
    };
    let tls = tls.map_err(|_| "no TLS handshake in time".to_owned())?;
    http(tls.map_err(|error| error.to_string())?, connection, service).await
}

async fn begins_with_tls(stream: &TcpStream, service: &Service) -> Result<bool, String> {
    let mut first = [0];
    let peeked = tokio::select! {
        peeked = stream.peek(&mut first) => peeked,
        () = service.stop.cancelled() => return Err("stopped before the first byte".to_owned()),
    };
    peeked.map(|_| first == [TLS_HANDSHAKE]).map_err(|error| error.to_string())
}

/// Lets a handshake fail, once the client has begun it.
async fn fail(mut stream: TcpStream, failure: Handshake) -> io::Result<()> {
    // What is left unread makes the kernel send a reset, which overtakes the alert.
    let mut hello = vec![0; 16 * 1024];
    let _ = tokio::time::timeout(HANDSHAKE, stream.read(&mut hello)).await;
    if failure == Handshake::Alert {
        stream.write_all(&HANDSHAKE_FAILURE).await?;
    }
    stream.shutdown().await
}

async fn plain(stream: TcpStream, service: Service) -> Result<(), String> {
    let connection = Connection::default();
    http(Socket::new(stream, connection.clone()), connection, service).await
}

async fn http<I>(io: I, connection: Connection, service: Service) -> Result<(), String>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Service { router, stop, .. } = service;
    let handler = {
        let connection = connection.clone();
        service_fn(move |request| answer(router.clone(), connection.clone(), request))
    };
    let builder = Builder::new(TokioExecutor::new());
    let mut serving = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), handler));
    tokio::select! {
        ended = serving.as_mut() => return ended.map_err(|error| error.to_string()),
        () = connection.closed() => return Ok(()),
        () = stop.cancelled() => {}
    }
    serving.as_mut().graceful_shutdown();
    tokio::select! {
        ended = serving => ended.map_err(|error| error.to_string()),
        () = connection.closed() => Ok(()),
    }
}

async fn answer(
    router: Router,
    connection: Connection,
    request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(connection.clone());
    let response = router.oneshot(request).await;
    if connection.is_closed() {
        // The answer must not get out before the connection is gone.
        future::pending::<()>().await;
    }
    response
}
