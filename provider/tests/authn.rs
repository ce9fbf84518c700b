//! Who sends a request, over real TLS: what a connection proves and what its headers claim, with the
//! trust that a scripted kube-apiserver publishes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{collections::BTreeMap, sync::Arc};

use axum::{Extension, Json, Router, extract::State, http::HeaderMap, routing::get};
use http::{Request, Response};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use kube::client::Body;
use pki::{Ca, Identity, client, now};
use provider::{
    api::{
        authn::{Authenticator, Trust, Verdict, config},
        peer::Peer,
    },
    serve::client_certs::AnyClient,
};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::ring::sign::any_supported_type,
    pki_types::PrivateKeyDer,
    sign::{CertifiedKey, SingleCertAndKey},
    version,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;
use tower_test::mock::{self, SendResponse};

#[allow(dead_code, reason = "the unit tests use more of it")]
#[path = "../src/api/authn/tests/pki.rs"]
mod pki;

type Answer = SendResponse<Response<Body>>;

/// A server that says what it believes, and the cluster that tells it whom to believe.
struct Cluster {
    front_proxy: Ca,
    users: Ca,
    own: Ca,
    port: u16,
    trust: watch::Receiver<Arc<Trust>>,
    handle: mock::Handle<Request<Body>, Response<Body>>,
    /// The watch under way, whose answer must not end.
    watch: Option<Answer>,
}

async fn whoami(
    State(authenticator): State<Authenticator>,
    Extension(peer): Extension<Arc<Peer>>,
    mut headers: HeaderMap,
) -> Json<Value> {
    let verdict = match authenticator.certificate_at(&peer, &mut headers, now()) {
        Verdict::User(user) => json!(user),
        Verdict::Refused(_) => "refused".into(),
        Verdict::NoOpinion => "no opinion".into(),
    };
    let mut left: Vec<_> = headers.keys().map(ToString::to_string).collect();
    left.sort_unstable();
    Json(json!([verdict, left.join(" ")]))
}

impl Cluster {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (service, handle) = mock::pair::<Request<Body>, Response<Body>>();
        let (sender, trust) = watch::channel(Arc::default());
        let kube = kube::Client::new(service, "default");
        tokio::spawn(config::run(kube, sender, CancellationToken::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut own = pki::authority("own");
        own.not_after = rcgen::date_time_ymd(2100, 1, 1);
        own.not_before = rcgen::date_time_ymd(2000, 1, 1);
        let own = Ca::with(pki::rsa(), own);
        let router =
            Router::new().route("/", get(whoami)).with_state(Authenticator::new(trust.clone()));
        tokio::spawn(serve(listener, acceptor(&own), router));
        let (front_proxy, users) = (Ca::new("front-proxy-ca"), Ca::new("kubernetes"));
        Self { front_proxy, users, own, port, trust, handle, watch: None }
    }

    fn map(front_proxy: &Ca, users: &Ca) -> Value {
        let data = BTreeMap::from([
            ("client-ca-file", users.certificate.pem()),
            ("requestheader-client-ca-file", front_proxy.certificate.pem()),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#.to_owned()),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#.to_owned()),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#.to_owned()),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#.to_owned()),
        ]);
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "metadata": {
            "name": "extension-apiserver-authentication", "namespace": "kube-system",
            "resourceVersion": "1"}})
    }

    /// Answers the list.
    async fn known(mut self) -> Self {
        let (request, answer) = self.handle.next_request().await.unwrap();
        assert_eq!(request.uri().path(), "/api/v1/namespaces/kube-system/configmaps");
        let query = request.uri().query().unwrap();
        assert!(query.contains("metadata.name%3Dextension-apiserver-authentication"), "{query}");
        let map = Self::map(&self.front_proxy, &self.users);
        let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "items": [map],
            "metadata": {"resourceVersion": "1"}});
        answer.send_response(response(list.to_string()));
        self.trust.wait_for(|trust| trust.known).await.unwrap();
        self
    }

    /// Tells of other authorities, by the watch.
    async fn rotate(&mut self, front_proxy: &Ca, users: &Ca) {
        let (request, answer) = self.handle.next_request().await.unwrap();
        assert!(request.uri().query().unwrap().contains("watch=true"));
        let event = json!({"type": "MODIFIED", "object": Self::map(front_proxy, users)});
        let before = self.trust.borrow_and_update().generation;
        answer.send_response(response(format!("{event}\n")));
        self.trust.wait_for(|trust| before < trust.generation).await.unwrap();
        // The next watch waits.
        let (_, answer) = self.handle.next_request().await.unwrap();
        self.watch.replace(answer);
    }

    fn config(
        &self,
        identity: Option<&Identity>,
        tls: &'static SupportedProtocolVersion,
    ) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.own.certificate.der().clone()).unwrap();
        let builder =
            ClientConfig::builder_with_protocol_versions(&[tls]).with_root_certificates(roots);
        match identity {
            // Not `with_client_auth_cert`, which would notice a key of somebody else.
            Some(Identity { chain, key }) => {
                let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
                let key = any_supported_type(&key).unwrap();
                let shown = CertifiedKey::new(chain.clone(), key);
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)))
            }
            None => builder.with_no_client_auth(),
        }
    }

    async fn connect(&self, identity: Option<&Identity>) -> Connection {
        Connection::new(self.port, self.config(identity, &version::TLS13)).await.unwrap()
    }

    fn apiserver(&self) -> Identity {
        self.front_proxy.issue(&client("front-proxy-client"))
    }
}

