//! Two replicas over loopback, with TLS and a token.

use axum::http::{HeaderValue, header::AUTHORIZATION};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::serve;

const TOKEN: &str = "Bearer 0123456789abcdef0123456789abcdef";

/// What the replicas of one cluster have in common.
struct Authority {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let made = rcgen::generate_simple_self_signed(vec![SERVER_NAME.to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
        Self { certificate: made.cert.der().clone(), key }
    }

    fn server(&self) -> Arc<ServerConfig> {
        let chain = vec![self.certificate.clone()];
        let config = ServerConfig::builder().with_no_client_auth();
        Arc::new(config.with_single_cert(chain, self.key.clone_key()).unwrap())
    }

    fn access(&self) -> Access {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Access { tls: Arc::new(tls), token: HeaderValue::from_static(TOKEN) }
    }

    /// Serves the replica on a port of loopback, to those who know the token; the status of each
    /// answer so far is told.
    fn serve(&self, teller: &Teller) -> (SocketAddr, watch::Receiver<Vec<u16>>) {
        let listener = serve::bind(Some([127, 0, 0, 1].into()), 0, "nothing").unwrap();
        let address = listener.local_addr().unwrap();
        let (log, answers) = watch::channel(Vec::new());
        let log = Arc::new(log);
        let known = move |request: Request, next: Next| {
            let log = log.clone();
            async move {
                assert_eq!(request.headers()[AUTHORIZATION], TOKEN);
                let response = next.run(request).await;
                log.send_modify(|log| log.push(response.status().as_u16()));
                response
            }
        };
        let router = teller.router.clone().layer(from_fn(known));
        let (tls, stopping) = (self.server(), teller.stopping.clone());
        tokio::spawn(serve::Server::default().run(listener, tls, router, stopping));
        (address, answers)
    }
}

/// A replica that listens.
struct Follower {
    leadership: watch::Sender<Leadership>,
    news: mpsc::Receiver<News>,
    progress: watch::Receiver<Progress>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Follower {
    fn of(address: SocketAddr, access: Access) -> Self {
        let (leadership, leadership_receiver) = watch::channel(follower_of(Some(address)));
        let (news_sender, news) = mpsc::channel(1);
        let (progress_sender, progress) = watch::channel(Progress::default());
        let stop = CancellationToken::new();
        let access = move || Some(access.clone());
        let following =
            run(leadership_receiver, access, news_sender, progress_sender, stop.clone());
        let running = tokio::spawn(following);
        Self { leadership, news, progress, stop, running }
    }

    async fn news(&mut self) -> News {
        timeout(Duration::from_secs(60), self.news.recv()).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

#[tokio::test]
async fn a_follower_holds_what_the_leader_knows() {
    let authority = Authority::new();
    let teller = Teller::new(testing::fleet(1000, now()), leader());
    let mut follower = Follower::of(authority.serve(&teller).0, authority.access());
    let news = follower.news().await;
    assert!(news.complete);
    assert_eq!(news.known.len(), 1000);
    let store = teller.store.borrow().clone();
    for (key, memory) in &news.known {
        let (_, entry) = store.get(key).unwrap();
        assert_eq!(memory.sample, entry.sample);
        assert_eq!(memory.query.as_deref(), entry.ask.as_ref().ok().map(|it| it.query.as_str()));
    }
    follower.progress.wait_for(|it| *it == Progress::Synced).await.unwrap();
    teller.change(3);
    let news = follower.news().await;
    assert_eq!((news.complete, news.known.len()), (false, 1));
    follower.stop().await;
}

#[tokio::test]
async fn another_leader_is_followed() {
    let authority = Authority::new();
    let old = Teller::new(testing::fleet(1, now()), leader());
    let new = Teller::new(testing::fleet(2, now()), leader());
    let mut follower = Follower::of(authority.serve(&old).0, authority.access());
    assert_eq!(follower.news().await.known.len(), 1);
    old.stopping.cancel();
    old.leadership.send_replace(follower_of(None));
    follower.leadership.send_replace(follower_of(Some(authority.serve(&new).0)));
    assert_eq!(follower.news().await.known.len(), 2);
    follower.stop().await;
}

#[tokio::test]
async fn a_leader_that_ends_the_stream_is_asked_again() {
    let authority = Authority::new();
    let teller = Teller::new(testing::fleet(1, now()), leader());
    let (address, mut answers) = authority.serve(&teller);
    let mut follower = Follower::of(address, authority.access());
    assert!(follower.news().await.complete);
    teller.leadership.send_replace(follower_of(None));
    answers.wait_for(|answers| answers.contains(&503)).await.unwrap();
    teller.leadership.send_replace(leader());
    assert!(follower.news().await.complete);
    follower.stop().await;
}

#[tokio::test]
async fn the_token_is_not_sent_to_who_is_not_one_of_us() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let follower = Follower::of(listener.local_addr().unwrap(), ours.access());
    let acceptor = TlsAcceptor::from(theirs.server());
    for _ in 0..2 {
        let (stream, _) = listener.accept().await.unwrap();
        let mut sent = Vec::new();
        // In TLS 1.3 the server may be done before the client has judged.
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let _ = stream.read_to_end(&mut sent).await;
        }
        assert_eq!(sent, b"");
    }
    assert_eq!(*follower.progress.borrow(), Progress::Alone);
    follower.stop().await;
}

#[tokio::test]
async fn a_leader_that_falls_silent_is_left() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut follower = Follower::of(listener.local_addr().unwrap(), authority.access());
    let acceptor = TlsAcceptor::from(authority.server());
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = acceptor.accept(stream).await.unwrap();
    stream
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n\"heartbeat\"\n")
        .await
        .unwrap();
    follower.progress.wait_for(|it| *it == Progress::Reached).await.unwrap();
    // The follower hangs up, and comes again.
    let mut request = Vec::new();
    let _ = stream.read_to_end(&mut request).await;
    assert!(String::from_utf8(request).unwrap().contains(TOKEN));
    listener.accept().await.unwrap();
    follower.stop().await;
}
