//! Small servers in this process: nginx's status pages, Datadog's intake, the Kubernetes API.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::AbortHandle};

/// A server that ends with its handle.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { address, task: task.abort_handle() }
}

/// Status pages `/a`, `/b` ...: page and counter of requests by name; a page without is a 404.
#[derive(Clone, Default)]
pub(crate) struct Pages(Arc<Mutex<HashMap<String, u64>>>);

impl Pages {
    pub(crate) fn set(&self, page: &str, requests: u64) {
        self.0.lock().unwrap().insert(page.to_owned(), requests);
    }

    pub(crate) fn remove(&self, page: &str) {
        self.0.lock().unwrap().remove(page);
    }

    pub(crate) async fn serve(&self) -> Server {
        let pages = self.clone();
        serve(Router::new().route("/{page}", get(status_page)).with_state(pages)).await
    }
}

async fn status_page(Path(page): Path<String>, State(pages): State<Pages>) -> Response {
    match pages.0.lock().unwrap().get(&page) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(requests) => format!(
            "Active connections: 6 \nserver accepts handled requests\n {requests} {requests} \
             {requests} \nReading: 0 Writing: 3 Waiting: 3 \n"
        )
        .into_response(),
    }
}

/// What was submitted: key and body.
pub(crate) type Submission = (String, Value);

/// An intake that answers `status` and hands on what it gets.
pub(crate) async fn intake(status: StatusCode) -> (Server, mpsc::UnboundedReceiver<Submission>) {
    let (submissions, received) = mpsc::unbounded_channel();
    let handler = move |headers: HeaderMap, Json(body): Json<Value>| async move {
        let key = headers["DD-API-KEY"].to_str().unwrap().to_owned();
        submissions.send((key, body)).unwrap();
        (status, Json(json!({"errors": ["Forbidden"]})))
    };
    (serve(Router::new().route("/api/v1/series", post(handler))).await, received)
}

/// A Kubernetes API that has these pods for ever, and hands on the field selectors of its lists.
pub(crate) async fn kubernetes(
    pods: Vec<Value>,
) -> (Server, mpsc::UnboundedReceiver<Option<String>>) {
    let (selectors, received) = mpsc::unbounded_channel();
    let handler = move |Query(query): Query<HashMap<String, String>>| async move {
        if query.get("watch").is_some_and(|watch| watch == "true") {
            return Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())
                .into_response();
        }
        selectors.send(query.get("fieldSelector").cloned()).unwrap();
        Json(json!({
            "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "7"},
            "items": pods,
        }))
        .into_response()
    };
    (serve(Router::new().route("/api/v1/pods", get(handler))).await, received)
}

/// An address where nothing listens.
pub(crate) async fn nowhere() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    Server { address, task: tokio::spawn(async {}).abort_handle() }
}
