//! What the provider tells about itself on `/metrics`.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use prometheus_client::{
    encoding::text,
    registry::{Metric, Registry},
};
use tokio::sync::watch;

use crate::{
    datadog::Exchange,
    lead::Leadership,
    metrics::{
        api::{Api, Request},
        datadog::Datadog,
    },
    query::Ask,
    store::Snapshot,
};

pub mod api;
mod datadog;
mod told;

pub use self::datadog::SHOWN;

/// The metrics and the registry that they are in.
#[derive(Debug)]
pub struct Metrics {
    // A std lock: held for a registration or a scrape, never across an await.
    registry: RwLock<Registry>,
    api: Api,
    datadog: Arc<Datadog>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let api = Api::register(&mut registry);
        let datadog = Arc::<Datadog>::default();
        registry.register_collector(Box::new(datadog.clone()));
        Self { registry: RwLock::new(registry), api, datadog }
    }
}

fn add<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Lets a part of the provider add metrics of its own; gives what `register` makes of it.
    pub fn register_with<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.registry.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, what only the leader tells is told only while `leadership` says that we lead.
    pub fn follow(&self, leadership: watch::Receiver<Leadership>) {
        self.datadog.follow(leadership);
    }

    /// Counts what one question to Datadog for `asks`, sent `asked_at`, brought.
    pub fn datadog_request<'a>(
        &self,
        exchange: &Exchange,
        asks: impl Iterator<Item = &'a Ask>,
        asked_at: Timestamp,
    ) {
        let now = Timestamp::now();
        let took = now.duration_since(asked_at).try_into().unwrap_or_default();
        self.datadog.request(exchange, asks, took, now);
    }

    /// What the next scrape describes: the store as it is at `now`.
    pub fn set_external_metrics(&self, snapshot: &Snapshot, now: Timestamp) {
        self.datadog.set(snapshot, now);
    }

    /// Counts a request to the API that was answered with the HTTP status `code` after `elapsed`.
    pub fn api_request(&self, request: Request, code: u16, elapsed: Duration) {
        self.api.request(request, code, elapsed);
    }

    /// Tells how old the value of an item is that goes out at `now`.
    pub fn served(&self, group: &'static str, timestamp: Timestamp, now: Timestamp) {
        self.api.served(group, timestamp, now);
    }

    /// The text of [`Metrics::encode`], or why there is none.
    pub fn text(&self) -> String {
        self.write().unwrap_or_else(|error| format!("# metrics cannot be written: {error}\n"))
    }

    fn write(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.read().unwrap_or_else(PoisonError::into_inner);
        text::encode(&mut text, &registry)?;
        Ok(text)
    }

    /// All metrics in the `OpenMetrics` text format.
    pub fn encode(&self) -> Response {
        match self.write() {
            Ok(text) => (
                [(
                    header::CONTENT_TYPE,
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                )],
                text,
            )
                .into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        }
    }
}
