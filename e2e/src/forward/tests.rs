use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{self, Instant},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::forward::{Args, Replicas, run, serve};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LIMIT: Duration = Duration::from_secs(20);

/// Answers its name to each connection, then keeps it open until the client closes.
async fn replica(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                client.write_all(name.as_bytes()).await.unwrap();
                client.read(&mut [0; 1]).await
            });
        }
    });
    address
}

/// Forwards to the replicas without asking whether they are ready.
async fn forwarder(to: Vec<SocketAddr>) -> (SocketAddr, DropGuard) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let replicas = Replicas::new(&Args { listen: address, to, readyz: false });
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, replicas, stop.clone()));
    (address, stop.drop_guard())
}

/// What the next connection is told; empty when it is closed at once.
async fn told(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut bytes = [0; 16];
    let length = time::timeout(LIMIT, stream.read(&mut bytes)).await.unwrap().unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[tokio::test]
async fn connections_go_to_the_replicas_in_turn() {
    let (address, _stop) = forwarder(vec![replica("a").await, replica("b").await]).await;
    let told = [told(address).await, told(address).await, told(address).await];
    assert_eq!(told, ["a", "b", "a"]);
}

#[tokio::test]
async fn a_replica_that_cannot_be_reached_is_passed_over() {
    let gone = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let (address, _stop) = forwarder(vec![gone, replica("b").await]).await;
    assert_eq!([told(address).await, told(address).await], ["b", "b"]);
}

#[tokio::test]
async fn without_a_replica_the_connection_is_closed_at_once() {
    let gone = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let (address, _stop) = forwarder(vec![gone]).await;
    assert_eq!(told(address).await, "");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let taken = TcpListener::bind(ANY).await.unwrap();
    let listen = taken.local_addr().unwrap();
    let args = Args { listen, to: vec![listen], readyz: false };
    let error = run(args, CancellationToken::new()).await.unwrap_err();
    assert!(error.to_string().contains(&listen.to_string()), "{error}");
}

/// A replica with a self-signed certificate whose `/readyz` says what `ready` does.
fn https_replica(ready: Arc<AtomicBool>) -> SocketAddr {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = std::net::TcpListener::bind(ANY).unwrap();
    let address = listener.local_addr().unwrap();
    let config = Arc::new(config);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let status = if ready.load(Ordering::Relaxed) { "200 OK" } else { "503 Not Ready" };
            // A client that goes away in the middle is no concern of this replica.
            let _ = answer(&config, stream.unwrap(), status);
        }
    });
    address
}

/// One request, one answer, and the end of the connection.
fn answer(
    config: &Arc<ServerConfig>,
    stream: std::net::TcpStream,
    status: &str,
) -> std::io::Result<()> {
    use std::io::{Read, Write};
    let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
    let mut tls = rustls::StreamOwned::new(connection, stream);
    tls.read_exact(&mut [0; 16])?;
    write!(tls, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// Polls until the forwarder leads to `count` replicas.
async fn leads_to(replicas: &Replicas, count: usize) {
    let deadline = Instant::now() + LIMIT;
    while replicas.in_turn().len() != count {
        assert!(Instant::now() < deadline, "still leads to {:?}", replicas.in_turn());
        time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn only_replicas_that_say_they_are_ready_are_led_to() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let ready = [Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false))];
    let first = https_replica(Arc::clone(&ready[0]));
    let second = https_replica(Arc::clone(&ready[1]));
    let args = Args { listen: ANY, to: vec![first, second], readyz: true };
    let replicas = Replicas::new(&args);
    assert!(replicas.in_turn().is_empty(), "nothing is ready before it was asked");
    let _polls = replicas.poll().unwrap();

    leads_to(&replicas, 1).await;
    assert_eq!(replicas.in_turn(), [first]);
    ready[1].store(true, Ordering::Relaxed);
    leads_to(&replicas, 2).await;
    ready[0].store(false, Ordering::Relaxed);
    leads_to(&replicas, 1).await;
    assert_eq!(replicas.in_turn(), [second]);
}
