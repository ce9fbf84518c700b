//! More of something than a server can take.

use std::collections::VecDeque;

use super::*;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// What an HTTP/2 client begins with.
pub(super) fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// `GET https://localhost/`, in the words of HPACK.
pub(super) fn head(flags: u8, stream: u32) -> Vec<u8> {
    frame(HEADERS, flags, stream, b"\x82\x87\x84\x01\x09localhost")
}

/// The frames that a server sent.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = vec![];
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (payload, next) = rest.split_at(length.min(rest.len()));
        frames.push((*kind, payload));
        bytes = next;
    }
    frames
}

/// Sends `bytes`, and the error code of the GOAWAY that is the answer to them.
async fn go_away(served: &Served, bytes: &[u8]) -> Option<u32> {
    let (mut reader, mut writer) = tokio::io::split(served.tls(H2).await);
    let write = async {
        let _ = writer.write_all(bytes).await;
        let _ = writer.flush().await;
    };
    let mut read = vec![];
    within(async { tokio::join!(write, reader.read_to_end(&mut read)) }).await.1.ok();
    let (_, payload) = *frames(&read).iter().rev().find(|(kind, _)| *kind == GO_AWAY)?;
    Some(u32::from_be_bytes(payload.get(4..8)?.try_into().unwrap()))
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    let served = Served::start(Limits::default());
    let mut flood = preface();
    for stream in (1..4000).step_by(2) {
        flood.extend(head(END_STREAM | END_HEADERS, stream));
        flood.extend(frame(RESET, 0, stream, &8u32.to_be_bytes()));
    }
    assert_eq!(go_away(&served, &flood).await, Some(ENHANCE_YOUR_CALM));
    served.good_client_is_served().await;
    served.until(|metrics| metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn a_head_that_goes_on_for_ever_ends_the_connection() {
    let served = Served::start(Limits::default());
    let mut flood = [preface(), head(END_STREAM, 1)].concat();
    for _ in 0..200 {
        // A literal header of 16,000 bytes, again and again.
        let literal = [&b"\x00\x01a\x7f\x81\x7c"[..], &[b'a'; 16_000]].concat();
        flood.extend(frame(CONTINUATION, 0, 1, &literal));
    }
    assert_eq!(go_away(&served, &flood).await, Some(ENHANCE_YOUR_CALM));
    served.good_client_is_served().await;
    served.until(|metrics| metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn a_thousand_requests_on_one_connection_are_all_answered() {
    let served = Served::start(Limits { requests: 100, ..Limits::default() });
    let Version::H2(sender) = served.connect(H2).await.version else { unreachable!() };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..1000 {
        let mut sender = sender.clone();
        let request = http::Request::builder().uri(format!("https://localhost{METRIC}"));
        tasks.spawn(async move {
            sender.ready().await.unwrap();
            let request = request.body(Body::empty()).unwrap();
            sender.send_request(request).await.unwrap().status().as_u16()
        });
    }
    let codes = within(tasks.join_all()).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
    served.good_client_is_served().await;
}

/// Ten thousand in all. The client keeps no more sockets than fit below the usual limit of 1,024
/// files: the server has ended the older ones by then.
#[tokio::test]
async fn ten_thousand_half_open_handshakes_keep_nobody_out() {
    const KEPT: usize = 400;
    let served = Served::start(Limits::default());
    let limit = i64::try_from(Limits::default().handshakes).unwrap();
    let mut half_open = VecDeque::new();
    for nth in 1..=10_000 {
        let mut stream = served.tcp().await;
        stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
        half_open.push_back(stream);
        if half_open.len() > KEPT {
            half_open.pop_front();
        }
        if nth % 1000 == 0 {
            served.good_client_is_served().await;
            assert!(served.metrics.handshakes() <= limit, "{}", served.metrics.handshakes());
        }
    }
    served.until(|metrics| metrics.handshakes() <= limit).await;
    served.until(|metrics| metrics.failed_handshakes() >= 9_000).await;
    served.good_client_is_served().await;
    drop(half_open);
    served.until(|metrics| metrics.handshakes() == 0).await;
}

#[tokio::test]
async fn idle_connections_make_room_for_those_that_ask() {
    let limits = Limits { connections: 4, ..Limits::default() };
    let served = Served::start(limits);
    let mut asking = served.connect(H2).await;
    let mut idle = vec![];
    for nth in 0..40 {
        idle.push(served.tls(if nth % 2 == 0 { HTTP1 } else { H2 }).await);
        // The one that asks is never the one to go.
        assert_eq!(asking.get(METRIC).await.unwrap().0, 200);
        // Four, and as many that are about to end.
        assert!(served.metrics.open_connections() <= 8);
    }
    served.good_client_is_served().await;
    served.until(|metrics| metrics.open_connections() <= 4).await;
}
