//! What kube-apiserver, kubectl and the HPA controller see of the API.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    cluster::{
        Cluster,
        local::{LocalCluster, direct::Direct},
    },
    phase::Recorder,
    scenario::{METRIC, apply_hpa, stage},
    wait::{self, Probe},
};

mod kubectl;
mod protobuf;

/// The users of the scenarios about access.
pub(super) const USERS: &str = "e2e/manifests/api-users.yaml";
pub(super) const READER: &str = "reader";
pub(super) const STRANGER: &str = "stranger";

pub(super) const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
const GROUP: &str = "external.metrics.k8s.io";
const VERSION: &str = "v1beta1";
const RESOURCE: &str = "externalmetrics";
/// How long the aggregator may take to read what the provider has to say of itself: it asks when the
/// APIService changes, and again after up to a minute where that failed.
const READ_WITHIN: Duration = Duration::from_secs(75);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What kubectl prefers (k8s.io/client-go/discovery: `AcceptV2`).
const DISCOVERY: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let cluster = local(cluster)?;
    cluster.apply(USERS).await.context("users")?;
    recorder.phase("provider", cluster.install_provider(&[])).await?;
    let available = available(cluster).await;
    recorder.assertion("kube-apiserver finds the APIService available", available)?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    stage::script(cluster, METRIC, stage::AT_REST).await?;
    let _observer = recorder.phase("HPA at rest", apply_hpa(cluster, recorder)).await?;

    let admin = cluster.apiserver_as(Some(&cluster.plane().pki().admin))?;
    let discovery = looked_up("the resource in /apis", async || discovery(&admin).await);
    let discovery = recorder.phase("discovery", async { anyhow::Ok(discovery.await) }).await?;
    recorder.assertion("aggregated discovery shows the resource, current", discovery)?;
    let openapi = looked_up("the document in /openapi/v3", async || openapi(&admin).await);
    let openapi = recorder.phase("OpenAPI", async { anyhow::Ok(openapi.await) }).await?;
    recorder.assertion("OpenAPI v3 describes the kind", openapi)?;
    recorder.phase("kubectl", kubectl::run(cluster, recorder)).await?;
    recorder.phase("protobuf", protobuf::run(cluster, recorder)).await
}

/// The embedded cluster: these scenarios need its keys, and end and start its programs.
pub(super) fn local<C: Cluster>(cluster: &C) -> anyhow::Result<&LocalCluster> {
    cluster
        .local()
        .context("this scenario needs the cluster's own keys and programs: run it on local")
}

/// Where a metric is read.
pub(super) fn path_of(namespace: &str, metric: &str) -> String {
    format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{metric}")
}

/// The path of the walkthrough's metric, as its HPA asks.
pub(super) fn metric_path() -> String {
    format!("{}?labelSelector=kube_container_name%3Dnginx", path_of("default", METRIC))
}