fn response(body: String) -> Response<Body> {
    Response::builder().body(Body::from(body.into_bytes())).unwrap()
}

fn acceptor(own: &Ca) -> TlsAcceptor {
    let mut params = pki::client("localhost");
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    params.extended_key_usages.clear();
    params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())];
    let Identity { chain, key } = own.issue(&params);
    let config = ServerConfig::builder()
        .with_client_cert_verifier(Arc::new(AnyClient::default()))
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    Arc::new(config).into()
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, router: Router) {
    while let Ok((tcp, address)) = listener.accept().await {
        let (acceptor, router) = (acceptor.clone(), router.clone());
        tokio::spawn(async move {
            let Ok(tls) = acceptor.accept(tcp).await else { return };
            let chain = tls.get_ref().1.peer_certificates().unwrap_or_default();
            let chain = chain.iter().map(|it| it.clone().into_owned()).collect();
            let service = router.layer(Extension(Arc::new(Peer::new(address, chain))));
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(tls), TowerToHyperService::new(service))
                .await;
        });
    }
}

/// A client that sends what it is told, byte for byte.
struct Connection(BufReader<TlsStream<TcpStream>>);

impl Connection {
    async fn new(port: u16, config: ClientConfig) -> std::io::Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = "localhost".try_into().unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        Ok(Self(BufReader::new(tls)))
    }

    /// What is believed of a request with these header lines: the user's name or the verdict, and
    /// the headers that are left.
    async fn ask(&mut self, lines: &str) -> Value {
        self.try_ask(lines).await.unwrap()
    }

    async fn try_ask(&mut self, lines: &str) -> std::io::Result<Value> {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        self.0.write_all(request.as_bytes()).await?;
        self.0.flush().await?;
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if self.0.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(serde_json::from_slice(&body).unwrap())
    }

    async fn name(&mut self, lines: &str) -> String {
        let verdict = self.ask(lines).await[0].take();
        let name = verdict.get("name").unwrap_or(&verdict);
        name.as_str().unwrap().to_owned()
    }
}

const JO: &str = "X-Remote-User: jo\r\n";

#[tokio::test]
async fn forged_headers_are_never_believed() {
    let cluster = Cluster::start().await.known().await;
    let forged = "X-Remote-User: admin\r\nX-Remote-Group: system:masters\r\n\
        x-REMOTE-user: admin\r\nX-Remote-Extra-a%2Fb: c\r\nX-Remote-Uid: 0\r\n";
    let mut nobody = cluster.connect(None).await;
    assert_eq!(nobody.ask(forged).await, json!(["no opinion", "host"]));
    let jane = cluster.users.issue(&client("jane"));
    let mut jane = cluster.connect(Some(&jane)).await;
    let believed = jane.ask(forged).await;
    assert_eq!((&believed[0]["name"], &believed[0]["groups"]), (&json!("jane"), &json!([])));
    assert_eq!(believed[1], "host");
    let strangers = [
        Ca::new("front-proxy-ca").issue(&client("front-proxy-client")),
        cluster.front_proxy.issue(&client("someone-else")),
    ];
    for stranger in &strangers {
        let mut stranger = cluster.connect(Some(stranger)).await;
        assert_eq!(stranger.ask(forged).await, json!(["refused", "host"]));
    }
}

