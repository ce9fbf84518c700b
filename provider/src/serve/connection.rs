//! One connection, from its handshake to its end.

use std::{convert::Infallible, future::Future, net::SocketAddr, pin::pin, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, header::CONNECTION},
};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::graceful::GracefulConnection,
};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{
    api::peer::Peer,
    serve::{
        connections::{Busy, Place, Signals},
        limits::Limits,
        metrics::{Failure, Metrics},
    },
};

/// In the extensions of a response: the connection is to be closed after it. Go's servers do this
/// to anonymous requests over HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseConnection;

/// What all connections of a server share.
pub(super) struct Shared {
    pub acceptor: TlsAcceptor,
    pub router: Router,
    pub limits: Limits,
    pub metrics: Metrics,
    /// The server stops.
    pub drain: CancellationToken,
}

/// Serves `stream` until it ends or has to.
pub(super) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
) {
    let Some(stream) = shake_hands(&shared, stream, address, &place).await else { return };
    if !place.open() {
        shared.metrics.connection_closed("too many");
        return;
    }
    tokio::select! {
        biased;
        () = place.signals.kill.cancelled() => shared.metrics.connection_closed("evicted"),
        () = serve_open(&shared, stream, address, &place) => {}
    }
}

async fn shake_hands(
    shared: &Shared,
    stream: TcpStream,
    address: SocketAddr,
    place: &Place,
) -> Option<TlsStream<TcpStream>> {
    let metrics = &shared.metrics;
    let _under_way = metrics.handshake_begins();
    // Answers are small and should not wait for more.
    let _ = stream.set_nodelay(true);
    let handshake = timeout(shared.limits.handshake_time, shared.acceptor.accept(stream));
    let failure = tokio::select! {
        biased;
        () = place.signals.kill.cancelled() => Failure::Evicted,
        () = shared.drain.cancelled() => Failure::Failed,
        shaken = handshake => match shaken {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%address, %error, "TLS handshake failed");
                Failure::Failed
            }
            Err(_) => Failure::Timeout,
        },
    };
    metrics.handshake_failed(failure);
    None
}

async fn serve_open(
    shared: &Shared,
    stream: TlsStream<TcpStream>,
    mut address: SocketAddr,
    place: &Place,
) {
    // Over a socket for both, IPv4 comes as IPv6.
    address.set_ip(address.ip().to_canonical());
    let (_, session) = stream.get_ref();
    // A client that negotiates nothing speaks HTTP/1.1, as with Go's servers.
    let http2 = session.alpn_protocol() == Some(b"h2");
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
    let born = Instant::now();
    let connection = Connection {
        shared,
        signals: &place.signals,
        // All that came at once should not go at once.
        old: born + shared.limits.age.mul_f64(0.9 + 0.2 * fastrand::f64()),
        peer: Arc::new(Peer::new(address, chain)),
    };
    let _open = shared.metrics.connection_opens(http2);
    if http2 {
        connection.serve_http2(stream).await;
    } else {
        connection.serve_http1(stream).await;
    }
}

struct Connection<'a> {
    shared: &'a Shared,
    signals: &'a Arc<Signals>,
    /// When it has served for long enough.
    old: Instant,
    peer: Arc<Peer>,
}

impl Connection<'_> {
    async fn serve_http1(self, stream: TlsStream<TcpStream>) {
        let limits = &self.shared.limits;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_headers(limits.headers)
            .max_header_size(limits.header_bytes as usize)
            .max_buf_size((limits.header_bytes as usize).max(8192));
        // By a header in the next answer: to close it in between would lose a request that is on
        // its way.
        let old = self.old;
        let service = service_fn(|request| {
            let answer = self.answer(request);
            async move {
                let mut response = answer.await?;
                let close = response.extensions_mut().remove::<CloseConnection>().is_some();
                if close || old <= Instant::now() {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        self.drive(connection, std::future::pending()).await;
    }

    async fn serve_http2(self, stream: TlsStream<TcpStream>) {
        let limits = &self.shared.limits;
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.header_bytes)
            .max_pending_accept_reset_streams(limits.pending_resets)
            .max_local_error_reset_streams(limits.error_resets)
            .keep_alive_interval(limits.ping)
            .keep_alive_timeout(limits.ping_time);
        let close = self.signals.close.clone();
        let service = service_fn(|request| {
            let (answer, close) = (self.answer(request), close.clone());
            async move {
                let mut response = answer.await?;
                if response.extensions_mut().remove::<CloseConnection>().is_some() {
                    close.cancel();
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        self.drive(connection, sleep_until(self.old)).await;
    }

    fn answer(
        &self,
        mut request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static {
        let busy = Busy::new(self.signals.clone());
        request.extensions_mut().insert(self.peer.clone());
        let answer = self.shared.router.clone().call(request);
        async move {
            let answer = answer.await;
            drop(busy);
            answer
        }
    }

    /// Serves until something ends it: then takes no more requests, and leaves once the last one
    /// has its answer, or the client is not there to read it.
    async fn drive<C: GracefulConnection>(&self, connection: C, old: impl Future<Output = ()>) {
        let Limits { idle, linger, .. } = self.shared.limits;
        let mut connection = pin!(connection);
        let reason = tokio::select! {
            _ = connection.as_mut() => return,
            () = self.shared.drain.cancelled() => "shutdown",
            () = self.signals.close.cancelled() => "told",
            () = old => "age",
            () = self.signals.activity.idle_for(idle) => "idle",
        };
        self.shared.metrics.connection_closed(reason);
        connection.as_mut().graceful_shutdown();
        let closing = Instant::now();
        tokio::select! {
            _ = connection.as_mut() => {}
            () = async {
                sleep_until(closing + linger).await;
                self.signals.activity.idle_for(linger).await;
            } => {}
        }
    }
}
