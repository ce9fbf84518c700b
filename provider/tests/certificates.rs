//! Serving certificates as clients and kube-apiserver see them: real TLS, and a kube-apiserver of
//! two objects.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response};
use k8s_openapi::ByteString;
use kube::client::Body;
use provider::serve::{
    ca::{self, Lifetimes},
    tls::{self, Certificates, Source, files::Files, metrics::Expiry},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.external.metrics.k8s.io";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";
const SECRET: &str = "/api/v1/namespaces/default/secrets/own-ca";
const NAME: &str = "datadog-custom-metrics-server.default.svc";
const DEADLINE: Duration = Duration::from_secs(120);

/// The Secret and the APIService of a cluster, as kube-apiserver keeps them. No watch is allowed.
#[derive(Debug, Default)]
struct Cluster {
    version: u64,
    secret: Value,
    service: Value,
    writes: Vec<String>,
    /// Stored instead of the next Secret that is written, as if another replica had been quicker.
    quicker: Option<Value>,
}

type Shared = Arc<Mutex<Cluster>>;

impl Cluster {
    fn new(spec: &Value) -> Shared {
        let mut cluster = Self::default();
        cluster.apply(spec);
        Arc::new(Mutex::new(cluster))
    }

    /// What a user applies.
    fn apply(&mut self, spec: &Value) {
        let metadata = json!({"name": "v1beta1.external.metrics.k8s.io"});
        self.service = self.stored(json!({"apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService", "metadata": metadata, "spec": spec}));
    }

    fn stored(&mut self, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        object
    }

    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> Result<Value, u16> {
        let found = |object: &Value| if object.is_null() { Err(404) } else { Ok(object.clone()) };
        let same = |object: &Value| -> Result<(), u16> {
            let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
            if version(object) == version(body) { Ok(()) } else { Err(409) }
        };
        match (method.as_str(), path) {
            ("GET", SERVICE) => found(&self.service),
            ("GET", SECRET) => found(&self.secret),
            ("POST", SECRETS) | ("PUT", SECRET) => {
                if let Some(quicker) = self.quicker.take() {
                    self.secret = self.stored(quicker);
                }
                if method == Method::POST {
                    if !self.secret.is_null() {
                        return Err(409);
                    }
                } else {
                    same(&self.secret)?;
                }
                self.writes.push(format!("{method} Secret"));
                self.secret = self.stored(body.clone());
                Ok(self.secret.clone())
            }
            ("PATCH", SERVICE) => {
                same(&self.service)?;
                let mut keys: Vec<_> = body["spec"].as_object().unwrap().keys().collect();
                assert_eq!(keys.pop().unwrap(), "caBundle");
                assert!(keys.is_empty(), "nothing but the bundle is ours");
                self.writes.push("PATCH APIService".to_owned());
                let mut service = self.service.clone();
                service["spec"]["caBundle"] = body["spec"]["caBundle"].clone();
                self.service = self.stored(service);
                Ok(self.service.clone())
            }
            _ => Err(403),
        }
    }

    fn bundle(&self) -> Vec<CertificateDer<'static>> {
        let bundle = serde_json::from_value(self.service["spec"]["caBundle"].clone());
        let ByteString(bundle) = bundle.unwrap_or_default();
        CertificateDer::pem_slice_iter(&bundle).map(Result::unwrap).collect()
    }
}

fn client(cluster: &Shared) -> kube::Client {
    let cluster = cluster.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let cluster = cluster.clone();
        async move {
            let (parts, body) = request.into_parts();
            let sent = body.collect_bytes().await.unwrap();
            let body = serde_json::from_slice(&sent).unwrap_or_default();
            let answer = cluster.lock().unwrap().answer(&parts.method, parts.uri.path(), &body);
            let (code, body) = match answer {
                Ok(object) => (200, object),
                Err(code) => {
                    let reason = if code == 404 { "NotFound" } else { "Refused" };
                    (
                        code,
                        json!({"kind": "Status", "status": "Failure", "code": code,
                        "reason": reason, "message": format!("refused with {code}")}),
                    )
                }
            };
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(Response::builder().status(code).body(body).unwrap())
        }
    });
    kube::Client::new(service, "default")
}

