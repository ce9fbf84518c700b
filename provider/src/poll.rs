//! The loop: who wants what → which queries are due → ask Datadog → store what it said.
//!
//! [`Poll`] is the only writer of the store. Calls run beside the loop, so that a slow Datadog
//! delays neither new demand nor the answers to other calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    datadog::{
        Answer, Client, ask,
        batch::{Limits, split},
    },
    demand::Demand,
    metrics::Metrics,
    poll::state::State,
    query::{Ask, Defaults, Query},
    store::Snapshot,
};

mod state;

/// How metrics are refreshed.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Every wanted metric is asked for once in this time.
    pub refresh_period: Duration,
    /// What holds for a metric whose objects say nothing else.
    pub defaults: Defaults,
    /// What one request may carry.
    pub batch: Limits,
    /// Requests in flight at once, at least one.
    pub max_parallel: usize,
}

/// The poll loop.
#[derive(Debug)]
pub struct Poll {
    client: Client,
    config: Config,
    metrics: Arc<Metrics>,
    state: State,
    store: watch::Sender<Arc<Snapshot>>,
    calls: JoinSet<(Timestamp, Duration, Vec<Answer>)>,
    permits: Arc<Semaphore>,
}

impl Poll {
    /// A loop that asks `client` and publishes to `store`.
    pub fn new(
        client: Client,
        config: Config,
        metrics: Arc<Metrics>,
        store: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        Self {
            client,
            config,
            metrics,
            state: State::new(config.defaults),
            store,
            calls: JoinSet::new(),
            permits: Arc::new(Semaphore::new(config.max_parallel.max(1))),
        }
    }

    /// Runs until `stop`, or until nobody can send demand any more. New metrics are asked for at
    /// once, the others together at every refresh, so that batches fill.
    pub async fn run(
        mut self,
        mut demand: watch::Receiver<Option<Arc<Demand>>>,
        stop: CancellationToken,
    ) {
        let mut refresh = tokio::time::interval(self.config.refresh_period);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = demand.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = demand.borrow_and_update().clone();
                    if let Some(wanted) = wanted {
                        let new = self.state.set_demand(&wanted, Timestamp::now());
                        self.call(new);
                        self.publish();
                    }
                }
                _ = refresh.tick() => {
                    let due = self.state.due();
                    self.call(due);
                }
                Some(call) = self.calls.join_next() => match call {
                    Ok((asked_at, window, answers)) => {
                        let answers = answers
                            .into_iter()
                            .map(|(query, answer)| (Ask { window, query }, answer))
                            .collect();
                        self.state.record(asked_at, answers);
                        self.publish();
                    }
                    Err(error) => {
                        // A bug in the call's own code; its queries must be asked again.
                        tracing::error!(%error, "call to Datadog ended without an answer");
                        self.state.forget_calls_in_flight();
                    }
                }
            }
        }
    }

    fn call(&mut self, asks: BTreeSet<Ask>) {
        let mut windows: BTreeMap<Duration, Vec<Query>> = BTreeMap::new();
        for Ask { window, query } in asks {
            windows.entry(window).or_default().push(query);
        }
        for (window, queries) in windows {
            for batch in split(queries, self.config.batch) {
                let client = self.client.clone();
                let permits = self.permits.clone();
                let metrics = self.metrics.clone();
                self.calls.spawn(async move {
                    let _permit = permits.acquire().await; // fails only when closed: never
                    let now = Timestamp::now();
                    (now, window, ask(&client, batch, now, window, &metrics).await)
                });
            }
        }
    }

    fn publish(&self) {
        self.store.send_replace(Arc::new(self.state.snapshot()));
    }
}
