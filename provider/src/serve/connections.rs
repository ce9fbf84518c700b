//! Who is connected, and who has to go when there are too many. Knows nothing of sockets.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// The connections of a server, in three stages: handshake, open, closing. Each stage is bounded,
/// so that whatever arrives, the server holds at most `max_handshakes + 2 × max_open`.
///
/// An attacker behind one address and a whole cluster behind one proxy look the same, so no count
/// by address: those that do nothing make room for those that come.
#[derive(Debug)]
pub(super) struct Connections {
    max_handshakes: usize,
    max_open: usize,
    stages: Mutex<Stages>,
}

#[derive(Debug, Default)]
struct Stages {
    next: u64,
    /// By arrival.
    handshakes: BTreeMap<u64, Arc<Signals>>,
    open: BTreeMap<u64, Arc<Signals>>,
    closing: BTreeMap<u64, Arc<Signals>>,
}

/// How a connection is told to end, and what it says about itself.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// End at once.
    pub kill: CancellationToken,
    /// End when the requests under way have their answers.
    pub close: CancellationToken,
    pub activity: Activity,
}

/// The place of one connection, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    pub signals: Arc<Signals>,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(max_handshakes: usize, max_open: usize) -> Arc<Self> {
        Arc::new(Self { max_handshakes, max_open, stages: Mutex::default() })
    }

    /// A place among the handshakes; the oldest one ends where there is none left.
    pub(super) fn arrive(self: &Arc<Self>) -> Place {
        let mut stages = self.stages();
        if stages.handshakes.len() >= self.max_handshakes {
            kill_first(&mut stages.handshakes);
        }
        let id = stages.next;
        stages.next += 1;
        let signals = Arc::<Signals>::default();
        stages.handshakes.insert(id, signals.clone());
        Place { id, signals, connections: self.clone() }
    }

    /// Ends the oldest handshake, for when something else than places has run out.
    pub(super) fn make_room(&self) {
        kill_first(&mut self.stages().handshakes);
    }

    fn stages(&self) -> MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kill_first(stage: &mut BTreeMap<u64, Arc<Signals>>) {
    if let Some((_, oldest)) = stage.pop_first() {
        oldest.kill.cancel();
    }
}

impl Place {
    /// The handshake is done. Where there are too many connections the one that is idle for the
    /// longest is closed, one that never asked anything before all others; where all are busy,
    /// this one must go: `false`.
    pub(super) fn open(&self) -> bool {
        let mut stages = self.connections.stages();
        stages.handshakes.remove(&self.id);
        if stages.open.len() >= self.connections.max_open {
            let idle = stages.open.iter().filter_map(|(id, it)| Some((it.activity.rank()?, *id)));
            let Some(victim) = idle.min().and_then(|(_, id)| stages.open.remove_entry(&id)) else {
                return false;
            };
            victim.1.close.cancel();
            if stages.closing.len() >= self.connections.max_open {
                kill_first(&mut stages.closing);
            }
            stages.closing.insert(victim.0, victim.1);
        }
        self.signals.activity.touch();
        stages.open.insert(self.id, self.signals.clone());
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut stages = self.connections.stages();
        let Stages { handshakes, open, closing, .. } = &mut *stages;
        for stage in [handshakes, open, closing] {
            stage.remove(&self.id);
        }
    }
}

/// The requests of one connection.
#[derive(Debug)]
pub(super) struct Activity(Mutex<Usage>);

#[derive(Debug)]
struct Usage {
    under_way: usize,
    served: bool,
    last: Instant,
}

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new(Usage { under_way: 0, served: false, last: Instant::now() }))
    }
}

impl Activity {
    fn usage(&self) -> MutexGuard<'_, Usage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.usage().last = Instant::now();
    }

    /// The lower, the sooner it has to go; `None` while it is busy.
    fn rank(&self) -> Option<(bool, Instant)> {
        let usage = self.usage();
        (usage.under_way == 0).then_some((usage.served, usage.last))
    }

    /// Waits until there has been no request for so long.
    pub(super) async fn idle_for(&self, time: Duration) {
        loop {
            let idle_since = {
                let usage = self.usage();
                (usage.under_way == 0).then_some(usage.last)
            };
            match idle_since {
                Some(since) if since + time <= Instant::now() => return,
                Some(since) => sleep_until(since + time).await,
                // A request that ends meanwhile ends at most this long before the next look.
                None => sleep(time).await,
            }
        }
    }
}

/// A request under way, for as long as this lives.
#[derive(Debug)]
pub(super) struct Busy(Arc<Signals>);

impl Busy {
    pub(super) fn new(signals: Arc<Signals>) -> Self {
        let mut usage = signals.activity.usage();
        usage.under_way += 1;
        usage.served = true;
        drop(usage);
        Self(signals)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut usage = self.0.activity.usage();
        usage.under_way -= 1;
        usage.last = Instant::now();
    }
}

#[cfg(test)]
mod tests;
