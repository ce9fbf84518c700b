//! `GET /fake/live`: server-sent events with what the page shows.
//!
//! | event | every | data |
//! |---|---|---|
//! | `state` | 500 ms | health, faults, rate limits, counts by second, the requests since the last one |
//! | `series` | 2 s | the series with their points, the scripted future too |
//!
//! Parameters: `filter`, words that a series must have; `past`, seconds to look back. An event is
//! made only when the reader took the one before, so a slow reader misses some and costs nothing.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::Uri,
    response::sse::{Event, Sse},
};
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::{
    api::request::Params,
    control::{FaultList, Health, RecordedRequest},
    limit::LimitState,
    page::plot::{Wanted, plots},
    recorder::rates::Recent,
    state::Shared,
};

/// Between two `state` events.
const TICK: Duration = Duration::from_millis(500);

/// Ticks between two `series` events.
const SERIES_TICKS: u32 = 4;

/// Most requests in one event; what came between is counted all the same.
const MAX_REQUESTS: usize = 100;

/// How far the page looks back unless told, in seconds.
const DEFAULT_PAST: i64 = 600;

/// The data of a `state` event.
#[derive(Debug, Serialize)]
struct Status {
    /// Unix milliseconds.
    now: i64,
    health: Health,
    faults: FaultList,
    /// For the key that has least left.
    limits: Vec<LimitState>,
    rates: Recent,
    /// Requests since the start or the last reset.
    total: u64,
    /// Later than those of the event before, oldest first.
    requests: Vec<RecordedRequest>,
}

/// One reader.
struct Reader {
    shared: Shared,
    words: Vec<String>,
    past: i64,
    ticks: Interval,
    tick: u32,
    /// The last request that was told.
    told: u64,
    ready: VecDeque<Event>,
}

pub(crate) async fn events(
    State(shared): State<Shared>,
    uri: Uri,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let params = Params::of(&uri);
    let words = params.get("filter").unwrap_or_default().to_lowercase();
    let past = params.get("past").and_then(|past| past.parse().ok()).unwrap_or(DEFAULT_PAST);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stopping = shared.stopping().clone();
    let reader = Reader {
        words: words.split_whitespace().map(str::to_owned).collect(),
        past: past.clamp(60, crate::store::RETENTION),
        shared,
        ticks,
        tick: 0,
        told: 0,
        ready: VecDeque::new(),
    };
    let events = stream::unfold(reader, |mut reader| async {
        let event = reader.next().await;
        Some((Ok(event), reader))
    });
    Sse::new(events.take_until(stopping.cancelled_owned()))
}

impl Reader {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            self.ticks.tick().await;
            let status = self.status();
            self.ready.extend(status);
            if self.tick.is_multiple_of(SERIES_TICKS) {
                let series = self.series();
                self.ready.extend(series);
            }
            self.tick = self.tick.wrapping_add(1);
        }
    }

    fn status(&mut self) -> Option<Event> {
        let now = Timestamp::now();
        let recorder = self.shared.recorder();
        let requests = recorder.later_than(self.told, MAX_REQUESTS);
        self.told = requests.last().map_or(self.told, |last| last.id);
        let status = Status {
            now: now.as_millisecond(),
            health: self.shared.health(now),
            faults: self.shared.faults(now),
            limits: self.shared.limit_states(now),
            rates: recorder.recent(now.as_second()),
            total: recorder.total(),
            requests,
        };
        event("state", &status)
    }

    fn series(&self) -> Option<Event> {
        let now = Timestamp::now().as_second();
        // Now is at two thirds.
        let (from, to) = (now - self.past, now + self.past / 2);
        let words = self.words.clone();
        event("series", &plots(&self.shared, &Wanted { words, from, now, to }))
    }
}

fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    let event = Event::default().event(name).json_data(data);
    event.inspect_err(|error| tracing::error!(%error, name, "cannot make an event")).ok()
}
