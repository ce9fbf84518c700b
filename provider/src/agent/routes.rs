//! What node agents ask: which Services lead to a pod, what nodes and namespaces say about
//! themselves, which cluster this is. Paths and answers are those of Datadog's Cluster Agent
//! (`cmd/cluster-agent/api/v1/kubernetes_metadata.go`).

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

use crate::agent::{
    cluster_id::ClusterId,
    service_map::{Metadata, ServiceMap, Watched},
};

/// What the routes answer from.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What was seen of the cluster.
    pub map: watch::Receiver<ServiceMap>,
    /// Which cluster this is.
    pub cluster_id: Arc<ClusterId>,
    /// Our pod.
    pub hostname: Arc<str>,
}

/// The routes.
pub fn routes(facts: Facts) -> Router {
    Router::new()
        .route("/version", get(version))
        .route("/hostname", get(hostname))
        .route("/api/v1/tags/pod/{node}/{namespace}/{pod}", get(pod))
        .route("/api/v1/tags/pod/{node}", get(pods_of_node))
        .route("/api/v1/tags/pod", get(all_pods))
        .route("/api/v1/tags/node/{node}", get(node_labels))
        .route("/api/v1/annotations/node/{node}", get(node_annotations))
        .route("/api/v1/tags/namespace/{namespace}", get(namespace_labels))
        .route("/api/v1/metadata/namespace/{namespace}", get(namespace_metadata))
        // Of agents before 6.5.
        .route("/api/v1/metadata/{node}/{namespace}/{pod}", get(pod))
        .route("/api/v1/cluster/id", get(cluster_id))
        .with_state(facts)
}

/// Why a question has no answer: a line of text, as Datadog's agent gives it.
#[derive(Debug)]
struct Unknown(StatusCode, String);

impl IntoResponse for Unknown {
    fn into_response(self) -> Response {
        (self.0, format!("{}\n", self.1)).into_response()
    }
}

/// As Go's `version.Version` is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    meta: String,
    commit: String,
}

static VERSION: LazyLock<Version> = LazyLock::new(|| parse(env!("CARGO_PKG_VERSION")));

/// The parts of a semantic version.
fn parse(version: &str) -> Version {
    let (rest, meta) = version.split_once('+').unwrap_or((version, ""));
    let (rest, pre) = rest.split_once('-').unwrap_or((rest, ""));
    let mut numbers = rest.split('.').map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Version {
        major: next(),
        minor: next(),
        patch: next(),
        pre: pre.to_owned(),
        meta: meta.to_owned(),
        commit: String::new(),
    }
}

async fn version() -> Json<&'static Version> {
    Json(&VERSION)
}

async fn hostname(State(facts): State<Facts>) -> Json<Arc<str>> {
    Json(facts.hostname)
}

async fn cluster_id(State(facts): State<Facts>) -> Result<Json<String>, Unknown> {
    let id = facts.cluster_id.get().await;
    id.map(Json).map_err(|error| Unknown(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// An empty list for a pod without Services, and for one that nobody knows.
async fn pod(
    State(facts): State<Facts>,
    Path((node, namespace, pod)): Path<(String, String, String)>,
) -> Result<Response, Unknown> {
    let map = facts.map.borrow();
    read(&map, Watched::EndpointSlices)?;
    let services = map.services_of(&node, &namespace, &pod);
    let tags: Vec<_> = services.map(|service| format!("kube_service:{service}")).collect();
    Ok(Json(tags).into_response())
}

type Services<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a str>>>;

/// The metadata map, as Datadog's `metamap` command shows it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metamap<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<BTreeMap<&'a str, Bundle<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Bundle<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    services: Services<'a>,
}

async fn pods_of_node(State(facts): State<Facts>, Path(node): Path<String>) -> Response {
    let map = facts.map.borrow();
    let (status, metamap) = metamap(&map, [node.as_str()]);
    (status, Json(metamap)).into_response()
}

async fn all_pods(State(facts): State<Facts>) -> Response {
    let map = facts.map.borrow();
    let (status, metamap) = metamap_of_all(&map);
    (status, Json(metamap)).into_response()
}

/// The JSON of `GET /api/v1/tags/pod`.
pub fn metamap_json(map: &ServiceMap) -> serde_json::Value {
    json!(metamap_of_all(map).1)
}

fn metamap_of_all(map: &ServiceMap) -> (StatusCode, Metamap<'_>) {
    metamap(map, map.nodes().chain(map.nodes_with_pods()))
}

fn metamap<'a>(
    map: &'a ServiceMap,
    nodes: impl IntoIterator<Item = &'a str>,
) -> (StatusCode, Metamap<'a>) {
    let warnings = map.warnings();
    if let Err(Unknown(status, error)) = read(map, Watched::EndpointSlices) {
        return (status, Metamap { errors: Some(error), warnings, nodes: None });
    }
    let bundle = |node: &'a str| (node, Bundle { services: map.pods_of(node) });
    let nodes = Some(nodes.into_iter().map(bundle).collect());
    (StatusCode::OK, Metamap { nodes, warnings, errors: None })
}

async fn node_labels(
    State(facts): State<Facts>,
    Path(node): Path<String>,
) -> Result<Response, Unknown> {
    let map = facts.map.borrow();
    let metadata = known(&map, Watched::Nodes, "node", &node, map.node(&node))?;
    Ok(Json(&metadata.labels).into_response())
}

async fn node_annotations(
    State(facts): State<Facts>,
    Path(node): Path<String>,
) -> Result<Response, Unknown> {
    let map = facts.map.borrow();
    let metadata = known(&map, Watched::Nodes, "node", &node, map.node(&node))?;
    Ok(Json(&metadata.annotations).into_response())
}

async fn namespace_labels(
    State(facts): State<Facts>,
    Path(name): Path<String>,
) -> Result<Response, Unknown> {
    let map = facts.map.borrow();
    let metadata = known(&map, Watched::Namespaces, "namespace", &name, map.namespace(&name))?;
    Ok(Json(&metadata.labels).into_response())
}

async fn namespace_metadata(
    State(facts): State<Facts>,
    Path(name): Path<String>,
) -> Result<Response, Unknown> {
    let map = facts.map.borrow();
    let found = known(&map, Watched::Namespaces, "namespace", &name, map.namespace(&name))?;
    let Metadata { labels, annotations } = found;
    let answer =
        json!({"name": name, "namespace": "", "labels": labels, "annotations": annotations});
    Ok(Json(answer).into_response())
}

/// 500 for what is not known, as Datadog's agent answers.
fn known<'a>(
    map: &ServiceMap,
    watched: Watched,
    what: &str,
    name: &str,
    found: Option<&'a Metadata>,
) -> Result<&'a Metadata, Unknown> {
    if let Some(found) = found {
        return Ok(found);
    }
    read(map, watched)?;
    let text = format!("no cached metadata found for the {what} {name}");
    Err(Unknown(StatusCode::INTERNAL_SERVER_ERROR, text))
}

/// 503 for what could not be read yet: an empty answer would be taken for a true one.
fn read(map: &ServiceMap, watched: Watched) -> Result<(), Unknown> {
    if map.is_ready(watched) {
        return Ok(());
    }
    let resource = watched.resource();
    let text = match map.trouble(watched) {
        Some(reason) => format!("{resource} cannot be read: {reason}"),
        None => format!("{resource} have not been read yet, ask again in a few seconds"),
    };
    Err(Unknown(StatusCode::SERVICE_UNAVAILABLE, text))
}

#[cfg(test)]
mod tests;
