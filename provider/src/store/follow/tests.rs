use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::{Body, BodyDataStream, Bytes, to_bytes},
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
};
use futures::StreamExt;
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, advance, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::{
    lead::{Leadership, LeaseView, Role},
    store::{
        Asking, Outcome, Snapshot,
        known::{News, line::Reader},
    },
    testing,
};

mod sockets;

pub(super) fn leader() -> Leadership {
    Leadership { role: Role::Leader, ..Leadership::default() }
}

pub(super) fn follower_of(address: Option<SocketAddr>) -> Leadership {
    let lease = LeaseView {
        name: "datadog/datadog-leader-election".to_owned(),
        holder: "dca-0".to_owned(),
        address,
        acquired: None,
        renewed: None,
        transitions: 1,
    };
    Leadership { lease: Some(lease), ..Leadership::default() }
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_764_072_000).unwrap()
}

/// A replica that tells.
pub(super) struct Teller {
    pub(super) store: watch::Sender<Arc<Snapshot>>,
    pub(super) leadership: watch::Sender<Leadership>,
    pub(super) stopping: CancellationToken,
    pub(super) router: Router,
}

impl Teller {
    pub(super) fn new(snapshot: Snapshot, leadership: Leadership) -> Self {
        let (store, store_receiver) = watch::channel(Arc::new(snapshot));
        let (leadership, leadership_receiver) = watch::channel(leadership);
        let stopping = CancellationToken::new();
        let router = routes(store_receiver, leadership_receiver, stopping.clone());
        Self { store, leadership, stopping, router }
    }

    /// One more answer about the metric at `position`.
    pub(super) fn change(&self, position: usize) {
        let mut snapshot = Snapshot::clone(&self.store.borrow());
        snapshot.at_mut(position).unwrap().last = Some((now(), Outcome::NoSeries));
        self.store.send_replace(Arc::new(snapshot));
    }

    async fn ask(&self) -> (StatusCode, Body) {
        let request = Request::get(PATH).body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        (response.status(), response.into_body())
    }

    async fn listen(&self) -> Listener {
        let (status, body) = self.ask().await;
        assert_eq!(status, StatusCode::OK);
        Listener { body: body.into_data_stream(), reader: Reader::default() }
    }
}

/// Who reads a stream without a network.
struct Listener {
    body: BodyDataStream,
    reader: Reader,
}

impl Listener {
    /// The next bytes, or `None` at the end.
    async fn bytes(&mut self) -> Option<Bytes> {
        self.body.next().await.map(Result::unwrap)
    }

