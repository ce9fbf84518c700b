//! Which cluster this is, to all of Datadog's agents: the UID of namespace `kube-system`, kept in
//! ConfigMap `datadog-cluster-id` of our namespace, from which node agents' pods take it, too.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams};
use tokio::{sync::OnceCell, time::timeout};

use crate::agent::token::Cluster;

const NAME: &str = "datadog-cluster-id";
const KEY: &str = "id";
/// Characters of a UUID.
const LENGTH: usize = 36;
/// For one question to kube-apiserver.
const DEADLINE: Duration = Duration::from_secs(5);
const MANAGER: &str = "datadog-cluster-agent";

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
#[error("cluster id is not known: {0}")]
pub struct Error(String);

/// Read when it is asked for, once.
#[derive(Debug)]
pub struct ClusterId {
    cluster: Option<Cluster>,
    known: OnceCell<String>,
}

impl ClusterId {
    /// That of `cluster`.
    pub fn new(cluster: Option<Cluster>) -> Self {
        Self { cluster, known: OnceCell::new() }
    }

    /// A UUID.
    pub async fn get(&self) -> Result<String, Error> {
        let Some(cluster) = &self.cluster else {
            return Err(Error("there is no cluster".to_owned()));
        };
        self.known.get_or_try_init(|| read(cluster)).await.cloned()
    }
}

/// What the ConfigMap says, which is made where there is none. Without rights to it the UID does.
async fn read(cluster: &Cluster) -> Result<String, Error> {
    let maps = Api::<ConfigMap>::namespaced(cluster.kube.clone(), &cluster.namespace);
    let found = in_time(maps.get_opt(NAME)).await;
    let kept = found.as_ref().ok().and_then(|found| {
        let id = found.as_ref()?.data.as_ref()?.get(KEY)?;
        (id.len() == LENGTH).then(|| id.clone())
    });
    if let Some(id) = kept {
        return Ok(id);
    }
    let namespaces = Api::<Namespace>::all(cluster.kube.clone());
    let system = in_time(namespaces.get("kube-system")).await?;
    let uid = system.metadata.uid.ok_or_else(|| Error("kube-system has no UID".to_owned()))?;
    let written = match found {
        Ok(None) => in_time(maps.create(&params(), &config_map(&uid))).await.map(|_| ()),
        Ok(Some(_)) => Err(Error(format!("the key {KEY} is no UUID of {LENGTH} characters"))),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        // Another replica may have made it just now; it made the same.
        tracing::debug!(%error, "ConfigMap {NAME} is not as we would have it");
    }
    Ok(uid)
}

fn params() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

fn config_map(id: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([(KEY.to_owned(), id.to_owned())])),
        ..ConfigMap::default()
    }
}

async fn in_time<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match timeout(DEADLINE, call).await {
        Ok(answer) => answer.map_err(|error| Error(error.to_string())),
        Err(_) => Err(Error(format!("no answer within {}s", DEADLINE.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    const UID: &str = "01234567-89ab-cdef-0123-456789abcdef";

    /// A cluster that has this ConfigMap, and the paths of the requests.
    fn cluster(map: Option<Value>) -> (Cluster, Arc<Mutex<Vec<String>>>) {
        let calls = Arc::<Mutex<Vec<String>>>::default();
        let seen = calls.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            seen.lock().unwrap().push(format!("{method} {path}"));
            let answer = match (method.as_str(), path.as_str(), &map) {
                ("GET", "/api/v1/namespaces/kube-system", _) => {
                    (200, json!({"metadata": {"uid": UID}}))
                }
                ("GET", _, Some(map)) => (200, map.clone()),
                ("GET", ..) => (404, json!({"kind": "Status", "code": 404, "reason": "NotFound"})),
                _ => (201, json!({"metadata": {}})),
            };
            let body = Body::from(answer.1.to_string().into_bytes());
            async move {
                let response = Response::builder().status(answer.0).body(body).unwrap();
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let kube = kube::Client::new(service, "default");
        (Cluster { kube, namespace: "ns".to_owned() }, calls)
    }

    #[tokio::test]
    async fn it_is_kube_systems_uid_which_is_kept_and_asked_for_once() {
        let (cluster, calls) = cluster(None);
        let id = ClusterId::new(Some(cluster));
        assert_eq!(id.get().await.unwrap(), UID);
        assert_eq!(id.get().await.unwrap(), UID);
        insta::assert_snapshot!(calls.lock().unwrap().join("\n"), @r"
        GET /api/v1/namespaces/ns/configmaps/datadog-cluster-id
        GET /api/v1/namespaces/kube-system
        POST /api/v1/namespaces/ns/configmaps
        ");
    }

    #[tokio::test]
    async fn what_datadogs_agent_has_kept_counts_unless_it_is_no_uuid() {
        let kept = "11111111-89ab-cdef-0123-456789abcdef";
        let (first, _) = cluster(Some(json!({"metadata": {}, "data": {"id": kept}})));
        assert_eq!(ClusterId::new(Some(first)).get().await.unwrap(), kept);
        let (broken, calls) = cluster(Some(json!({"metadata": {}, "data": {"id": "x"}})));
        assert_eq!(ClusterId::new(Some(broken)).get().await.unwrap(), UID);
        assert!(calls.lock().unwrap().iter().all(|call| call.starts_with("GET")));
    }
}
