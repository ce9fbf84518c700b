use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Router, serve};
use clap::{Args as _, Command};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::load::{Args, Config, Connections, Load, LoadError, LoadReport, Place, is_service, run};

/// Serves `router` on a free port of loopback; gives its address.
async fn serve_on_loopback(router: Router) -> Url {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { serve(listener, router).await });
    Url::parse(&format!("http://{address}/")).expect("a URL")
}

fn config(url: Url, rate_per_s: f64, limit: Duration) -> Config {
    let (place, connections) = (Place::Loopback, Connections::Kept);
    Config { url, place, rate_per_s, max_in_flight: 100, limit, connections }
}

#[tokio::test]
async fn the_server_sees_exactly_what_was_sent_at_the_set_rate() {
    let seen = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&seen);
    let handler = get(async move || count.fetch_add(1, Ordering::Relaxed).to_string());
    let url = serve_on_loopback(Router::new().route("/", handler)).await;

    let load = Load::start(config(url, 200.0, Duration::from_millis(500))).expect("a load");
    let report = load.finished().await;
    assert_eq!(report.counts.offered(), 100, "{report}");
    assert_eq!(report.counts.succeeded, 100, "{report}");
    assert_eq!(report.counts.in_flight(), 0);
    assert_eq!(seen.load(Ordering::Relaxed), 100);
    // The last interval counts as well, so that the rate is never more than what was asked for.
    assert!(Duration::from_millis(500) <= report.duration, "{report}");
    assert!(report.achieved_rate() <= 200.0, "{report}");
    assert_eq!(report.first_error, None);
}

#[tokio::test]
async fn a_stall_of_the_server_neither_stops_the_load_nor_hides_in_the_latencies() {
    // Nothing is answered before all 20 requests are there: a closed loop would wait forever.
    let all_there = Arc::new(Semaphore::new(0));
    let waiting = Arc::new(AtomicU64::new(0));
    let handler = get(async move || {
        if waiting.fetch_add(1, Ordering::SeqCst) == 19 {
            all_there.add_permits(20);
        }
        all_there.acquire().await.expect("open").forget();
    });
    let url = serve_on_loopback(Router::new().route("/", handler)).await;

    let load = Load::start(config(url, 100.0, Duration::from_millis(200))).expect("a load");
    let report = load.finished().await;
    assert_eq!(report.counts.succeeded, 20, "{report}");
    let latency = report.latency.expect("answers");
    assert!(Duration::from_millis(170) < latency.max, "{report}");
    assert!(Duration::from_millis(70) < latency.p50, "{report}");
}

#[tokio::test]
async fn over_the_cap_of_requests_in_flight_a_send_is_dropped_and_counted() {
    let released = Arc::new(Semaphore::new(0));
    let answers = Arc::clone(&released);
    let handler = get(async move || answers.acquire().await.expect("open").forget());
    let url = serve_on_loopback(Router::new().route("/", handler)).await;
    let config = Config { max_in_flight: 3, ..config(url, 500.0, Duration::from_secs(60)) };

    let load = Load::start(config).expect("a load");
    while load.counts().dropped < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!((load.counts().sent, load.counts().in_flight()), (3, 3));
    released.add_permits(1_000_000);
    let report = load.stop().await;
    assert_eq!(report.counts.failed, 0, "{report}");
    assert_eq!(report.counts.offered(), report.counts.sent + report.counts.dropped);
    assert!(report.to_string().contains("more dropped: too many were unanswered"), "{report}");
}