#[tokio::test]
async fn a_front_proxy_is_read_exactly_and_nothing_slips_past_it() {
    let cluster = Cluster::start().await.known().await;
    let mut apiserver = cluster.connect(Some(&cluster.apiserver())).await;
    let believed = apiserver
        .ask(
            "x-ReMoTe-UsEr: jo\r\nX-Remote-User: admin\r\nX_Remote_User: admin\r\n\
             X-Remote-Group: a\r\nX_Remote_Group: system:masters\r\nx-remote-group:  b \r\n\
             X-Remote-Groups: system:masters\r\n\
             X-Remote-Extra-Acme.com%2FKey: 1\r\nX-Remote-Extra-acme.com%2fkey: 2\r\n\
             X-Remote-Uid: 0\r\n",
        )
        .await;
    // The UID's header is not in this cluster's ConfigMap.
    let user = json!({"name": "jo", "uid": "", "groups": ["a", "b"],
        "extra": {"acme.com/key": ["1", "2"]}});
    assert_eq!(believed[0], user);
    assert_eq!(believed[1], "host x-remote-groups x_remote_group x_remote_user");
    // Nothing of a request is left for the next one.
    assert_eq!(apiserver.name("X-Remote-Group: system:masters\r\n").await, "refused");
    assert_eq!(apiserver.name(JO).await, "jo");
}

#[tokio::test]
async fn authorities_change_under_live_connections() {
    let cluster = Cluster::start().await;
    let mut apiserver = cluster.connect(Some(&cluster.apiserver())).await;
    let jane = cluster.users.issue(&client("jane"));
    let mut jane = cluster.connect(Some(&jane)).await;
    let mut nobody = cluster.connect(None).await;
    // kube-apiserver has not answered yet.
    assert_eq!(apiserver.name(JO).await, "refused");
    assert_eq!(nobody.name(JO).await, "no opinion");
    let mut cluster = cluster.known().await;
    assert_eq!(apiserver.name(JO).await, "jo");
    assert_eq!(jane.name("").await, "jane");
    let (front_proxy, users) = (Ca::new("front-proxy-ca"), Ca::new("kubernetes"));
    cluster.rotate(&front_proxy, &users).await;
    assert_eq!(apiserver.name(JO).await, "refused");
    assert_eq!(jane.name("").await, "refused");
    let renewed = front_proxy.issue(&client("front-proxy-client"));
    let mut renewed = cluster.connect(Some(&renewed)).await;
    assert_eq!(renewed.name(JO).await, "jo");
}

#[tokio::test]
async fn a_handshake_proves_the_key_and_asks_for_no_more() {
    let cluster = Cluster::start().await.known().await;
    let apiserver = cluster.apiserver();
    let rsa = cluster.front_proxy.issue_for(pki::rsa(), &client("front-proxy-client"));
    for tls in [&version::TLS12, &version::TLS13] {
        for identity in [&apiserver, &rsa] {
            let config = cluster.config(Some(identity), tls);
            // The second one resumes what the first has proved.
            for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut connection = Connection::new(cluster.port, config.clone()).await.unwrap();
                assert_eq!(connection.name(JO).await, "jo");
                let kind = connection.0.get_ref().get_ref().1.handshake_kind();
                assert_eq!(kind, Some(expected));
            }
        }
        let stolen =
            Identity { chain: apiserver.chain.clone(), key: rcgen::KeyPair::generate().unwrap() };
        let bomb = Identity { chain: vec![rsa.chain[0].clone(); 7], key: pki::rsa() };
        for hostile in [stolen, bomb] {
            let mut config = cluster.config(Some(&hostile), tls);
            config.resumption = Resumption::disabled();
            // With TLS 1.3 the client hears of it only when it reads.
            let answer = match Connection::new(cluster.port, config).await {
                Ok(mut connection) => connection.try_ask(JO).await,
                Err(error) => Err(error),
            };
            assert!(answer.is_err(), "{answer:?}");
        }
    }
    // The server and its other clients are as before.
    assert_eq!(cluster.connect(None).await.name("").await, "no opinion");
}
