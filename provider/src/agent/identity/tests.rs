use std::net::{Ipv4Addr, SocketAddr};

use axum::{Router, http::HeaderMap, routing::get};
use rustls::server::NoClientAuth;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use super::*;
use crate::{agent::token::Source, serve::Server};

fn token(letter: char) -> Token {
    Token::parse(&letter.to_string().repeat(32), &Source::Variable).unwrap()
}

/// A replica that hands on the `Authorization` of each request.
struct Replica {
    address: SocketAddr,
    seen: mpsc::UnboundedReceiver<String>,
    _running: JoinHandle<std::io::Result<()>>,
}

fn serve(certificates: &Certificates) -> Replica {
    let (sender, seen) = mpsc::unbounded_channel();
    let handler = move |headers: HeaderMap| async move {
        let text = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
        sender.send(text.unwrap_or_default()).unwrap();
        "pong"
    };
    let router = Router::new().route("/ping", get(handler));
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let tls = tls::config(certificates, Arc::new(NoClientAuth));
    let running =
        tokio::spawn(Server::default().run(listener, tls, router, CancellationToken::new()));
    Replica { address, seen, _running: running }
}

async fn ask(config: &ClientConfig, address: SocketAddr, token: &Token) -> reqwest::Result<String> {
    let client = http_client(config, address).unwrap();
    let request =
        client.get(format!("https://{NAME}/ping")).header("authorization", token.bearer());
    request.send().await?.text().await
}

fn provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[tokio::test]
async fn replicas_with_one_token_know_each_other_and_others_get_no_token() {
    provider();
    let (ours, theirs) = (token('a'), token('b'));
    let (certificates, _) = start(&ours, Expiry::default()).await.unwrap();
    let mut replica = serve(&certificates);
    let config = client_config(&ours).await.unwrap();
    assert_eq!(ask(&config, replica.address, &ours).await.unwrap(), "pong");
    assert_eq!(replica.seen.recv().await.unwrap(), format!("Bearer {}", "a".repeat(32)));
    // A client with another token asks a server that it does not know: that learns nothing.
    let config = client_config(&theirs).await.unwrap();
    let error = ask(&config, replica.address, &theirs).await.unwrap_err();
    assert!(format!("{error:?}").contains("InvalidCertificate"), "{error:?}");
    assert!(replica.seen.try_recv().is_err());
}

#[tokio::test]
async fn a_server_that_does_not_know_the_token_never_sees_it() {
    provider();
    let ours = token('a');
    let config = client_config(&ours).await.unwrap();
    let names = [NAME.to_owned()];
    let stranger = Certificates::start(&tls::Source::SelfSigned, &names, Expiry::default());
    let mut stranger = serve(&stranger.unwrap());
    assert!(ask(&config, stranger.address, &ours).await.is_err());
    assert!(stranger.seen.try_recv().is_err());
    // Nor does one that speaks no TLS: whatever it reads is no request.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let eavesdropper = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut read = vec![0; 64 << 10];
        let length = stream.read(&mut read).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        read.truncate(length);
        read
    });
    assert!(ask(&config, address, &ours).await.is_err());
    let read = eavesdropper.await.unwrap();
    let shows = |needle: &[u8]| read.windows(needle.len()).any(|window| window == needle);
    assert!(!shows(ours.expose().as_bytes()) && !shows(b"uthorization"));
}

#[tokio::test]
async fn a_token_that_changes_changes_the_certificate_under_the_running_server() {
    provider();
    let (old, new) = (token('a'), token('c'));
    let (certificates, trust) = start(&old, Expiry::default()).await.unwrap();
    let (certificates, (trust, trusted)) = (Arc::new(certificates), watch::channel(trust));
    let replica = serve(&certificates);
    let (sender, tokens) = watch::channel(old.clone());
    let stop = CancellationToken::new();
    let mut served = certificates.changes();
    let keeping = tokio::spawn(keep(certificates.clone(), trust, tokens, stop.clone()));
    sender.send_replace(new.clone());
    served.changed().await.unwrap();
    let now = trusted.borrow().clone();
    assert_eq!(ask(&now.tls, replica.address, &now.token).await.unwrap(), "pong");
    let config = client_config(&old).await.unwrap();
    assert!(ask(&config, replica.address, &old).await.is_err());
    stop.cancel();
    keeping.await.unwrap();
}

#[test]
fn the_authority_of_a_token_is_always_the_same() {
    provider();
    let [one, again, other] = ['a', 'a', 'b'].map(|it| Authority::derive(&token(it)).unwrap());
    assert_eq!(one.key.public_key_raw(), again.key.public_key_raw());
    assert_ne!(one.key.public_key_raw(), other.key.public_key_raw());
    // Replicas of two versions must know each other. The value is OpenSSL's and Python's, too.
    let expected = [
        0xd8, 0x91, 0x2d, 0xee, 0xd0, 0xd6, 0x17, 0x34, 0xb8, 0xe6, 0xce, 0x48, 0x3d, 0x93, 0x44,
        0xd5, 0x57, 0x1b, 0x50, 0x70, 0x38, 0x3b, 0xce, 0x47, 0xce, 0x35, 0x04, 0xbc, 0x32, 0x46,
        0x02, 0xf8,
    ];
    assert_eq!(one.key.public_key_raw(), expected);
}

#[test]
fn a_certificate_lives_for_thirty_days_and_is_for_loopback_too() {
    provider();
    let authority = Authority::derive(&token('a')).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let pair = authority.leaf(now).unwrap();
    assert_eq!(pair.not_after.duration_since(now).unsigned_abs(), LIFE);
    let (_, parsed) = x509_parser::parse_x509_certificate(&pair.key.cert[0]).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    insta::assert_snapshot!(names.value.general_names.len(), @"4");
}