    async fn news(&mut self) -> News {
        loop {
            let bytes = self.bytes().await.expect("news before the end");
            let news = self.reader.feed(&bytes).unwrap().pop();
            assert_eq!(self.reader.unreadable(), None);
            if let Some(news) = news {
                return news;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn all_is_told_first_and_then_what_changes() {
    let teller = Teller::new(testing::fleet(1000, now()), leader());
    let mut listener = teller.listen().await;
    let news = listener.news().await;
    assert!(news.complete && news.asking.is_some());
    assert_eq!(news.known.len(), 1000);
    teller.change(700);
    let news = listener.news().await;
    assert!(!news.complete && news.asking.is_none());
    assert_eq!(news.known.len(), 1);
    assert!(matches!(news.known[0].1.last, Some((_, Outcome::NoSeries))));
    let asking = Asking { refused: 1, ..Asking::default() };
    let snapshot = Snapshot::clone(&teller.store.borrow()).with(Arc::new(asking));
    teller.store.send_replace(Arc::new(snapshot));
    let news = listener.news().await;
    assert_eq!((news.known.len(), news.asking.unwrap().refused), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn each_second_has_a_word() {
    let teller = Teller::new(testing::fleet(1, now()), leader());
    let mut listener = teller.listen().await;
    listener.news().await;
    let before = Instant::now();
    for second in 1..=3 {
        assert_eq!(listener.bytes().await.unwrap(), "\"heartbeat\"\n");
        assert_eq!(before.elapsed().as_millis() / 10, second * 100);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_as_complete_before_the_demand_is_known() {
    let teller = Teller::new(Snapshot::default(), leader());
    let mut listener = teller.listen().await;
    assert_eq!(listener.bytes().await.unwrap(), "\"heartbeat\"\n");
    teller.store.send_replace(Arc::new(testing::fleet(2, now())));
    assert_eq!(listener.news().await.known.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn changes_within_a_tenth_of_a_second_are_told_together() {
    let teller = Teller::new(testing::fleet(10, now()), leader());
    let mut listener = teller.listen().await;
    listener.news().await;
    advance(PACE).await;
    teller.change(0);
    assert_eq!(listener.news().await.known.len(), 1);
    let before = Instant::now();
    teller.change(1);
    let (changes, news) = tokio::join!(
        async {
            tokio::time::sleep(PACE / 2).await;
            teller.change(2);
        },
        listener.news()
    );
    let () = changes;
    assert_eq!(news.known.len(), 2);
    assert_eq!(before.elapsed().as_millis() / 10, 10);
}

#[tokio::test(start_paused = true)]
async fn a_slow_follower_gets_the_newest_state_not_all_that_were_between() {
    let teller = Teller::new(testing::fleet(500, now()), leader());
    let mut listener = teller.listen().await;
    // Of the first state it has read the beginning.
    listener.bytes().await.unwrap();
    for position in 0..200 {
        teller.change(position % 10);
        advance(PACE).await;
    }
    // It goes on with the state that it began with, then comes the newest.
    let mut news = 0;
    let mut metrics = 0;
    while let Ok(Some(bytes)) = timeout(HEARTBEAT / 2, listener.bytes()).await {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        news += text.lines().filter(|line| line.starts_with("{\"begin\"")).count();
        metrics += text.lines().filter(|line| line.starts_with("{\"metric\"")).count();
    }
    assert_eq!(news, 1);
    assert!(metrics < 500 + 10, "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_when_we_lead_no_more_or_stop() {
    for stop in [true, false] {
        let teller = Teller::new(testing::fleet(1, now()), leader());
        let mut listener = teller.listen().await;
        listener.news().await;
        let end = async {
            if stop {
                teller.stopping.cancel();
            } else {
                teller.leadership.send_replace(follower_of(None));
            }
        };
        let ((), last) = tokio::join!(end, listener.bytes());
        assert_eq!(last, None);
    }
}

#[tokio::test]
async fn who_does_not_lead_says_who_does() {
    let words = async |leadership, stop: bool| {
        let teller = Teller::new(testing::fleet(1, now()), leadership);
        if stop {
            teller.stopping.cancel();
        }
        let (status, body) = teller.ask().await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        String::from_utf8(to_bytes(body, 1000).await.unwrap().to_vec()).unwrap()
    };
    let address = "10.0.0.7:5005".parse().ok();
    insta::assert_snapshot!(words(follower_of(address), false).await, @"this replica does not lead, dca-0 at 10.0.0.7:5005 does");
    insta::assert_snapshot!(words(follower_of(None), false).await, @"this replica does not lead, dca-0 does");
    insta::assert_snapshot!(words(Leadership::default(), false).await, @"this replica does not lead, nobody does");
    insta::assert_snapshot!(words(leader(), true).await, @"this replica is shutting down");
}

#[tokio::test]
async fn there_are_so_many_followers_and_no_more() {
    let teller = Teller::new(testing::fleet(1, now()), leader());
    let mut followers = Vec::new();
    loop {
        let (status, body) = teller.ask().await;
        if status != StatusCode::OK {
            break;
        }
        followers.push(body);
    }
    assert_eq!(followers.len(), 16);
    followers.pop();
    assert_eq!(teller.ask().await.0, StatusCode::OK);
}

/// Figures for docs/state.md: `cargo test -p provider --lib ten_thousand -- --nocapture`.
#[tokio::test(start_paused = true)]
async fn ten_thousand_metrics_cost_some_megabytes() {
    let teller = Teller::new(testing::fleet(10_000, now()), leader());
    let mut listener = teller.listen().await;
    let mut bytes = [0; 2];
    for bytes in &mut bytes {
        while let Ok(Some(chunk)) = timeout(HEARTBEAT / 2, listener.bytes()).await {
            *bytes += chunk.len();
        }
        let fleet = Snapshot::clone(&teller.store.borrow());
        teller.store.send_replace(Arc::new(testing::refreshed(fleet, Timestamp::now())));
    }
    println!("10,000 metrics: {} bytes complete, {} per refresh", bytes[0], bytes[1]);
    assert!(bytes.iter().all(|bytes| (1 << 20..8 << 20).contains(bytes)), "{bytes:?}");
}