fn ours() -> Value {
    json!({"group": "external.metrics.k8s.io", "version": "v1beta1",
        "groupPriorityMinimum": 100, "versionPriority": 100,
        "service": {"name": "datadog-custom-metrics-server", "namespace": "default"}})
}

const LIVES: Lifetimes = Lifetimes {
    leaf: Duration::from_secs(3600),
    ca: Duration::from_secs(7200),
    margin: Duration::from_secs(1),
};

/// A replica that keeps the CA.
struct Replica {
    certificates: Arc<Certificates>,
    stop: CancellationToken,
    keeping: JoinHandle<()>,
}

impl Replica {
    fn start(cluster: &Shared, lifetimes: Lifetimes) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = tls::names("default");
        let source = Source::OwnCa { secret: "own-ca".to_owned(), lifetimes };
        let certificates =
            Arc::new(Certificates::start(&source, &names, Expiry::default()).unwrap());
        let config = ca::Config {
            namespace: "default".to_owned(),
            secret: "own-ca".to_owned(),
            api_service: "v1beta1.external.metrics.k8s.io".to_owned(),
            names,
            lifetimes,
        };
        let stop = CancellationToken::new();
        let keeping =
            tokio::spawn(ca::run(client(cluster), config, certificates.clone(), stop.clone()));
        Self { certificates, stop, keeping }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.keeping.await.unwrap();
    }
}

