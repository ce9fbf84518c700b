//! The server over TLS on loopback, with the real router: what hostile clients can do to it, and
//! what they can do to a good one beside them.
//!
//! What is bounded is read from the server's own gauges. Short limits stand for the long ones, so
//! that nothing here takes longer than the server needs; deadlines are wide.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use provider::{
    api::{self, health::Readiness},
    demand::{Autoscaler, Builder, Kind, MetricKey, Source},
    query::{Ask, Overrides, Query},
    sample::Sample,
    serve::{Server, guard::Guard, limits::Limits, metrics::Metrics},
    store::{Entry, Outcome, Snapshot},
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

#[path = "serving/ending.rs"]
mod ending;
#[path = "serving/floods.rs"]
mod floods;
#[path = "serving/malformed.rs"]
mod malformed;
#[path = "serving/slow.rs"]
mod slow;

const METRIC: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue.depth";
const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A server that runs, and what is needed to talk to it.
struct Served {
    address: SocketAddr,
    root: RootCertStore,
    metrics: Metrics,
    stopping: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
    _store: watch::Sender<Arc<Snapshot>>,
}

/// A long time, for what takes none unless something is wrong.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("not within a minute")
}

/// One metric, with a sample and a selector of this text.
fn snapshot(selector: &str) -> Snapshot {
    let selector = api::selector::parse(selector).unwrap();
    let key = MetricKey::new("default", "queue.depth", selector);
    let by = Autoscaler {
        kind: Kind::Hpa,
        namespace: "default".into(),
        name: "hpa".into(),
        uid: "uid".into(),
        created: None,
    };
    let mut demand = Builder::default();
    demand.add(key, "queue.depth".to_owned(), Source::Selector, Overrides::default(), by);
    let now = Timestamp::now();
    let entry = Entry {
        ask: Ok(Ask { window: Duration::from_secs(300), query: Query::new("avg:queue.depth{*}") }),
        rollup: Some(Duration::from_secs(30)),
        age_limit: Duration::from_secs(3600),
        fallback: None,
        since: Timestamp::UNIX_EPOCH,
        sample: Some(Sample { value: 7.0, at: now }),
        last: Some((now, Outcome::Sampled)),
        last_error: None,
    };
    Snapshot::new(Arc::new(demand.build()), &[Arc::new(entry)])
}

impl Served {
    /// The real router, with one metric without a selector.
    fn start(limits: Limits) -> Self {
        Self::start_with(limits, "")
    }

    fn start_with(limits: Limits, selector: &str) -> Self {
        let server = Server { limits, ..Server::default() };
        let (store, receiver) = watch::channel(Arc::new(snapshot(selector)));
        let stopping = CancellationToken::new();
        let router = api::router(
            Some(api::Config { store: receiver }),
            Readiness::new(stopping.clone()),
            Arc::default(),
            Guard::new(&server.limits),
        );
        Self::run(server, router, stopping, store)
    }

    /// Another router, for what the real one has no path for.
    fn start_router(server: Server, router: Router) -> Self {
        let store = watch::Sender::new(Arc::default());
        Self::run(server, router, CancellationToken::new(), store)
    }

    fn run(
        server: Server,
        router: Router,
        stopping: CancellationToken,
        store: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let chain = vec![made.cert.der().clone()];
        let mut root = RootCertStore::empty();
        root.add(chain[0].clone()).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let mut tls =
            ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
        tls.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = server.metrics.clone();
        let running = tokio::spawn(server.run(listener, Arc::new(tls), router, stopping.clone()));
        Self { address, root, metrics, stopping, running, _store: store }
    }

    async fn tcp(&self) -> TcpStream {
        within(TcpStream::connect(self.address)).await.unwrap()
    }

    async fn try_tls(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut config =
            ClientConfig::builder().with_root_certificates(self.root.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = self.tcp().await;
        within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
    }

    async fn tls(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        self.try_tls(protocol).await.unwrap()
    }

    async fn connect(&self, protocol: &[u8]) -> Sender {
        let stream = TokioIo::new(self.tls(protocol).await);
        if protocol == H2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            let driver = tokio::spawn(async move { drop(driver.await) });
            Sender { version: Version::H2(sender), driver }
        } else {
            let (sender, driver) = http1::handshake(stream).await.unwrap();
            let driver = tokio::spawn(async move { drop(driver.await) });
            Sender { version: Version::Http1(sender), driver }
        }
    }

