//! Clients that go on asking while something is changed: not one of their requests may fail.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    cluster::local::direct::Direct,
    observe::{Observer, Seen},
    phase::Recorder,
    scenario::SCALED,
};

/// How often each of them asks: bounded, since the machine has more to do.
const EVERY: Duration = Duration::from_millis(50);
/// Failures that are shown.
const SHOWN: usize = 3;

/// The clients; they end with this value.
#[derive(Debug, Default)]
pub(super) struct Steady {
    tasks: JoinSet<()>,
    clients: Vec<(&'static str, Arc<Mutex<Tally>>)>,
}

/// What became of the requests of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    good: u64,
    slowest: Duration,
    failures: Vec<String>,
}

impl Steady {
    /// Has one more client ask for `path`, as the bearer of `token`.
    pub(super) fn add(&mut self, name: &'static str, client: Direct, token: &str, path: String) {
        // A std lock: held for a push or a clone, never across an await.
        let tally = Arc::<Mutex<Tally>>::default();
        self.clients.push((name, tally.clone()));
        let token = token.to_owned();
        self.tasks.spawn(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let asked = Instant::now();
                let failure = match client.get_as(&token, &path).await {
                    Ok(answer) if answer.status == 200 => None,
                    Ok(answer) => Some(answer.describe()),
                    Err(error) => Some(format!("{error:#}")),
                };
                tally
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .count(asked.elapsed(), failure);
            }
        });
    }

    /// Ends them, and asserts that each had an answer to every request.
    pub(super) fn judge(self, recorder: &Recorder) -> anyhow::Result<()> {
        drop(self.tasks);
        for (name, tally) in self.clients {
            let tally = tally.lock().unwrap_or_else(PoisonError::into_inner).clone();
            recorder.assertion(format!("no request of {name} fails"), tally.judged())?;
        }
        Ok(())
    }
}

/// Asserts that since then the HPA had its value and three replicas in every state.
pub(super) fn held(
    recorder: &Recorder,
    observer: &Observer,
    start: Instant,
    syncs: &str,
) -> anyhow::Result<()> {
    let history = observer.since(start);
    let bad = |seen: &&Seen| !seen.is_active() || !seen.is_at(SCALED) || seen.refusal.is_some();
    recorder.assertion(
        "the HPA reads its metric all the while",
        match history.iter().find(bad) {
            None => Ok(format!("{} states seen, {syncs} after the last change", history.len())),
            Some(seen) => Err(seen.describe()),
        },
    )?;
    Ok(())
}

impl Tally {
    fn count(&mut self, took: Duration, failure: Option<String>) {
        self.slowest = self.slowest.max(took);
        match failure {
            None => self.good += 1,
            Some(failure) => self.failures.push(failure),
        }
    }

    fn judged(&self) -> Result<String, String> {
        let slowest = self.slowest.as_millis();
        match self.failures.as_slice() {
            [] if self.good == 0 => Err("it asked nothing".to_owned()),
            [] => Ok(format!("{} answered, the slowest within {slowest} ms", self.good)),
            failures => {
                let shown: Vec<&str> = failures.iter().map(String::as_str).take(SHOWN).collect();
                let all = failures.len() as u64 + self.good;
                Err(format!("{} of {all}: {}", failures.len(), shown.join("; ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_among_many_answers_is_told() {
        let mut tally = Tally::default();
        assert!(tally.judged().is_err());
        tally.count(Duration::from_millis(2), None);
        assert_eq!(tally.judged(), Ok("1 answered, the slowest within 2 ms".to_owned()));
        tally.count(Duration::from_millis(1), Some("401 Unauthorized".to_owned()));
        assert_eq!(tally.judged(), Err("1 of 2: 401 Unauthorized".to_owned()));
    }
}