/// From now on kube-apiserver wants a certificate of these authorities (PEM) of the provider; with none it
/// takes any.
pub(super) async fn trust_in_api_service(
    cluster: &LocalCluster,
    authorities: Option<&str>,
) -> anyhow::Result<()> {
    let bundle = authorities.map(|pem| ByteString(pem.as_bytes().to_vec()));
    let spec = json!({"caBundle": bundle, "insecureSkipTLSVerify": authorities.is_none()});
    let services = Api::<APIService>::all(cluster.client().clone());
    let patch = Patch::Merge(json!({"spec": spec}));
    services.patch(API_SERVICE, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// The aggregator's own words.
async fn available(cluster: &LocalCluster) -> Result<String, String> {
    let services = Api::<APIService>::all(cluster.client().clone());
    let service = services.get_status(API_SERVICE).await.map_err(|error| error.to_string())?;
    let conditions = service.status.into_iter().flat_map(|it| it.conditions.unwrap_or_default());
    let available = conditions.into_iter().find(|it| it.type_ == "Available");
    let available = available.ok_or("there is no condition")?;
    let [reason, message] = [available.reason, available.message].map(Option::unwrap_or_default);
    let text = format!("{}, {reason}: {message}", available.status);
    if available.status == "True" { Ok(text) } else { Err(text) }
}

/// Looks until it is there.
async fn looked_up(
    what: &str,
    look: impl AsyncFnMut() -> anyhow::Result<Probe<String>>,
) -> Result<String, String> {
    let looked = wait::until(what, READ_WITHIN, LOOK_EVERY, look);
    looked.await.map_err(|timeout| timeout.to_string())
}

async fn discovery(admin: &Direct) -> anyhow::Result<Probe<String>> {
    let answer = admin.get("/apis", &[("accept", DISCOVERY)]).await?;
    let document: Value = serde_json::from_slice(&answer.body).context("/apis is no JSON")?;
    Ok(published(&document))
}

/// Whether the document of all groups has our resource, and as new as it should be.
fn published(document: &Value) -> Probe<String> {
    let find = |list: &Value, key: &str, name: &str| {
        let mut items = list.as_array().into_iter().flatten();
        items.find(|item| item.pointer(key).is_some_and(|it| it == name)).cloned()
    };
    let version = find(&document["items"], "/metadata/name", GROUP)
        .and_then(|group| find(&group["versions"], "/version", VERSION));
    let Some(version) = version else {
        return Probe::NotYet(format!("no {GROUP}/{VERSION} in {}", document["kind"]));
    };
    let Some(resource) = find(&version["resources"], "/resource", RESOURCE) else {
        return Probe::NotYet(format!("no {RESOURCE} in {version}"));
    };
    if version["freshness"] != "Current" {
        return Probe::NotYet(format!("freshness {}", version["freshness"]));
    }
    let kind = resource["responseKind"]["kind"].as_str().unwrap_or_default();
    let scope = resource["scope"].as_str().unwrap_or_default();
    Probe::Ready(format!("{RESOURCE}: {kind}, {scope}, verbs {}", resource["verbs"]))
}

/// By the index, as client-go and `kubectl explain` do.
async fn openapi(admin: &Direct) -> anyhow::Result<Probe<String>> {
    let index = admin.get("/openapi/v3", &[]).await?;
    let index: Value = serde_json::from_slice(&index.body).context("the index is no JSON")?;
    let entry = &index["paths"][format!("apis/{GROUP}/{VERSION}")];
    let Some(url) = entry["serverRelativeURL"].as_str() else {
        return Ok(Probe::NotYet("it is not in the index".to_owned()));
    };
    let answer = admin.get(url, &[("accept", "application/json")]).await?;
    let document: Value = serde_json::from_slice(&answer.body).context("it is no JSON")?;
    let schemas = document["components"]["schemas"].as_object();
    let names: Vec<&str> =
        schemas.into_iter().flat_map(|it| it.keys()).map(String::as_str).collect();
    let described = names.iter().any(|name| name.ends_with(".ExternalMetricValue"));
    let text = format!("{} schemas at {url}", names.len());
    Ok(if described { Probe::Ready(text) } else { Probe::NotYet(format!("{text}: {names:?}")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(freshness: &str, resource: &str) -> Value {
        json!({"kind": "APIGroupDiscoveryList", "items": [{
            "metadata": {"name": GROUP},
            "versions": [{"version": VERSION, "freshness": freshness, "resources": [{
                "resource": resource, "scope": "Namespaced", "verbs": ["get"],
                "responseKind": {"kind": "ExternalMetricValue"},
            }]}],
        }]})
    }

    #[test]
    fn a_resource_is_published_when_it_is_there_and_current() {
        let expected = r#"externalmetrics: ExternalMetricValue, Namespaced, verbs ["get"]"#;
        assert_eq!(published(&document("Current", RESOURCE)), Probe::Ready(expected.to_owned()));
        let stale = Probe::NotYet(r#"freshness "Stale""#.to_owned());
        assert_eq!(published(&document("Stale", RESOURCE)), stale);
        assert!(matches!(published(&document("Current", "other")), Probe::NotYet(_)));
        assert!(matches!(published(&json!({"items": []})), Probe::NotYet(_)));
    }
}
