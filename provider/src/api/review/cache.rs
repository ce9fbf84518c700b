//! Remembers answers for a time, asks once for all who wait, and asks ahead.
//!
//! An answer's age counts from when it was asked for, and goes through three times ([`Life`]):
//!
//! ```text
//!  asked            refresh                   fresh                         hold
//!    ├─ from memory ───┼─ from memory, and ──────┼─ asked again; the old ──────┼─ forgotten
//!    │                 │  asked in the background │  one where that fails       │
//! ```

use std::{
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout},
};

use crate::api::review::{Failure, metrics::Found};

/// How long a client waits for a new answer where there is an old one to fall back on.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two attempts to renew an answer while they fail.
const PAUSE: Duration = Duration::from_secs(5);

/// The ages of an answer; each at least as large as the one before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// From here on it is renewed when it is used.
    pub(super) refresh: Duration,
    /// From here on it only counts where it cannot be renewed.
    pub(super) fresh: Duration,
    /// From here on it does not count.
    pub(super) hold: Duration,
}

impl Life {
    /// Counts for `life` and no longer.
    pub(super) fn exactly(life: Duration) -> Self {
        Self { refresh: life, fresh: life, hold: life }
    }
}

/// What to do for one who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Use { renew: bool, found: Found },
    Ask { or_hold: bool },
}

/// The step for an answer of this life and age; `failed` is the time since renewing it failed.
fn step(known: Option<(Life, Duration)>, failed: Option<Duration>) -> Step {
    let renew = failed.is_none_or(|since| since >= PAUSE);
    match known {
        Some((life, age)) if age < life.refresh => Step::Use { renew: false, found: Found::Hit },
        Some((life, age)) if age < life.fresh => Step::Use { renew, found: Found::Hit },
        // The last attempt failed: nobody waits for the next one.
        Some((life, age)) if age < life.hold && failed.is_some() => {
            Step::Use { renew, found: Found::Held }
        }
        Some((life, age)) => Step::Ask { or_hold: age < life.hold },
        None => Step::Ask { or_hold: false },
    }
}

/// Answers `A` to questions `K`. Bounded; what is asked often stays, whatever comes by once.
pub(super) struct Cache<K, A> {
    slots: moka::future::Cache<K, Arc<Slot<A>>>,
}

struct Slot<A> {
    state: Mutex<State<A>>,
}

struct State<A> {
    /// The answer and when it was asked for.
    known: Option<(A, Instant)>,
    /// Since when renewing fails.
    failed: Option<Instant>,
    /// The question under way.
    flight: Option<(AbortHandle, Flight<A>)>,
}

type Flight<A> = Shared<BoxFuture<'static, Result<A, Failure>>>;

impl<K, A> Cache<K, A>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    A: Clone + Send + Sync + 'static,
{
    /// Holds questions up to a sum of `capacity` by `weigh`.
    pub(super) fn new(capacity: u64, weigh: fn(&K) -> usize) -> Self {
        let slots = moka::future::Cache::builder()
            .max_capacity(capacity)
            .weigher(move |key, _: &Arc<Slot<A>>| u32::try_from(weigh(key)).unwrap_or(u32::MAX))
            .build();
        Self { slots }
    }

    /// The answer to `key`, and where it is from. `ask` gets it; it runs in a task of its own, so
    /// that a client that goes away takes nobody's answer along.
    pub(super) async fn find<F>(
        &self,
        key: &K,
        life: impl Fn(&A) -> Life,
        ask: impl FnOnce() -> F,
    ) -> Result<(A, Found), Failure>
    where
        F: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        let slot = self.slots.get_with_by_ref(key, async { Arc::default() }).await;
        let (flight, held) = {
            let mut state = slot.lock();
            let now = Instant::now();
            let step = state.step(&life, now);
            let known = state.known.as_ref().map(|(answer, _)| answer.clone());
            match (step, known) {
                (Step::Use { renew, found }, Some(answer)) => {
                    if renew {
                        // It runs whether anybody waits for it or not.
                        drop(slot.flight(&mut state, ask));
                    }
                    return Ok((answer, found));
                }
                (Step::Ask { or_hold: true }, held) => (slot.flight(&mut state, ask), held),
                _ => (slot.flight(&mut state, ask), None),
            }
        };
        let Some(held) = held else { return Ok((flight.await?, Found::Miss)) };
        match timeout(PATIENCE, flight).await {
            Ok(Ok(answer)) => Ok((answer, Found::Miss)),
            Ok(Err(_)) => Ok((held, Found::Held)),
            Err(_) => {
                // Slow is as good as failed: the next one does not wait.
                slot.lock().failed.get_or_insert_with(Instant::now);
                Ok((held, Found::Held))
            }
        }
    }

    /// The answer to `key` where there is one that counts; nothing is asked.
    pub(super) async fn peek(&self, key: &K, life: impl Fn(&A) -> Life) -> Option<(A, Found)> {
        let slot = self.slots.get(key).await?;
        let state = slot.lock();
        let (answer, asked) = state.known.as_ref()?;
        let (life, age) = (life(answer), asked.elapsed());
        let found = if age < life.fresh { Found::Hit } else { Found::Held };
        (age < life.hold).then(|| (answer.clone(), found))
    }

    /// How many questions it holds, once it has tidied up.
    #[cfg(test)]
    pub(super) async fn len(&self) -> u64 {
        self.slots.run_pending_tasks().await;
        self.slots.entry_count()
    }
}

impl<A> Default for Slot<A> {
    fn default() -> Self {
        Self { state: Mutex::new(State { known: None, failed: None, flight: None }) }
    }
}

impl<A: Clone + Send + Sync + 'static> Slot<A> {
    fn lock(&self) -> MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The question under way, or a new one.
    fn flight<F>(self: &Arc<Self>, state: &mut State<A>, ask: impl FnOnce() -> F) -> Flight<A>
    where
        F: Future<Output = Result<A, Failure>> + Send + 'static,
    {
        if let Some((task, flight)) = &state.flight
            && !task.is_finished()
        {
            return flight.clone();
        }
        let (slot, asked, answer) = (self.clone(), Instant::now(), ask());
        let task = tokio::spawn(async move {
            let answer = answer.await;
            slot.lock().settle(asked, &answer);
            answer
        });
        let handle = task.abort_handle();
        let flight = async move { task.await.unwrap_or(Err(Failure::Dropped)) }.boxed().shared();
        state.flight = Some((handle, flight.clone()));
        flight
    }
}

impl<A: Clone> State<A> {
    fn step(&self, life: impl Fn(&A) -> Life, now: Instant) -> Step {
        let known = self.known.as_ref().map(|(answer, asked)| (life(answer), now - *asked));
        step(known, self.failed.map(|failed| now - failed))
    }

    fn settle(&mut self, asked: Instant, answer: &Result<A, Failure>) {
        self.flight = None;
        match answer {
            Ok(answer) => {
                self.known = Some((answer.clone(), asked));
                self.failed = None;
            }
            // An answer that was there holds as long as it may; an error is not remembered as one.
            Err(_) => self.failed = Some(Instant::now()),
        }
    }
}

#[cfg(test)]
mod tests;
