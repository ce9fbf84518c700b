//! A kube-apiserver that reviews.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tower_test::mock;

/// Reviews with the next answer for it, and lets a review without an answer wait.
#[derive(Clone, Default)]
pub(crate) struct Apiserver(Arc<Shared>);

/// The status for a spec.
pub(crate) type Rule = fn(&Value) -> Value;

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<(u16, Value)>>,
    always: Mutex<Option<Rule>>,
    asked: Mutex<Vec<Value>>,
    news: Notify,
}

impl Apiserver {
    pub(crate) fn start() -> (Self, kube::Client) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let this = Self::default();
        let apiserver = this.clone();
        tokio::spawn(async move {
            while let Some((request, respond)) = handle.next_request().await {
                let apiserver = apiserver.clone();
                tokio::spawn(async move {
                    let body = request.into_body().collect_bytes().await.unwrap();
                    let spec = serde_json::from_slice::<Value>(&body).unwrap()["spec"].clone();
                    apiserver.0.asked.lock().unwrap().push(spec.clone());
                    let (code, body) = apiserver.next(&spec).await;
                    let body = Body::from(body.to_string().into_bytes());
                    respond.send_response(Response::builder().status(code).body(body).unwrap());
                });
            }
        });
        (this, kube::Client::new(service, "default"))
    }

    async fn next(&self, spec: &Value) -> (u16, Value) {
        loop {
            let news = self.0.news.notified();
            if let Some(answer) = self.0.answers.lock().unwrap().pop_front() {
                return answer;
            }
            if let Some(status) = *self.0.always.lock().unwrap() {
                return (201, json!({"metadata": {}, "spec": {}, "status": status(spec)}));
            }
            news.await;
        }
    }

    /// Answers the next review that no answer is meant for.
    pub(crate) fn answer(&self, status: &Value) {
        self.push(201, json!({"metadata": {}, "spec": {}, "status": status}));
    }

    pub(crate) fn refuse(&self, code: u16) {
        let status = json!({"kind": "Status", "code": code, "message": "no way", "reason": "No"});
        self.push(code, status);
    }

    /// Answers each review for which there is no other answer.
    pub(crate) fn always(&self, status: Rule) {
        *self.0.always.lock().unwrap() = Some(status);
        self.0.news.notify_waiters();
    }

    fn push(&self, code: u16, body: Value) {
        self.0.answers.lock().unwrap().push_back((code, body));
        self.0.news.notify_waiters();
    }

    /// The specs of the reviews since the last call.
    pub(crate) fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }
}