#[tokio::test]
async fn failures_are_counted_and_the_first_is_told() {
    let handler = get(async || StatusCode::SERVICE_UNAVAILABLE);
    let url = serve_on_loopback(Router::new().route("/", handler)).await;
    let load = Load::start(config(url, 100.0, Duration::from_millis(50))).expect("a load");
    let report = load.finished().await;
    assert_eq!((report.counts.succeeded, report.counts.failed), (0, 5));
    assert_eq!(report.latency, None);
    let error = report.first_error.expect("an error");
    assert!(error.contains("503 Service Unavailable"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed_so_that_no_load_leaves_loopback() {
    let handler = get(async || (StatusCode::FOUND, [("location", "http://192.0.2.1/")]));
    let url = serve_on_loopback(Router::new().route("/", handler)).await;
    let load = Load::start(config(url, 100.0, Duration::from_millis(10))).expect("a load");
    let report = load.finished().await;
    assert_eq!((report.counts.sent, report.counts.failed), (1, 1), "{report}");
}

#[tokio::test]
async fn a_dropped_handle_ends_the_load() {
    let handler = get(async || "");
    let url = serve_on_loopback(Router::new().route("/", handler)).await;
    let load = Load::start(config(url, 1_000.0, Duration::from_secs(3600))).expect("a load");
    let (record, sender) = (Arc::clone(&load.record), load.sender.abort_handle());
    drop(load);
    while !sender.is_finished() {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(record.counts().in_flight(), 0);
}

#[tokio::test]
async fn load_on_anything_but_loopback_is_refused() {
    for text in ["http://192.0.2.1/", "http://example.com/", "https://127.0.0.1/", "file:///etc"] {
        let url = Url::parse(text).expect("a URL");
        let error = Load::start(config(url, 1.0, Duration::from_secs(1))).expect_err(text);
        assert!(matches!(error, LoadError::NotAllowed(_)), "{error}");
    }
}

#[tokio::test]
async fn a_service_is_for_pods_only_and_nothing_else_is_for_anybody() {
    for name in ["nginx.default.svc", "nginx.default.svc.cluster.local"] {
        assert!(is_service(name), "{name}");
        let url = Url::parse(&format!("http://{name}/")).expect("a URL");
        let refused = Load::start(config(url, 1.0, Duration::from_secs(1)));
        assert!(matches!(refused, Err(LoadError::NotAllowed(_))), "{name}");
    }
    let address = "192.0.2.1".parse().expect("an address");
    for name in ["example.com", "nginx.svc", "a.b.c.svc", "nginx.default.svc.example.com"] {
        assert!(!is_service(name), "{name}");
        let url = Url::parse(&format!("http://{name}/")).expect("a URL");
        let config =
            Config { place: Place::Service(address), ..config(url, 1.0, Duration::from_secs(1)) };
        assert!(matches!(Load::start(config), Err(LoadError::NotAllowed(_))), "{name}");
    }
}

#[tokio::test]
async fn new_connections_are_new() {
    let seen = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let ports = Arc::clone(&seen);
    let handler = get(async move |connection: axum::extract::ConnectInfo<std::net::SocketAddr>| {
        ports.lock().expect("no panic").insert(connection.port());
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = Url::parse(&format!("http://{}/", listener.local_addr().expect("an address")));
    let url = url.expect("a URL");
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let service = Router::new()
        .route("/", handler)
        .into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { serve(listener, service).await });
    let limit = Duration::from_millis(100);
    let load = Load::start(Config { connections: Connections::New, ..config(url, 100.0, limit) });
    let report = load.expect("a load").finished().await;
    assert_eq!(report.counts.succeeded, 10, "{report}");
    assert_eq!(seen.lock().expect("no panic").len(), 10);
}

#[tokio::test]
async fn impossible_rates_and_caps_are_refused() {
    let url = Url::parse("http://localhost/").expect("a URL");
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e6] {
        let error = Load::start(config(url.clone(), rate, Duration::from_secs(1)));
        assert!(matches!(error, Err(LoadError::Rate(_))), "{rate}");
    }
    let none = Config { max_in_flight: 0, ..config(url, 1.0, Duration::from_secs(1)) };
    assert!(matches!(Load::start(none), Err(LoadError::NoneInFlight)));
}

fn args(url: Url, duration: Duration) -> Args {
    Args {
        url,
        rate: 100.0,
        duration: duration.into(),
        max_in_flight: 10,
        new_connections: false,
        json: false,
        in_pod: None,
    }
}

#[tokio::test]
async fn the_command_ends_when_it_is_told_to_and_fails_when_nothing_was_answered() {
    let url = serve_on_loopback(Router::new().route("/", get(async || ""))).await;
    let began = Instant::now();
    let stop = CancellationToken::new();
    let stopping = async {
        sleep(Duration::from_millis(50)).await;
        stop.cancel();
    };
    let (result, ()) =
        tokio::join!(run(args(url.clone(), Duration::from_secs(60)), stop.clone()), stopping);
    result.expect("it was answered");
    assert!(began.elapsed() < Duration::from_secs(30));

    let missing = url.join("missing").expect("a URL");
    let error = run(args(missing, Duration::from_millis(20)), CancellationToken::new())
        .await
        .expect_err("there is no such page");
    assert!(error.to_string().contains("answered no request"), "{error}");
}

#[test]
fn the_command_line_is_sound() {
    Args::augment_args(Command::new("load")).debug_assert();
}

#[test]
fn a_report_is_short() {
    let report = LoadReport {
        counts: super::Counts { sent: 250, succeeded: 249, failed: 1, dropped: 2 },
        target_rate: 25.0,
        duration: Duration::from_secs(10),
        latency: Some(super::Latency {
            p50: Duration::from_micros(400),
            p99: Duration::from_micros(1_230),
            max: Duration::from_millis(2),
        }),
        first_error: Some("connection refused".into()),
    };
    insta::assert_snapshot!(report, @r"
    250 requests in 10.0s, 25.0/s of 25/s: 249 succeeded, 1 failed, 2 more dropped: too many were unanswered
    latency p50 0.4 ms, p99 1.2 ms, max 2.0 ms
    first error: connection refused
    ");
}
