//! A router over a store with some metrics, and how to ask it without a network.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use http::{Request, header::CONTENT_TYPE};
use jiff::Timestamp;
use provider::{
    api::{self, health::Readiness, selector},
    demand::{Autoscaler, Builder, Kind, MetricKey, Source},
    query::{Ask, Overrides, Query},
    sample::Sample,
    serve::guard::Guard,
    store::{Entry, Outcome, Snapshot},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const VERSION: &str = "/apis/external.metrics.k8s.io/v1beta1";

/// The query of each metric that Datadog was asked for.
pub(crate) const QUERY: &str = "avg:it{*}.rollup(30)";

/// A metric that an HPA of the namespace `default` wants.
pub(crate) struct Metric {
    /// In its original case.
    pub(crate) name: &'static str,
    pub(crate) selector: &'static str,
    /// The last value, of now; without one Datadog has no series.
    pub(crate) value: Option<f64>,
}

/// The API over these metrics, and the time of their values.
pub(crate) fn router(metrics: &[Metric]) -> (Router, Timestamp) {
    let now = Timestamp::now();
    let key = |metric: &Metric| {
        MetricKey::new("default", metric.name, selector::parse(metric.selector).unwrap())
    };
    let mut demand = Builder::default();
    for metric in metrics {
        let by = Autoscaler {
            kind: Kind::Hpa,
            namespace: "default".to_owned(),
            name: "hpa".to_owned(),
            uid: "1".to_owned(),
            created: None,
        };
        let name = metric.name.to_owned();
        demand.add(key(metric), name, Source::Selector, Overrides::default(), by);
    }
    let demand = Arc::new(demand.build());
    let entries: Vec<_> = demand
        .iter()
        .map(|(stored, _)| {
            let metric = metrics.iter().find(|metric| key(metric) == *stored).unwrap();
            Arc::new(entry(metric.value, now))
        })
        .collect();
    let (_, store) = watch::channel(Arc::new(Snapshot::new(demand, &entries)));
    let readiness = Readiness::new(CancellationToken::new());
    let guard = Guard::default();
    (api::router(Some(api::Config { store }), readiness, Arc::default(), guard), now)
}

fn entry(value: Option<f64>, now: Timestamp) -> Entry {
    let outcome = if value.is_some() { Outcome::Sampled } else { Outcome::NoSeries };
    Entry {
        ask: Ok(Ask { window: Duration::from_secs(300), query: Query::new(QUERY) }),
        rollup: Some(Duration::from_secs(30)),
        // However long the test takes, the value is fresh.
        age_limit: Duration::from_secs(86_400),
        fallback: None,
        since: now,
        sample: value.map(|value| Sample { value, at: now }),
        last: Some((now, outcome)),
        last_error: None,
    }
}

/// Code, type and body of the answer to a GET of `path`.
pub(crate) async fn get(router: &Router, path: &str, accept: &str) -> (u16, String, Vec<u8>) {
    use tower::ServiceExt;
    let request = Request::builder().uri(path).header("accept", accept);
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let content_type = parts.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    (parts.status.as_u16(), content_type, body)
}

/// Code and body of the answer in JSON.
pub(crate) async fn json(router: &Router, path: &str) -> (u16, serde_json::Value) {
    let (code, _, body) = get(router, path, "application/json").await;
    (code, serde_json::from_slice(&body).unwrap())
}
