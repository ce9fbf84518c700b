//! The client: asks as kube-apiserver's aggregator passes on what the HPA controller asks.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use axum::body::{Body, to_bytes};
use hdrhistogram::Histogram;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::{
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;

use crate::pki::FrontProxy;

/// For whom the front proxy asks: the HPA controller.
pub(crate) const USER: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) enum Protocol {
    #[serde(rename = "HTTP/1.1")]
    Http1,
    #[serde(rename = "h2")]
    Http2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Json,
    Protobuf,
}

/// How a server is asked; one request at a time on each connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Case {
    pub(crate) protocol: Protocol,
    pub(crate) format: Format,
    pub(crate) connections: usize,
}

/// What came of it. Latencies in milliseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(crate) struct Figures {
    pub(crate) requests: f64,
    pub(crate) requests_per_second: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// The front proxy's certificate for each protocol.
#[derive(Clone)]
pub(crate) struct Identity {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Identity {
    pub(crate) fn new(front_proxy: &FrontProxy) -> anyhow::Result<Self> {
        let config = |protocol: &[u8]| {
            let provider = CryptoProvider::get_default().context("no crypto provider")?.clone();
            let mut config = ClientConfig::builder()
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(TrustAll(provider)))
                .with_client_auth_cert(
                    vec![front_proxy.certificate.clone()],
                    front_proxy.key.clone_key(),
                )?;
            config.alpn_protocols = vec![protocol.to_vec()];
            anyhow::Ok(Arc::new(config))
        };
        Ok(Self { http1: config(b"http/1.1")?, http2: config(b"h2")? })
    }
}

/// A server and what to ask of it.
pub(crate) struct Target {
    address: SocketAddr,
    identity: Identity,
    paths: Vec<[Uri; 2]>,
    headers: [HeaderMap; 2],
}

impl Target {
    pub(crate) fn new(
        address: SocketAddr,
        identity: Identity,
        paths: &[String],
    ) -> anyhow::Result<Self> {
        let uris = |path: &String| {
            let whole = format!("https://{address}{path}").parse::<Uri>()?;
            anyhow::Ok([path.parse::<Uri>()?, whole])
        };
        let paths = paths.iter().map(uris).collect::<Result<Vec<_>, _>>()?;
        let headers = |accept| headers(address, accept);
        let headers =
            [headers("application/json")?, headers("application/vnd.kubernetes.protobuf, */*")?];
        Ok(Self { address, identity, paths, headers })
    }

    pub(crate) fn paths(&self) -> usize {
        self.paths.len()
    }

    /// HTTP/1.1 has the host in a header, HTTP/2 in the address.
    pub(crate) fn request(&self, case: &Case, path: usize) -> Request<Body> {
        let [relative, whole] = &self.paths[path];
        let headers = &self.headers[usize::from(case.format == Format::Protobuf)];
        let mut request = Request::new(Body::empty());
        headers.clone_into(request.headers_mut());
        relative.clone_into(request.uri_mut());
        if case.protocol == Protocol::Http2 {
            request.headers_mut().remove(header::HOST);
            whole.clone_into(request.uri_mut());
        }
        request
    }
}