/// Waits until `condition` holds in the cluster.
async fn until(cluster: &Shared, condition: impl Fn(&Cluster) -> bool) {
    let waiting = async {
        while !condition(&cluster.lock().unwrap()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("the condition holds in time");
}

/// Some looks long, in tokio's time.
async fn some_looks() {
    tokio::time::sleep(Duration::from_secs(300)).await;
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_a_file_takes_away_is_put_back() {
    let cluster = Cluster::new(&ours());
    let replica = Replica::start(&cluster, LIVES);
    until(&cluster, |cluster| cluster.bundle().len() == 1).await;
    let bundle = cluster.lock().unwrap().bundle();
    cluster.lock().unwrap().apply(&ours());
    until(&cluster, |cluster| cluster.bundle() == bundle).await;
    some_looks().await;
    let writes = cluster.lock().unwrap().writes.join(", ");
    insta::assert_snapshot!(writes, @"POST Secret, PATCH APIService, PATCH APIService");
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_apiservice_that_may_not_have_a_bundle_gets_none() {
    let mut unverified = ours();
    unverified["insecureSkipTLSVerify"] = json!(true);
    let mut elsewhere = ours();
    elsewhere["service"]["namespace"] = json!("keda");
    for spec in [unverified, elsewhere] {
        let cluster = Cluster::new(&spec);
        let replica = Replica::start(&cluster, LIVES);
        some_looks().await;
        assert_eq!(cluster.lock().unwrap().writes, ["POST Secret"]);
        cluster.lock().unwrap().apply(&ours());
        until(&cluster, |cluster| cluster.bundle().len() == 1).await;
        replica.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_too_late_uses_what_another_replica_wrote() {
    let other = Cluster::new(&ours());
    let replica = Replica::start(&other, LIVES);
    until(&other, |cluster| !cluster.bundle().is_empty()).await;
    replica.stop().await;
    let theirs = other.lock().unwrap().secret.clone();
    let cluster = Cluster::new(&ours());
    cluster.lock().unwrap().quicker = Some(theirs.clone());
    let replica = Replica::start(&cluster, LIVES);
    until(&cluster, |cluster| cluster.bundle() == other.lock().unwrap().bundle()).await;
    assert_eq!(cluster.lock().unwrap().secret["data"], theirs["data"]);
    assert_eq!(cluster.lock().unwrap().writes, ["PATCH APIService"]);
    replica.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_of_somebody_else_is_left_alone_and_garbage_in_ours_is_not() {
    let cluster = Cluster::new(&ours());
    let foreign = json!({"metadata": {"name": "own-ca"}, "data": {"tls.crt": "Zm9v"}});
    cluster.lock().unwrap().secret = foreign.clone();
    let replica = Replica::start(&cluster, LIVES);
    some_looks().await;
    assert!(cluster.lock().unwrap().writes.is_empty());
    let mut garbage = foreign;
    garbage["metadata"]["labels"] =
        json!({"app.kubernetes.io/managed-by": "datadog-cluster-agent"});
    cluster.lock().unwrap().secret = garbage;
    until(&cluster, |cluster| cluster.bundle().len() == 1).await;
    assert_eq!(cluster.lock().unwrap().writes, ["PUT Secret", "PATCH APIService"]);
    replica.stop().await;
}

/// Answers each byte with itself.
async fn serve(certificates: &Certificates) -> SocketAddr {
    let config = tls::config(certificates, WebPkiClientVerifier::no_client_auth());
    let acceptor = TlsAcceptor::from(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte).await?;
                    stream.flush().await?;
                }
                Ok::<_, std::io::Error>(())
            });
        }
    });
    address
}

/// A client that trusts `bundle` and nothing else.
async fn connect(
    address: SocketAddr,
    bundle: &[CertificateDer<'static>],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    for root in bundle {
        roots.add(root.clone()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(NAME.try_into().unwrap(), stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<()> {
    stream.write_u8(7).await?;
    stream.flush().await?;
    assert_eq!(stream.read_u8().await?, 7);
    Ok(())
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

/// Certificate and CA are replaced while old connections and new ones are in use; none fails.
#[tokio::test]
async fn a_rotation_fails_no_request() {
    let cluster = Cluster::new(&ours());
    let first = Replica::start(&cluster, LIVES);
    until(&cluster, |cluster| cluster.bundle().len() == 1).await;
    first.stop().await;
    let old_ca = cluster.lock().unwrap().bundle();
    // By these lives, what there is has ended by two thirds: a new leaf and a new CA are due.
    let longer = Lifetimes { leaf: LIVES.leaf * 10, ca: LIVES.ca * 10, ..LIVES };
    let replica = Replica::start(&cluster, longer);
    let address = serve(&replica.certificates).await;
    let waiting = async {
        while connect(address, &old_ca).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await; // self-signed until it is read
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.expect("the own CA is served in time");
    let mut long_lived = connect(address, &old_ca).await.unwrap();
    let mut requests = 0;
    let flowing = async {
        loop {
            let bundle = cluster.lock().unwrap().bundle();
            let mut stream = connect(address, &bundle).await.expect("a trusted certificate");
            ask(&mut stream).await.expect("an answer on a new connection");
            ask(&mut long_lived).await.expect("an answer on the old connection");
            requests += 1;
            let signed_anew = connect(address, &old_ca).await.is_err();
            if signed_anew && bundle.len() == 2 {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, flowing).await.expect("the CA is replaced in time");
    assert!(requests > 1);
    ask(&mut long_lived).await.unwrap();
    let bundle = cluster.lock().unwrap().bundle();
    assert_eq!(bundle[1], old_ca[0], "the old CA is trusted while what it signed lives");
    let new = connect(address, &bundle[..1]).await.expect("a leaf that the new CA has signed");
    assert_ne!(shown(&long_lived), shown(&new));
    replica.stop().await;
}

/// What a cert-manager does to mounted files.
#[tokio::test]
async fn new_files_are_served_and_drop_no_connection() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = || {
        let made = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
        std::fs::write(path("tls.crt"), made.cert.pem()).unwrap();
        std::fs::write(path("tls.key"), made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    };
    let old = write();
    let files = Files { certificate: path("tls.crt"), key: path("tls.key") };
    let source = Source::Files(files.clone());
    let certificates = Arc::new(Certificates::start(&source, &[], Expiry::default()).unwrap());
    let address = serve(&certificates).await;
    let stop = CancellationToken::new();
    let watching = tokio::spawn(files.watch(Duration::from_millis(20), certificates, stop.clone()));
    let mut long_lived = connect(address, std::slice::from_ref(&old)).await.unwrap();
    ask(&mut long_lived).await.unwrap();
    let new = write();
    let both = [old, new.clone()];
    let changing = async {
        loop {
            let mut stream = connect(address, &both).await.expect("one of the certificates");
            ask(&mut stream).await.expect("an answer");
            if shown(&stream) == new {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, changing).await.expect("the new files are served in time");
    ask(&mut long_lived).await.unwrap();
    stop.cancel();
    watching.await.unwrap();
}
