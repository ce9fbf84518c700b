use axum::http::{HeaderMap, Method};
use jiff::Timestamp;

use super::*;
use crate::recorder::{
    body::{MAX_KEPT, Received, tap},
    exchange::Prints,
};

fn exchange(path: &str) -> Exchange {
    Exchange {
        id: 0,
        time: Timestamp::UNIX_EPOCH,
        method: Method::GET,
        path: path.to_owned(),
        query: std::collections::BTreeMap::new(),
        prints: Prints::default(),
        request_headers: HeaderMap::new(),
        request_body: Received::default(),
        status: 200,
        duration: std::time::Duration::ZERO,
        faults: Vec::new(),
        response_headers: HeaderMap::new(),
        response_body: tap(axum::body::Body::empty()).0,
        response_weight: 0,
    }
}

fn route(path: Option<&str>) -> Route {
    Route::new(&Method::GET, path)
}

#[test]
fn only_the_last_requests_are_kept_but_all_are_counted() {
    let recorder = Recorder::default();
    for index in 0..=MAX_EXCHANGES {
        recorder.record(0, &route(None), exchange(&format!("/{index}")));
    }
    recorder.record(0, &route(Some("/api/v1/query")), exchange("/api/v1/query"));
    let log = recorder.log();
    assert_eq!((log.total, log.requests.len()), (1002, MAX_EXCHANGES));
    assert_eq!((log.requests[0].path.as_str(), log.requests[0].id), ("/2", 3));
    let counts: Vec<_> = log.counts.iter().map(|it| (it.path.as_str(), it.count)).collect();
    assert_eq!(counts, [("/api/v1/query", 1), ("other", 1001)]);
}

#[test]
fn large_bodies_push_old_exchanges_out() {
    let recorder = Recorder::default();
    for _ in 0..MAX_EXCHANGES {
        let head = vec![0; MAX_KEPT];
        let request_body = Received { head, ..Received::default() };
        let exchange = Exchange { request_body, response_weight: usize::MAX, ..exchange("/") };
        recorder.record(0, &route(None), exchange);
    }
    let kept = recorder.log().requests.len();
    assert!((200..=MAX_BYTES / (2 * MAX_KEPT)).contains(&kept), "{kept}");
}

#[test]
fn an_exchange_is_found_by_its_number_until_it_is_forgotten() {
    let recorder = Recorder::default();
    recorder.record(0, &route(None), exchange("/a"));
    recorder.record(0, &route(None), exchange("/b"));
    assert_eq!(recorder.exchange(2).unwrap().path, "/b");
    assert!(recorder.exchange(2).unwrap().exchange.is_some());
    assert_eq!(recorder.exchange(3), None);
    let paths = |after, count| {
        let later = recorder.later_than(after, count).into_iter();
        later.map(|it| it.path).collect::<Vec<_>>()
    };
    assert_eq!((paths(0, 9), paths(0, 1)), (vec!["/a".into(), "/b".into()], vec!["/b".into()]));
    assert_eq!(paths(2, 9), Vec::<String>::new());

    recorder.clear();
    assert_eq!(recorder.exchange(2), None);
    recorder.record(0, &route(None), exchange("/c"));
    assert_eq!(recorder.log().requests[0].id, 3);
}

#[tokio::test]
async fn a_new_exchange_is_told_to_those_who_wait() {
    let recorder = Recorder::default();
    let mut newest = recorder.newest();
    recorder.record(0, &route(None), exchange("/a"));
    newest.changed().await.unwrap();
    assert_eq!(*newest.borrow(), 1);
}