fn headers(address: SocketAddr, accept: &'static str) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::try_from(address.to_string())?);
    let fixed = [
        ("accept", accept),
        ("accept-encoding", "gzip"),
        (
            "user-agent",
            "kube-controller-manager/v1.37.2 (linux/amd64) kubernetes/0000000/horizontal-pod-autoscaler",
        ),
        ("audit-id", "0b2f7c1e-94ba-4c1e-8f0f-6f9f0c9b1c55"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-remote-user", USER),
        ("x-remote-uid", "3f8e5b0a-5f0e-4a3b-9a51-2b6a3f0f9b10"),
        ("x-remote-group", "system:serviceaccounts"),
        ("x-remote-group", "system:serviceaccounts:kube-system"),
        ("x-remote-group", "system:authenticated"),
    ];
    for (name, value) in fixed {
        headers.append(name, HeaderValue::from_static(value));
    }
    Ok(headers)
}

/// A connection over TLS with the front proxy's certificate.
pub(crate) enum Connection {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Connection {
    pub(crate) async fn open(target: &Target, protocol: Protocol) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        let config = match protocol {
            Protocol::Http1 => &target.identity.http1,
            Protocol::Http2 => &target.identity.http2,
        };
        let name = ServerName::IpAddress(target.address.ip().into());
        let io = TlsConnector::from(config.clone()).connect(name, stream).await?;
        Ok(match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(TokioIo::new(io)).await?;
                tokio::spawn(connection);
                Self::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await?;
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        })
    }

    /// Whether a request can be sent; not after the server has announced the end.
    async fn is_open(&mut self) -> bool {
        match self {
            Self::Http1(sender) => sender.ready().await.is_ok(),
            Self::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Asks and reads the whole answer, which must be a value.
    pub(crate) async fn ask(&mut self, request: Request<Body>) -> anyhow::Result<()> {
        let response = match self {
            Self::Http1(sender) => sender.send_request(request).await?,
            Self::Http2(sender) => sender.send_request(request).await?,
        };
        let status = response.status();
        let body = to_bytes(Body::new(response.into_body()), 1 << 20).await?;
        ensure!(status == StatusCode::OK && !body.is_empty(), "{status}: {}", body.escape_ascii());
        Ok(())
    }
}

/// Asks once for each path, so that what the server remembers of users and reviews is there.
pub(crate) async fn warm_up(target: &Target) -> anyhow::Result<()> {
    let case = Case { protocol: Protocol::Http2, format: Format::Protobuf, connections: 1 };
    let mut connection = Connection::open(target, case.protocol).await?;
    for path in 0..target.paths() {
        if !connection.is_open().await {
            connection = Connection::open(target, case.protocol).await?;
        }
        connection.ask(target.request(&case, path)).await?;
    }
    Ok(())
}

/// Asks for random metrics as fast as the answers come, for this long.
pub(crate) async fn measure(
    target: &Arc<Target>,
    case: Case,
    during: Duration,
) -> anyhow::Result<Figures> {
    let start = Arc::new(Barrier::new(case.connections));
    let mut connections = JoinSet::new();
    for _ in 0..case.connections {
        let (target, start) = (target.clone(), start.clone());
        connections.spawn(async move {
            let connection = Connection::open(&target, case.protocol).await?;
            start.wait().await;
            timeout(during * 10, one(&target, connection, case, during)).await?
        });
    }
    let mut all = histogram()?;
    while let Some(part) = connections.join_next().await {
        all.add(part??)?;
    }
    let milliseconds =
        |quantile| Duration::from_micros(all.value_at_quantile(quantile)).as_secs_f64() * 1e3;
    let (p50, p99) = (milliseconds(0.5), milliseconds(0.99));
    #[expect(clippy::cast_precision_loss, reason = "a count of requests, far below 2^52")]
    let requests = all.len() as f64;
    Ok(Figures { requests, requests_per_second: requests / during.as_secs_f64(), p50, p99 })
}

/// Microseconds, to three digits, up to a minute.
fn histogram() -> anyhow::Result<Histogram<u32>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

async fn one(
    target: &Target,
    mut connection: Connection,
    case: Case,
    during: Duration,
) -> anyhow::Result<Histogram<u32>> {
    let mut latencies = histogram()?;
    let end = Instant::now() + during;
    loop {
        let request = target.request(&case, fastrand::usize(..target.paths()));
        let started = Instant::now();
        // A server may end a connection between two requests, to spread clients over replicas.
        if !connection.is_open().await {
            connection = Connection::open(target, case.protocol).await?;
        }
        connection.ask(request).await?;
        let now = Instant::now();
        if now > end {
            return Ok(latencies);
        }
        latencies.saturating_record((now - started).as_micros().try_into()?);
    }
}

/// Servers here sign their certificates themselves.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
