//! What the leader tells.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    lead::{Leadership, Role},
    store::{
        Snapshot,
        follow::{HEARTBEAT, PACE, PATH},
        known::{
            asking_changed, changed,
            line::{Known, Line},
        },
    },
};

/// Followers at a time: there are some replicas, and only who knows the token comes this far.
const FOLLOWERS: usize = 16;
/// Bytes that are made ready at a time, and about one line more.
const CHUNK: usize = 64 << 10;

/// What streams are made from.
#[derive(Debug, Clone)]
struct Source {
    store: watch::Receiver<Arc<Snapshot>>,
    leadership: watch::Receiver<Leadership>,
    stopping: CancellationToken,
    places: Arc<Semaphore>,
}

/// `GET /replica/v1/snapshot`: all that `store` knows, then what changes, as long as we lead and
/// until `stopping`. Who may ask is the caller's business.
pub fn routes(
    store: watch::Receiver<Arc<Snapshot>>,
    leadership: watch::Receiver<Leadership>,
    stopping: CancellationToken,
) -> Router {
    let places = Arc::new(Semaphore::new(FOLLOWERS));
    Router::new().route(PATH, get(follow)).with_state(Source {
        store,
        leadership,
        stopping,
        places,
    })
}

async fn follow(State(source): State<Source>) -> Response {
    let refused = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response();
    if source.stopping.is_cancelled() {
        return refused("this replica is shutting down".to_owned());
    }
    if let Some(elsewhere) = elsewhere(&source.leadership.borrow()) {
        return refused(elsewhere);
    }
    let Ok(place) = source.places.clone().try_acquire_owned() else {
        return refused(format!("this replica has {FOLLOWERS} followers already"));
    };
    let telling = stream::unfold(Telling::new(source, place), Telling::next);
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(telling)).into_response()
}

/// Who leads, if that is not us.
fn elsewhere(leadership: &Leadership) -> Option<String> {
    if leadership.role == Role::Leader {
        return None;
    }
    let lease = leadership.lease.as_ref().filter(|lease| !lease.holder.is_empty());
    let leader = lease.map_or("nobody".to_owned(), |lease| match lease.address {
        Some(address) => format!("{} at {address}", lease.holder),
        None => lease.holder.clone(),
    });
    Some(format!("this replica does not lead, {leader} does"))
}

/// One stream.
struct Telling {
    source: Source,
    told: Option<Arc<Snapshot>>,
    /// What is being told.
    news: Option<Changes>,
    /// When the last news began.
    began: Instant,
    /// When the last byte was asked for.
    spoke: Instant,
    _place: OwnedSemaphorePermit,
}

impl Telling {
    fn new(mut source: Source, place: OwnedSemaphorePermit) -> Self {
        source.store.mark_changed();
        let now = Instant::now();
        Self { source, told: None, news: None, began: now - PACE, spoke: now, _place: place }
    }

    /// The next bytes; `None` is the end.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            let ends = self.source.stopping.is_cancelled()
                || self.source.leadership.borrow().role != Role::Leader;
            if ends {
                return None;
            }
            if let Some(mut news) = self.news.take() {
                let bytes = news.write();
                if !news.ended {
                    self.news = Some(news);
                }
                return Some(self.say(bytes));
            }
            let source = &mut self.source;
            let silent = tokio::select! {
                () = source.stopping.cancelled() => return None,
                _ = source.leadership.wait_for(|it| it.role != Role::Leader) => return None,
                changed = next_change(&mut source.store, self.began + PACE) => {
                    changed.ok()?;
                    false
                }
                () = sleep_until(self.spoke + HEARTBEAT) => true,
            };
            if silent {
                let mut bytes = Vec::new();
                write(&Line::Heartbeat, &mut bytes);
                return Some(self.say(bytes));
            }
            let snapshot = self.source.store.borrow_and_update().clone();
            // What is wanted must be known, or "complete" says that nothing is.
            if snapshot.ready {
                self.began = Instant::now();
                self.news = Changes::between(self.told.as_ref(), snapshot.clone());
                self.told = Some(snapshot);
            }
        }
    }

    fn say(mut self, bytes: Vec<u8>) -> (Result<Bytes, Infallible>, Self) {
        self.spoke = Instant::now();
        (Ok(bytes.into()), self)
    }
}

async fn next_change(
    store: &mut watch::Receiver<Arc<Snapshot>>,
    not_before: Instant,
) -> Result<(), watch::error::RecvError> {
    sleep_until(not_before).await;
    store.changed().await
}

/// What is told from one beginning to the next end. Lines are made when there is room for them.
struct Changes {
    snapshot: Arc<Snapshot>,
    positions: std::vec::IntoIter<usize>,
    /// The line that comes first, and the ones that come last.
    first: Option<Line>,
    asking: bool,
    ended: bool,
}

impl Changes {
    fn between(before: Option<&Arc<Snapshot>>, after: Arc<Snapshot>) -> Option<Self> {
        let (positions, asking) = match before {
            None => ((0..after.len()).collect(), true),
            Some(before) => (changed(before, &after), asking_changed(before, &after)),
        };
        let complete = before.is_none();
        (complete || asking || !positions.is_empty()).then(|| Self {
            snapshot: after,
            positions: positions.into_iter(),
            first: Some(Line::Begin { complete }),
            asking,
            ended: false,
        })
    }

    fn write(&mut self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHUNK + (4 << 10));
        if let Some(first) = self.first.take() {
            write(&first, &mut bytes);
        }
        while bytes.len() < CHUNK {
            let Some(position) = self.positions.next() else {
                if self.asking {
                    write(&Line::Asking(Box::new((*self.snapshot.asking).clone())), &mut bytes);
                }
                write(&Line::End, &mut bytes);
                self.ended = true;
                break;
            };
            let metric = self.snapshot.demand().get(position).zip(self.snapshot.at(position));
            if let Some(known) = metric.and_then(|((key, _), entry)| Known::of(key, entry)) {
                write(&Line::Metric(Box::new(known)), &mut bytes);
            }
        }
        bytes
    }
}

fn write(line: &Line, bytes: &mut Vec<u8>) {
    if let Err(error) = line.write(bytes) {
        tracing::error!(%error, "a line for followers cannot be written");
    }
}
