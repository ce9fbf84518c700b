//! What clients asked and what they were answered, in bounded memory.
//!
//! ```text
//! api::record ─▶ Pending ─▶ Exchange ─▶ Recorder ─▶ /fake/requests, the page, expectations
//!                  └ body::peek, body::Capture         └ rates
//! ```

pub(crate) mod body;
pub(crate) mod exchange;
pub(crate) mod rates;
mod show;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{
    control::{RecordedRequest, RequestLog},
    recorder::{
        exchange::{Exchange, Route},
        rates::{Rates, Recent},
    },
};

/// Most exchanges kept; beyond it the oldest go, while the counts stay.
const MAX_EXCHANGES: usize = 1000;

/// Most bytes of headers and bodies kept; beyond it the oldest exchanges go.
const MAX_BYTES: usize = 32 << 20;

/// The exchanges in the order in which they were answered.
#[derive(Debug)]
pub(crate) struct Recorder {
    // A lock of its own, held to push or to clone handles and never to render or to wait: asking
    // for the log does not hold up queries.
    log: Mutex<Log>,
    /// The number of the newest exchange, for those who wait for one.
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Log {
    /// Number of the newest exchange.
    newest: u64,
    /// Exchanges since the last reset.
    total: u64,
    rates: Rates,
    exchanges: VecDeque<Arc<Exchange>>,
    /// What the exchanges kept may weigh together.
    bytes: usize,
}

impl Recorder {
    /// Adds an exchange that was answered at `now`, Unix seconds.
    pub(crate) fn record(&self, now: i64, route: &Route, mut exchange: Exchange) {
        let weight = exchange.weight();
        let newest = {
            let mut log = self.lock();
            log.newest += 1;
            log.total += 1;
            log.rates.count(now, route, exchange.status);
            log.bytes += weight;
            exchange.id = log.newest;
            log.exchanges.push_back(Arc::new(exchange));
            log.shed();
            log.newest
        };
        // Exchanges that end together may get here in another order.
        self.newest.send_if_modified(|seen| {
            let newer = *seen < newest;
            *seen = newest.max(*seen);
            newer
        });
    }

    /// Everything so far, without headers and bodies.
    pub(crate) fn log(&self) -> RequestLog {
        let (total, counts, exchanges) = {
            let log = self.lock();
            (log.total, log.rates.totals(), log.exchanges.clone())
        };
        RequestLog { total, counts, requests: exchanges.iter().map(|it| it.summary()).collect() }
    }

    /// The exchanges kept, oldest first.
    pub(crate) fn exchanges(&self) -> Vec<RecordedRequest> {
        let exchanges = self.lock().exchanges.clone();
        exchanges.iter().map(|exchange| exchange.full()).collect()
    }

    /// The summaries of the last `count` exchanges, as far as they are later than number `after`.
    #[cfg_attr(not(test), expect(dead_code, reason = "the page comes next"))]
    pub(crate) fn later_than(&self, after: u64, count: usize) -> Vec<RecordedRequest> {
        let later: Vec<_> = {
            let log = self.lock();
            let newest_first = log.exchanges.iter().rev().take_while(|it| after < it.id);
            newest_first.take(count).cloned().collect()
        };
        later.iter().rev().map(|exchange| exchange.summary()).collect()
    }

    /// The exchange with this number, if it is still kept.
    pub(crate) fn exchange(&self, id: u64) -> Option<RecordedRequest> {
        let found = self.lock().exchanges.iter().rev().find(|it| it.id == id).cloned();
        found.map(|exchange| exchange.full())
    }

    /// Exchanges of the last minutes by second.
    #[expect(dead_code, reason = "the page comes next")]
    pub(crate) fn recent(&self, now: i64) -> Recent {
        self.lock().rates.recent(now)
    }

    /// The number of the newest exchange, to wait for a newer one.
    #[cfg_attr(not(test), expect(dead_code, reason = "the page comes next"))]
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Forgets everything but the numbering, so that no two exchanges share a number.
    pub(crate) fn clear(&self) {
        let mut log = self.lock();
        *log = Log { newest: log.newest, ..Log::default() };
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        // No code under the lock leaves the log half changed, so a panic does no harm to it.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self { log: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl Log {
    /// Lets the oldest exchanges go until the rest is within the limits.
    fn shed(&mut self) {
        while MAX_EXCHANGES < self.exchanges.len() || MAX_BYTES < self.bytes {
            let Some(oldest) = self.exchanges.pop_front() else { break };
            self.bytes -= oldest.weight();
        }
    }
}

#[cfg(test)]
mod tests;
