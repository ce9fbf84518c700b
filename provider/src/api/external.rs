//! `GET /apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::{Path, RawQuery, State, rejection::PathRejection},
    response::Response,
    routing::get,
};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::{
    api::{
        Config,
        answer::{Answer, answer, not_asked_yet},
        attributes,
        log::Served,
        negotiate::{Accepted, Format, VALUES},
        respond::{self, Client},
        selector,
        status::Status,
        table::Table,
        wire::{ExternalMetricValue, ExternalMetricValueList, GROUP},
    },
    demand::MetricKey,
};

/// How long a request may wait for the very first answer of Datadog, and how many may wait for the
/// same metric: the HPA controller has five workers, and none of them may be held up for long.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
const WAITING_PER_METRIC: usize = 2;

/// What the handler needs; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct External {
    config: Config,
    waiting: Waiting,
}

impl External {
    pub(super) fn new(config: Config) -> Self {
        Self { config, waiting: Waiting::default() }
    }

    fn answer(&self, key: &MetricKey) -> Answer {
        let snapshot = self.config.store.borrow().clone();
        answer(key, &snapshot, Timestamp::now())
    }

    /// Waits for the first answer to `key` within the limits above.
    async fn first_answer(&self, key: &MetricKey) -> Answer {
        let Some(_place) = self.waiting.enter(key) else {
            return Answer::NotAskedYet;
        };
        let mut store = self.config.store.clone();
        let answered = store
            .wait_for(|snapshot| snapshot.get(key).is_none_or(|(_, entry)| entry.last.is_some()));
        // Whether it came, time ran out or the store is gone: the snapshot says it all.
        let _ = timeout(FIRST_ANSWER, answered).await;
        self.answer(key)
    }
}

pub(super) fn routes(external: External) -> Router {
    Router::new()
        .route("/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}", get(metric))
        .with_state(external)
}

async fn metric(
    State(external): State<External>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(parameters): RawQuery,
    client: Client,
) -> Result<Response, Status> {
    let Path((namespace, metric)) = path?;
    // `namespaces//metric`, which the router lets through, is judged as all namespaces.
    if namespace.is_empty() {
        return Err(Status::unknown_path());
    }
    // Before anything else, as Go's servers do: who cannot read the answer is told that.
    let accepted = client.negotiate(VALUES)?;
    let selector = read_parameters(parameters.as_deref().unwrap_or_default())?;
    let key = MetricKey::new(&namespace, &metric, selector);
    let answer = match external.answer(&key) {
        Answer::NotAskedYet => external.first_answer(&key).await,
        answer => answer,
    };
    tracing::debug!(metric = %key, ?answer, "metric asked for");
    match answer {
        Answer::Value(value) => Ok(write(accepted, vec![(namespace, value)], Timestamp::now())),
        Answer::NotAskedYet => Err(not_asked_yet(&key)),
        Answer::Refusal(status) => Err(status),
    }
}

/// Values, each with its namespace.
pub(super) fn write(
    accepted: Accepted,
    items: Vec<(String, ExternalMetricValue)>,
    now: Timestamp,
) -> Response {
    let times = items.iter().map(|(_, value)| value.timestamp).collect();
    let mut response = if accepted.format == Format::Table {
        respond::json(&Table::of(&items, now), accepted.pretty)
    } else {
        let values: Vec<_> = items.into_iter().map(|(_, value)| value).collect();
        accepted.write(&ExternalMetricValueList::from(values))
    };
    response.extensions_mut().insert(Served { group: GROUP, times });
    response
}

/// The selector, read as the review of the request read it. Parameters that Kubernetes ignores for
/// such a resource are ignored.
pub(super) fn read_parameters(parameters: &str) -> Result<crate::selector::Selector, Status> {
    if attributes::wants_watch(parameters) {
        return Err(Status::method_not_allowed("watch is not supported"));
    }
    let text = |name| attributes::parameter(parameters, name).unwrap_or_default();
    let version = !text("resourceVersion").is_empty();
    let version_match = !text("resourceVersionMatch").is_empty();
    if version_match && !version {
        // The words of `k8s.io/apimachinery/pkg/apis/meta/internalversion/validation`.
        return Err(Status::unprocessable(
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
             resourceVersionMatch is forbidden unless resourceVersion is provided",
        ));
    }
    selector::parse(&text("labelSelector")).map_err(|error| Status::bad_request(error.to_string()))
}

/// Who waits for which metric.
#[derive(Debug, Clone, Default)]
struct Waiting {
    // A std lock: held for a look-up, never across an await.
    counts: Arc<Mutex<HashMap<MetricKey, usize>>>,
}

/// A place among those who wait; given back on drop.
struct Place {
    waiting: Waiting,
    key: MetricKey,
}

impl Waiting {
    fn enter(&self, key: &MetricKey) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key.clone()).or_default();
        if *count >= WAITING_PER_METRIC {
            return None;
        }
        *count += 1;
        Some(Place { waiting: self.clone(), key: key.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.waiting.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}
