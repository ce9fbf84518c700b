//! Requests to the API: how many, how long, and how old what they get is.
//!
//! Names that Go's servers have are theirs. No label holds what a client can make up.

use std::{iter, time::Duration};

use axum::http::Method;
use jiff::Timestamp;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::metrics::add;

/// What a request is to those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Request {
    /// The verb of Kubernetes in capitals, or the method where there is none.
    pub verb: &'static str,
    /// What is asked for; never its name.
    pub resource: &'static str,
}

impl Request {
    /// The kind of a request for `path`.
    pub fn new(method: &Method, path: &str) -> Self {
        let (resource, read) = resource(path);
        let verb = match *method {
            Method::GET | Method::HEAD => read,
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            _ => "other",
        };
        Self { verb, resource }
    }
}

/// One metric.
const METRIC: &str = "metric";
/// All metrics of a namespace.
const LIST: &str = "externalmetrics";

/// With the verb of who reads it. The resource of a metric's path is its name: to Kubernetes it is a
/// list of all objects of that kind.
fn resource(path: &str) -> (&'static str, &'static str) {
    let mut parts = [""; 9];
    let mut count = 0;
    for (slot, part) in parts.iter_mut().zip(path.split('/')) {
        *slot = part;
        count += 1;
    }
    match &parts[..count] {
        ["", "apis", _, _, LIST] | ["", "apis", _, _, "namespaces", _, LIST] => (LIST, "LIST"),
        ["", "apis", _, _, "namespaces", _, LIST, _] => (LIST, "GET"),
        ["", "apis", _, _, "namespaces", _, _] => (METRIC, "LIST"),
        ["", "apis", ..] => ("apis", "GET"),
        ["", "openapi", ..] => ("openapi", "GET"),
        ["", "healthz" | "livez" | "readyz", ..] => ("health", "GET"),
        _ => ("other", "GET"),
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    verb: &'static str,
    resource: &'static str,
    code: u16,
}

/// The labels of Datadog's agent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Handled {
    handler: &'static str,
    in_error: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Group {
    group: &'static str,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics.
#[derive(Debug)]
pub(super) struct Api {
    requests: Family<Answered, Counter>,
    duration: Histograms<Answered>,
    freshness: Histograms<Group>,
    /// Under the names of Datadog's agent, of the external metrics API alone.
    external_requests: Family<Handled, Counter>,
    external_elapsed: Histograms<Handled>,
}

/// From a tenth of a millisecond: an answer comes from memory.
fn elapsed() -> Histogram {
    Histogram::new([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0])
}

/// Those of `sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver/metrics/metrics.go`.
fn ages() -> Histogram {
    // One by one, as Go does: powers would differ in their last digits.
    Histogram::new(iter::successors(Some(1.0), |bound| Some(bound * 1.364)).take(20))
}

impl Api {
    pub(super) fn register(all: &mut Registry) -> Self {
        let api = Self {
            requests: add(
                all,
                "apiserver_request",
                "Requests by verb, what they ask for, and HTTP status",
            ),
            duration: Family::new_with_constructor(elapsed),
            freshness: Family::new_with_constructor(ages),
            external_requests: add(
                all,
                "external_metrics_api_requests",
                "Requests for values of external metrics, by whether they were refused",
            ),
            external_elapsed: Family::new_with_constructor(elapsed),
        };
        all.register(
            "apiserver_request_duration_seconds",
            "Time to answer them",
            api.duration.clone(),
        );
        all.register(
            "metrics_apiserver_metric_freshness_seconds",
            "Freshness of metrics exported",
            api.freshness.clone(),
        );
        all.register(
            "external_metrics_api_elapsed",
            "Seconds to answer them",
            api.external_elapsed.clone(),
        );
        api
    }

    pub(super) fn request(&self, Request { verb, resource }: Request, code: u16, took: Duration) {
        let answered = Answered { verb, resource, code };
        let seconds = took.as_secs_f64();
        self.requests.get_or_create(&answered).inc();
        self.duration.get_or_create(&answered).observe(seconds);
        let handler = match resource {
            METRIC => "get",
            LIST => "list",
            _ => return,
        };
        let in_error = if code < 400 { "false" } else { "true" };
        let labels = Handled { handler, in_error };
        self.external_requests.get_or_create(&labels).inc();
        self.external_elapsed.get_or_create(&labels).observe(seconds);
    }

    pub(super) fn served(&self, group: &'static str, timestamp: Timestamp, now: Timestamp) {
        let age = now.duration_since(timestamp).as_secs_f64();
        self.freshness.get_or_create(&Group { group }).observe(age);
    }
}

#[cfg(test)]
mod tests;
