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
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use tokio::sync::watch;

use crate::{
    control::{RecordedRequest, RequestLog},
    expect::Watch,
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
    /// What tests expect; a reset does not take it back.
    watches: RwLock<Vec<Watch>>,
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
        let exchange = {
            let mut log = self.lock();
            log.newest += 1;
            log.total += 1;
            log.rates.count(now, route, exchange.status);
            log.bytes += weight;
            exchange.id = log.newest;
            let exchange = Arc::new(exchange);
            log.exchanges.push_back(Arc::clone(&exchange));
            log.shed();
            exchange
        };
        self.show_watches(&exchange);
        let newest = exchange.id;
        // Exchanges that end together may get here in another order.
        self.newest.send_if_modified(|seen| {
            let newer = *seen < newest;
            *seen = newest.max(*seen);
            newer
        });
    }

    /// Lets the watches see an exchange; rendered only when there are some.
    fn show_watches(&self, exchange: &Exchange) {
        let watches = self.watches();
        if !watches.is_empty() {
            let request = exchange.full();
            watches.iter().for_each(|it| it.see(&request));
        }
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
    pub(crate) fn recent(&self, now: i64) -> Recent {
        self.lock().rates.recent(now)
    }

    /// The number of the newest exchange, to wait for a newer one.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Exchanges since the start or the last reset.
    pub(crate) fn total(&self) -> u64 {
        self.lock().total
    }

    /// Shows it every exchange from now on.
    pub(crate) fn watch(&self, watch: Watch) {
        self.watches.write().unwrap_or_else(PoisonError::into_inner).push(watch);
    }

    /// True when no watch waits for more.
    pub(crate) fn watches_reached(&self) -> bool {
        self.watches().iter().all(Watch::is_reached)
    }

    /// Reports of the watches that are not met.
    pub(crate) fn unmet(&self) -> Vec<String> {
        let watches = self.watches();
        watches.iter().filter(|it| !it.is_met()).map(ToString::to_string).collect()
    }

    fn watches(&self) -> RwLockReadGuard<'_, Vec<Watch>> {
        self.watches.read().unwrap_or_else(PoisonError::into_inner)
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
        Self { log: Mutex::default(), newest: watch::Sender::new(0), watches: RwLock::default() }
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
