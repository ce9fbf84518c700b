//! Clients that begin something and do not end it.

use super::*;

/// Short beside what the server has by default, long beside what a good client needs.
const SHORT: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_stalled_handshake_is_given_up() {
    let served = Served::start(Limits { handshake_time: SHORT, ..Limits::default() });
    let mut silent = served.tcp().await;
    let mut stalled = served.tcp().await;
    // The beginning of a ClientHello of 512 bytes.
    stalled.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    served.good_client_is_served().await;
    for stream in [&mut silent, &mut stalled] {
        let _ = within(stream.read_to_end(&mut vec![])).await;
    }
    served.until(|metrics| metrics.failed_handshakes() == 2 && metrics.handshakes() == 0).await;
}

#[tokio::test]
async fn a_dribbled_head_is_given_up() {
    let served = Served::start(Limits { header_time: SHORT, ..Limits::default() });
    let mut stream = served.tls(HTTP1).await;
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    served.good_client_is_served().await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let dribble = async {
        let mut ticks = tokio::time::interval(SHORT / 10);
        // Each byte comes in time; the whole never does.
        while writer.write_all(b"a").await.is_ok() && writer.flush().await.is_ok() {
            ticks.tick().await;
        }
    };
    let mut read = vec![];
    let ended = async {
        tokio::select! {
            () = dribble => {}
            _ = reader.read_to_end(&mut read) => {}
        }
    };
    within(ended).await;
    served.until(|metrics| metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn connections_without_requests_are_closed() {
    let served = Served::start(Limits { idle: SHORT, linger: SHORT, ..Limits::default() });
    let mut streams = vec![
        // Nothing at all, over each protocol.
        (served.tls(HTTP1).await, b"".to_vec()),
        (served.tls(H2).await, b"".to_vec()),
        // Half a preface; then a preface without an answer to the pings that follow; then half a
        // head.
        (served.tls(H2).await, floods::PREFACE[..10].to_vec()),
        (served.tls(H2).await, floods::preface()),
        (served.tls(H2).await, [floods::preface(), floods::head(0, 1)].concat()),
    ];
    for (stream, bytes) in &mut streams {
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }
    served.good_client_is_served().await;
    for (stream, _) in &mut streams {
        read_to_end(stream).await;
    }
    served.until(|metrics| metrics.open_connections() == 0).await;
}
