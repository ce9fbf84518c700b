//! The loop: who wants what → which queries are due → ask Datadog → store what it said.
//!
//! [`Poll`] is the only writer of the store, and `engine` decides everything. Calls run beside the
//! loop, so that a slow Datadog delays neither new demand nor the answers to other calls.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    datadog::{Client, Exchange, batch::Limits, coalesce::Unit},
    demand::Demand,
    metrics::Metrics,
    poll::{
        engine::{Call, Engine, Next},
        gate::Gate,
        plan::Settings,
    },
    query::{Defaults, Query},
    store::Snapshot,
    telemetry,
};

mod backoff;
mod engine;
mod gate;
mod plan;
mod refused;
mod state;

/// How metrics are refreshed.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// Every wanted metric is asked for once in this time, where the budget allows it.
    pub refresh_period: Duration,
    /// What holds for a metric whose objects say nothing else.
    pub defaults: Defaults,
    /// What one request may carry.
    pub batch: Limits,
    /// Requests in flight at once, at least one.
    pub max_parallel: usize,
    /// Whether queries that differ in one tag's value are asked as one.
    pub coalesce: bool,
}

/// The poll loop.
#[derive(Debug)]
pub struct Poll {
    client: Client,
    metrics: Arc<Metrics>,
    engine: Engine,
    store: watch::Sender<Arc<Snapshot>>,
    running: JoinSet<(Timestamp, Exchange)>,
    calls: HashMap<Id, Call>,
}

impl Poll {
    /// A loop that asks `client` and publishes to `store`.
    pub fn new(
        client: Client,
        config: Config,
        metrics: Arc<Metrics>,
        store: watch::Sender<Arc<Snapshot>>,
    ) -> Self {
        let settings = Settings {
            refresh: config.refresh_period,
            limits: config.batch,
            coalesce: config.coalesce,
        };
        let endpoints = client.endpoints().len();
        let gate = Gate::new(config.refresh_period, config.max_parallel, endpoints);
        let engine = Engine::new(settings, config.defaults, gate);
        let (running, calls) = (JoinSet::new(), HashMap::new());
        Self { client, metrics, engine, store, running, calls }
    }

    /// Runs until `stop`, or until nobody can send demand any more.
    pub async fn run(
        mut self,
        mut demand: watch::Receiver<Option<Arc<Demand>>>,
        stop: CancellationToken,
    ) {
        loop {
            let wake = self.start_calls();
            tokio::select! {
                () = stop.cancelled() => return,
                changed = demand.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let wanted = demand.borrow_and_update().clone();
                    if let Some(wanted) = wanted {
                        self.engine.set_demand(&wanted, Timestamp::now(), Instant::now());
                        self.publish();
                    }
                }
                Some(ended) = self.running.join_next_with_id() => {
                    self.ended(ended);
                    self.publish();
                }
                () = until(wake) => {}
            }
        }
    }

    /// Starts what may be started now; gives the time at which there is more.
    fn start_calls(&mut self) -> Option<Instant> {
        loop {
            let now = Instant::now();
            match self.engine.next(Timestamp::now(), now) {
                Next::Call(call) => self.start(call),
                Next::Wait(at) => return at,
            }
        }
    }

    fn start(&mut self, call: Call) {
        let client = self.client.clone();
        let queries: Vec<Query> = call.units.iter().map(|unit| unit.ask().query.clone()).collect();
        let window = call.window;
        let span = tracing::trace_span!(
            target: telemetry::SPANS,
            "datadog query",
            otel.kind = "client",
            queries = queries.len(),
        );
        let ask = async move {
            let now = Timestamp::now();
            (now, client.ask(&queries, now, window).await)
        };
        let task = self.running.spawn(ask.instrument(span));
        self.calls.insert(task.id(), call);
    }

    fn ended(&mut self, ended: Result<(Id, (Timestamp, Exchange)), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(call) = self.calls.remove(&id) else { return };
        match ended {
            Ok((_, (asked_at, exchange))) => {
                let asks = call.units.iter().flat_map(Unit::members);
                self.metrics.datadog_request(&exchange, asks, asked_at);
                self.engine.answered(call, exchange, asked_at, Instant::now(), fastrand::f64());
            }
            Err(error) => {
                // A bug in the call's own code; its queries must be asked again.
                tracing::error!(%error, "call to Datadog ended without an answer");
                self.engine.lost(&call);
            }
        }
    }

    fn publish(&self) {
        self.store.send_replace(Arc::new(self.engine.snapshot(Instant::now())));
    }
}

async fn until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
