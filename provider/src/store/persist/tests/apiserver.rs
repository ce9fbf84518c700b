//! The part of kube-apiserver that keeps ConfigMaps.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

/// ConfigMaps of one namespace; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct ApiServer(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    maps: BTreeMap<String, Value>,
    version: u64,
    log: Vec<String>,
    refuses: Option<u16>,
}

impl ApiServer {
    pub(super) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (code, answer) = server.answer(&parts, body);
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        kube::Client::new(service, "datadog")
    }

    /// What was asked since this was asked last.
    pub(super) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// Refuses each write with this code.
    pub(super) fn refuse(&self, code: Option<u16>) {
        self.0.lock().unwrap().refuses = code;
    }

    /// The data of a ConfigMap.
    pub(super) fn data(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let map = self.0.lock().unwrap().maps.get(name)?.clone();
        Some(serde_json::from_value(map.get("data").cloned().unwrap_or(json!({}))).unwrap())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().maps.keys().cloned().collect()
    }

    /// As somebody with `kubectl edit` does.
    pub(super) fn set(&self, name: &str, data: &Value) {
        let mut inner = self.0.lock().unwrap();
        let map = json!({"metadata": {"name": name}, "data": data});
        inner.store(name, map);
    }

    pub(super) fn delete(&self, name: &str) {
        self.0.lock().unwrap().maps.remove(name);
    }

    fn answer(&self, parts: &http::request::Parts, body: Value) -> (u16, Value) {
        let mut inner = self.0.lock().unwrap();
        let path = parts.uri.path();
        let name = path.strip_prefix("/api/v1/namespaces/datadog/configmaps").unwrap();
        let name = name.trim_start_matches('/').to_owned();
        let accept = parts.headers.get("accept").map_or("", |it| it.to_str().unwrap());
        let partial = accept.contains("PartialObjectMetadata");
        let (name, what) = match parts.method {
            Method::GET if partial => (name, "HEAD"),
            Method::POST => (body["metadata"]["name"].as_str().unwrap().to_owned(), "POST"),
            ref method => (name, if method == Method::GET { "GET" } else { "PATCH" }),
        };
        let changes = body["data"].as_object().map_or(String::new(), |it| format!(" {}", it.len()));
        inner.log.push(format!("{what} {name}{changes}"));
        if let Some(code) = inner.refuses.filter(|_| what == "POST" || what == "PATCH") {
            return failure(code, "refused");
        }
        match (what, inner.maps.get(&name).cloned()) {
            ("POST", Some(_)) => failure(409, "AlreadyExists"),
            ("POST", None) => (201, inner.store(&name, body)),
            (_, None) => failure(404, "NotFound"),
            ("PATCH", Some(map)) => {
                let version = &body["metadata"]["resourceVersion"];
                if *version != map["metadata"]["resourceVersion"] {
                    return failure(409, "Conflict");
                }
                let mut map = map;
                merge(&mut map, &body);
                (200, inner.store(&name, map))
            }
            ("HEAD", Some(map)) => {
                let kind = "PartialObjectMetadata";
                let metadata = &map["metadata"];
                (200, json!({"apiVersion": "meta.k8s.io/v1", "kind": kind, "metadata": metadata}))
            }
            (_, Some(map)) => (200, map),
        }
    }
}

impl Inner {
    fn store(&mut self, name: &str, mut map: Value) -> Value {
        self.version += 1;
        map["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.maps.insert(name.to_owned(), map.clone());
        map
    }
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    let message = format!("{reason} {code}");
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message});
    (code, status)
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return *target = patch.clone() };
    if !target.is_object() {
        *target = json!({});
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