    /// A request on a connection of its own.
    async fn get(&self, protocol: &[u8], path: &str) -> (u16, String) {
        self.connect(protocol).await.get(path).await.unwrap()
    }

    /// A client that means no harm gets its metric, over both protocols.
    async fn good_client_is_served(&self) {
        for protocol in [HTTP1, H2] {
            let (code, body) = self.get(protocol, METRIC).await;
            assert_eq!(code, 200, "{body}");
            assert!(body.contains(r#""value":"7""#), "{body}");
        }
    }

    /// Sends `bytes` over HTTP/1.1 and reads until the server closes.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.tls(HTTP1).await;
        // The server may hang up before it has read everything.
        let _ = within(stream.write_all(bytes.as_ref())).await;
        read_to_end(&mut stream).await
    }

    /// Waits until the server's gauges are so.
    async fn until(&self, condition: impl Fn(&Metrics) -> bool) {
        let reached = async {
            while !condition(&self.metrics) {
                tokio::task::yield_now().await;
            }
        };
        within(reached).await;
    }
}

async fn read_to_end(stream: &mut TlsStream<TcpStream>) -> String {
    let mut read = vec![];
    // That there is an end is what counts, not how it came.
    let _ = within(stream.read_to_end(&mut read)).await;
    String::from_utf8_lossy(&read).into_owned()
}

enum Version {
    Http1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

/// The client's end of a connection.
struct Sender {
    version: Version,
    driver: JoinHandle<()>,
}

type Request = http::Request<Body>;

impl Sender {
    async fn ready(&mut self) -> hyper::Result<()> {
        match &mut self.version {
            Version::Http1(sender) => sender.ready().await,
            Version::H2(sender) => sender.ready().await,
        }
    }

    async fn send(
        &mut self,
        request: Request,
    ) -> Result<(http::response::Parts, String), TrySendError<Request>> {
        let response = match &mut self.version {
            Version::Http1(sender) => within(sender.try_send_request(request)).await?,
            Version::H2(sender) => within(sender.try_send_request(request)).await?,
        };
        let (parts, body) = response.into_parts();
        let body = within(to_bytes(Body::new(body), usize::MAX)).await.unwrap();
        Ok((parts, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn get(&mut self, path: &str) -> Result<(u16, String), TrySendError<Request>> {
        let (parts, body) = self.send(self.request(path).body(Body::empty()).unwrap()).await?;
        Ok((parts.status.as_u16(), body))
    }

    fn request(&self, path: &str) -> http::request::Builder {
        match self.version {
            Version::Http1(_) => http::Request::builder().uri(path).header("host", "localhost"),
            Version::H2(_) => http::Request::builder().uri(format!("https://localhost{path}")),
        }
    }
}

#[tokio::test]
async fn good_clients_are_served() {
    let served = Served::start(Limits::default());
    served.good_client_is_served().await;
    served.until(|metrics| metrics.open_connections() == 0 && metrics.handshakes() == 0).await;
    assert_eq!(served.metrics.failed_handshakes(), 0);
}

#[tokio::test]
async fn a_selector_as_long_as_a_path_can_be_is_answered() {
    let values: Vec<String> = (0..4000).map(|nth| format!("value-{nth:04}")).collect();
    let selector = format!("a in ({})", values.join(","));
    let served = Served::start_with(Limits::default(), &selector);
    let path = format!("{METRIC}?labelSelector={}", selector.replace(' ', "+"));
    assert!(path.len() > 40_000);
    for protocol in [HTTP1, H2] {
        let (code, body) = served.get(protocol, &path).await;
        assert_eq!(code, 200, "{body}");
    }
}

#[tokio::test]
async fn requests_know_their_peer() {
    use provider::api::peer::Peer;
    let router = Router::new().fallback(async |request: axum::extract::Request| {
        let peer = request.extensions().get::<Arc<Peer>>().unwrap();
        format!("{} {}", peer.address, peer.chain.len())
    });
    let served = Served::start_router(Server::default(), router);
    let mut stream = served.tls(HTTP1).await;
    let address = stream.get_ref().0.local_addr().unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.ends_with(&format!("{address} 0")), "{answer}");
}
