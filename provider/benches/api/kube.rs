//! As much of a kube-apiserver as delegated authentication and authorization ask for: whom to
//! believe, and that the HPA controller may do everything and nobody else anything. It answers at
//! once, so that what is measured is not it.

use std::{
    convert::Infallible,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{load::USER, pki::FRONT_PROXY};

const NAME: &str = "extension-apiserver-authentication";

/// One for each server that is measured; ends when this is dropped.
pub(crate) struct Kube {
    address: SocketAddr,
    reviews: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Known {
    config_map: Value,
    reviews: Arc<AtomicU64>,
}

impl Kube {
    /// `ca` is the front proxy's.
    pub(crate) async fn start(ca: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let reviews = Arc::new(AtomicU64::default());
        let known = Known { config_map: config_map(ca), reviews: reviews.clone() };
        let name = format!("/api/v1/namespaces/kube-system/configmaps/{NAME}");
        let router = Router::new()
            .route("/api", get(async || Json(json!({"kind": "APIVersions", "versions": ["v1"]}))))
            .route("/api/v1", get(async || Json(resources())))
            .route("/apis", get(async || Json(groups())))
            .route("/api/v1/namespaces/kube-system/configmaps", get(list))
            .route(&name, get(async |State(known): State<Known>| Json(known.config_map)))
            .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(review))
            .fallback(async || StatusCode::NOT_FOUND)
            .with_state(known);
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, reviews, task })
    }

    /// A kubeconfig that leads here, in `folder`.
    pub(crate) fn kubeconfig(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let path = folder.join(format!("kubeconfig-{}", self.address.port()));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{}", self.address)}}],
            "users": [{"name": "fake", "user": {}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
            "current-context": "fake",
        });
        fs::write(&path, config.to_string())?;
        Ok(path)
    }

    /// How many reviews were asked for so far.
    pub(crate) fn reviews(&self) -> u64 {
        self.reviews.load(Ordering::Relaxed)
    }
}

impl Drop for Kube {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn config_map(ca: &str) -> Value {
    let names = |names: &[&str]| json!(names).to_string();
    json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": NAME, "namespace": "kube-system", "uid": "1", "resourceVersion": "1"},
        "data": {
            "client-ca-file": ca,
            "requestheader-client-ca-file": ca,
            "requestheader-allowed-names": names(&[FRONT_PROXY]),
            "requestheader-username-headers": names(&["X-Remote-User"]),
            "requestheader-uid-headers": names(&["X-Remote-Uid"]),
            "requestheader-group-headers": names(&["X-Remote-Group"]),
            "requestheader-extra-headers-prefix": names(&["X-Remote-Extra-"]),
        },
    })
}

/// The one ConfigMap as a list, or as a watch that says nothing after it.
async fn list(State(known): State<Known>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if !query.contains("watch=true") && !query.contains("watch=1") {
        let metadata = json!({"resourceVersion": "1"});
        let items = [known.config_map];
        let list = json!({
            "kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": items,
        });
        return Json(list).into_response();
    }
    let mut events = Vec::new();
    if query.contains("sendInitialEvents=true") {
        events.push(json!({"type": "ADDED", "object": known.config_map}));
        events.push(json!({"type": "BOOKMARK", "object": {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {
                "resourceVersion": "1",
                "annotations": {"k8s.io/initial-events-end": "true"},
            },
        }}));
    }
    let lines =
        events.into_iter().map(|event| Ok::<_, Infallible>(Bytes::from(format!("{event}\n"))));
    let body = Body::from_stream(stream::iter(lines).chain(stream::pending()));
    ([("content-type", "application/json")], body).into_response()
}

async fn review(State(known): State<Known>, Json(asked): Json<Value>) -> Response {
    known.reviews.fetch_add(1, Ordering::Relaxed);
    let review = json!({
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": asked["spec"],
        "status": {"allowed": asked["spec"]["user"] == USER},
    });
    (StatusCode::CREATED, Json(review)).into_response()
}

fn resources() -> Value {
    json!({
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{
            "name": "configmaps", "singularName": "configmap", "namespaced": true,
            "kind": "ConfigMap", "verbs": ["get", "list", "watch"],
        }],
    })
}

fn groups() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
}
