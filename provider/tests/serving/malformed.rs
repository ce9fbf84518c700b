//! Requests that are too big, too many things at once, or not HTTP.

use super::*;

fn small() -> Limits {
    Limits { header_bytes: 16 << 10, headers: 50, ..Limits::default() }
}

/// The status line's code; none where the server just hung up.
fn code(answer: &str) -> Option<u16> {
    answer.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()
}

#[tokio::test]
async fn bombs_in_the_head_are_refused() {
    let served = Served::start(small());
    let long = "a".repeat(200 << 10);
    let many = "a: b\r\n".repeat(51);
    for bomb in [
        format!("GET /{long} HTTP/1.1\r\n\r\n"),
        format!("GET /{long}"),
        format!("{long}{long}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\na: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{long}: a\r\n"),
        format!("GET / HTTP/1.1\r\nHost: a\r\na: {long}"),
        format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"),
    ] {
        let answer = served.raw(&bomb).await;
        let code = code(&answer);
        assert!(matches!(code, None | Some(400 | 414 | 431)), "{code:?} {}", &bomb[..40]);
        served.good_client_is_served().await;
    }
    served.until(|metrics| metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn a_head_that_is_too_big_for_http2_is_refused_and_the_connection_lives_on() {
    let served = Served::start(small());
    let mut sender = served.connect(H2).await;
    let bomb = sender.request(METRIC).header("a", "a".repeat(20 << 10));
    let (parts, _) = sender.send(bomb.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(parts.status, 431);
    assert_eq!(sender.get(METRIC).await.unwrap().0, 200);
}

#[tokio::test]
async fn bodies_are_refused_or_not_read() {
    let served = Served::start(Limits::default());
    let head = format!("GET {METRIC} HTTP/1.1\r\nHost: a\r\n");
    let huge = served.raw(format!("{head}Content-Length: 99999999999\r\n\r\n")).await;
    assert_eq!(code(&huge), Some(413), "{huge}");
    assert!(huge.contains(r#""reason":"RequestEntityTooLarge""#), "{huge}");
    let chunk = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
    let endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n{}", chunk.repeat(64));
    assert!(matches!(code(&served.raw(endless).await), None | Some(200)));
    let mut sender = served.connect(H2).await;
    let request = sender.request(METRIC).body(Body::from("a".repeat(1 << 20)));
    let (parts, _) = sender.send(request.unwrap()).await.unwrap();
    assert_eq!(parts.status, 413);
    assert_eq!(sender.get(METRIC).await.unwrap().0, 200);
    served.good_client_is_served().await;
}

#[tokio::test]
async fn odd_requests_are_answered_or_refused() {
    let served = Served::start(Limits::default());
    let mut wrong = vec![];
    for (good, request) in [
        (true, "GET /livez HTTP/1.0\r\n"),
        (true, "GET https://other:1/livez HTTP/1.1\r\n"),
        (true, "GET /livez HTTP/1.1\r\nUpgrade: websocket\r\n"),
        (true, "GET /livez HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
        (false, "CONNECT other:443 HTTP/1.1\r\n"),
        (false, "OPTIONS * HTTP/1.1\r\n"),
        (false, "TRACE /livez HTTP/1.1\r\n"),
        (false, "get /livez HTTP/1.1\r\n"),
        (false, "GET livez HTTP/1.1\r\n"),
        (false, "GET  HTTP/1.1\r\n"),
        (false, "GET /livez HTTP/3.0\r\n"),
        (false, "GET /livez HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
        (false, "GET /livez HTTP/1.1\r\nContent-Length: -1\r\n"),
        (false, "GET /livez HTTP/1.1\r\nTransfer-Encoding: gzip\r\n"),
        (false, "GET /livez HTTP/1.1\r\na b: c\r\n"),
        (false, "GET /livez HTTP/1.1\r\na: \0\r\n"),
        (false, "GET /li\0vez HTTP/1.1\r\n"),
        (false, "PRI * HTTP/2.0\r\n\r\nSM\r\n"),
        (false, "\u{7f}\u{1}\u{2} nothing\r\n"),
    ] {
        let answer = served.raw(format!("{request}Host: a\r\nConnection: close\r\n\r\n")).await;
        let answered = match code(&answer) {
            Some(200) => good,
            Some(400..500) | None => !good,
            Some(_) => false,
        };
        if !answered {
            wrong.push((request, answer));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    served.good_client_is_served().await;
    served.until(|metrics| metrics.open_connections() == 0).await;
}

#[tokio::test]
async fn plain_http_is_no_handshake() {
    let served = Served::start(Limits::default());
    let mut stream = served.tcp().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let _ = within(stream.read_to_end(&mut vec![])).await;
    served.until(|metrics| metrics.failed_handshakes() == 1).await;
    served.good_client_is_served().await;
}

#[tokio::test]
async fn no_path_leads_out_of_its_place() {
    let served = Served::start(Limits::default());
    let version = "/apis/external.metrics.k8s.io/v1beta1";
    let paths = [
        "//metrics",
        "/./metrics",
        "/../metrics",
        "/%2e%2e/metrics",
        "/%2E/metrics",
        "/livez/../metrics",
        "/livez/..%2fmetrics",
        "/livez%2f..%2fmetrics",
        "/%6detrics",
        "/metrics/",
        "/metrics%00",
        "/metrics;a",
        "/apis//external.metrics.k8s.io/v1beta1",
        "/apis/external.metrics.k8s.io/v1beta1/",
        "/apis/external.metrics.k8s.io/v1beta1/../../../metrics",
        &format!("{version}/namespaces/../../../../metrics"),
        &format!("{version}/namespaces//queue.depth"),
        &format!("{version}/namespaces//externalmetrics"),
        &format!("{version}/namespaces/%2e%2e/queue.depth"),
        &format!("{version}/namespaces/default%2fqueue.depth"),
        &format!("{version}/namespaces/other%2f..%2fdefault/queue.depth"),
        &format!("{version}/namespaces/default/..%2fdefault%2fqueue.depth"),
        &format!("{version}/namespaces/default/../default/queue.depth"),
        &format!("{version}/namespaces/default/queue.depth/"),
        &format!("{version}/namespaces/default/queue.depth%00"),
        &format!("{version}/namespaces/default/%ff"),
        &format!("{version}/namespaces/default/%"),
    ];
    for protocol in [HTTP1, H2] {
        let mut sender = served.connect(protocol).await;
        for path in paths {
            sender.ready().await.unwrap();
            let (code, body) = sender.get(path).await.unwrap();
            assert!(matches!(code, 400 | 404), "{path}: {code} {body}");
        }
    }
    served.good_client_is_served().await;
}
