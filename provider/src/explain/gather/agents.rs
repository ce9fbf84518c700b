//! The provider's pods, and the node agents beside them.

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment as AppsDeployment},
        core::v1::{Container, EnvVar, Pod as CorePod, PodSpec, Service},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client, api::ListParams};

use crate::{
    explain::{
        facts::{Deployment, Found, NodeAgent, Pod},
        gather::{OURS, ask, target::is_ready, tidied_all},
    },
    hex::fingerprint,
    serve::tls,
};

const ENABLED: &str = "DD_EXTERNAL_METRICS_PROVIDER_ENABLED";
const CLUSTER_AGENT: &str = "DD_CLUSTER_AGENT_ENABLED";
const TOKEN: &str = "DD_CLUSTER_AGENT_AUTH_TOKEN";
/// Where the cluster agent's token is, if nothing says so.
const DEFAULT_TOKEN: &str = "Secret datadogtoken, key token";

pub(super) struct Workloads {
    pub(super) deployment: Found<Deployment>,
    pub(super) pods: Found<Vec<Pod>>,
    pub(super) node_agents: Found<Vec<NodeAgent>>,
    pub(super) services: Found<Vec<Service>>,
}

/// The provider's namespace: that of its pods, else of the Service that is registered, else ours.
pub(super) async fn namespace(client: &Client, api_service: &Found<APIService>) -> String {
    let all: Api<CorePod> = Api::all(client.clone());
    let pods = ask("list pods", all.list(&ListParams::default().labels(OURS))).await;
    let first = pods.get().and_then(|pods| pods.items.first()?.metadata.namespace.clone());
    first.unwrap_or_else(|| {
        let registered = api_service.get().and_then(|service| {
            let to = service.spec.as_ref()?.service.clone()?;
            let is_ours = tls::SERVICES.contains(&to.name.as_deref()?);
            to.namespace.filter(|_| is_ours)
        });
        registered.unwrap_or_else(|| client.default_namespace().to_owned())
    })
}

pub(super) async fn gather(client: &Client, namespace: &str) -> Workloads {
    let ours = ListParams::default().labels(OURS);
    let deployments: Api<AppsDeployment> = Api::namespaced(client.clone(), namespace);
    let pods: Api<CorePod> = Api::namespaced(client.clone(), namespace);
    let daemon_sets: Api<DaemonSet> = Api::namespaced(client.clone(), namespace);
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let all = ListParams::default();
    let right = |what: &str| format!("list {what} in namespace {namespace}");
    let (deployments, pods, daemon_sets, services) = tokio::join!(
        async { ask(&right("deployments.apps"), deployments.list(&ours)).await },
        async { ask(&right("pods"), pods.list(&ours)).await },
        async { ask(&right("daemonsets.apps"), daemon_sets.list(&all)).await },
        async { ask(&right("services"), services.list(&all)).await },
    );
    let deployment = match deployments.map(|list| list.items.into_iter().next()) {
        Found::Is(Some(deployment)) => Found::Is(Deployment {
            name: deployment.metadata.name.unwrap_or_default(),
            replicas: deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1),
        }),
        Found::Is(None) | Found::Missing => Found::Missing,
        Found::Unknown(why) => Found::Unknown(why),
    };
    Workloads {
        deployment,
        pods: pods.map(|list| list.items.iter().map(pod).collect()),
        node_agents: daemon_sets.map(|list| list.items.iter().filter_map(node_agent).collect()),
        services: tidied_all(services.map(|list| list.items), |it| &mut it.metadata),
    }
}

fn pod(pod: &CorePod) -> Pod {
    let spec = pod.spec.clone().unwrap_or_default();
    let ports = spec.containers.iter().flat_map(|it| it.ports.iter().flatten());
    Pod {
        name: pod.metadata.name.clone().unwrap_or_default(),
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        ports: ports.map(|port| port.container_port).collect(),
        account: spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned()),
        ready: pod.metadata.deletion_timestamp.is_none() && is_ready(pod),
        state: state(pod),
        enabled: variable(&spec, ENABLED),
        token: token(&spec).or_else(|| {
            let elsewhere = spec.containers.iter().any(is_set_elsewhere);
            (!elsewhere && find(&spec, TOKEN).is_none()).then(|| DEFAULT_TOKEN.to_owned())
        }),
    }
}

/// Why it is not ready, as `kubectl get pods` would say.
fn state(pod: &CorePod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let phase = status.phase.unwrap_or_else(|| "Unknown".to_owned());
    let containers = status.container_statuses.unwrap_or_default().into_iter();
    let reason = containers.filter_map(|container| container.state).find_map(|state| {
        let waiting = state.waiting.and_then(|waiting| waiting.reason);
        waiting.or_else(|| state.terminated.and_then(|terminated| terminated.reason))
    });
    match reason {
        Some(reason) => reason,
        None if phase == "Running" && !is_ready(pod) => "Running, not ready".to_owned(),
        None => phase,
    }
}

fn node_agent(set: &DaemonSet) -> Option<NodeAgent> {
    let name = set.metadata.name.clone()?;
    let spec = set.spec.as_ref()?.template.spec.as_ref()?;
    let is_agent = name.starts_with("datadog-agent")
        || find(spec, CLUSTER_AGENT).is_some()
        || find(spec, TOKEN).is_some();
    is_agent.then(|| NodeAgent { name, enabled: variable(spec, CLUSTER_AGENT), token: token(spec) })
}

fn find<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a EnvVar> {
    let variables = spec.containers.iter().flat_map(|it| it.env.iter().flatten());
    variables.into_iter().find(|variable| variable.name == name)
}

/// Whether it gets variables whose names we do not see, or flags in their place.
fn is_set_elsewhere(container: &Container) -> bool {
    let words = container.command.iter().flatten().chain(container.args.iter().flatten());
    container.env_from.iter().flatten().next().is_some()
        || words.into_iter().any(|word| word.starts_with("--"))
}

fn variable(spec: &PodSpec, name: &str) -> Found<String> {
    match find(spec, name) {
        Some(EnvVar { value: Some(text), .. }) => Found::Is(text.clone()),
        Some(_) => Found::Unknown("it comes from another object".to_owned()),
        None if spec.containers.iter().any(is_set_elsewhere) => {
            Found::Unknown("it may come from another object, or a flag".to_owned())
        }
        None => Found::Missing,
    }
}

/// Where the token comes from; a token itself is only shown by its length and fingerprint.
fn token(spec: &PodSpec) -> Option<String> {
    let variable = find(spec, TOKEN)?;
    if let Some(text) = &variable.value {
        let (length, fingerprint) = (text.chars().count(), fingerprint(text));
        return Some(format!("a value of {length} characters, SHA-256 {fingerprint}…"));
    }
    let secret = variable.value_from.as_ref()?.secret_key_ref.as_ref()?;
    Some(format!("Secret {}, key {}", secret.name, secret.key))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(env: &Value) -> PodSpec {
        serde_json::from_value(json!({"containers": [{"name": "it", "env": env}]})).unwrap()
    }

    #[test]
    fn a_token_is_never_shown() {
        let secret = "canary-canary-canary-canary-canary";
        let literal = spec(&json!([{"name": TOKEN, "value": secret}]));
        let shown = token(&literal).unwrap();
        assert!(shown.starts_with("a value of 34 characters, SHA-256 "), "{shown}");
        assert!(!shown.contains("canary"));
        let from =
            json!([{"name": TOKEN, "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]);
        assert_eq!(token(&spec(&from)).as_deref(), Some("Secret a, key b"));
        assert_eq!(token(&spec(&json!([]))), None);
    }

    #[test]
    fn what_is_set_where_it_cannot_be_seen_is_not_off() {
        assert_eq!(variable(&spec(&json!([])), ENABLED), Found::Missing);
        let hidden: PodSpec = serde_json::from_value(json!({"containers": [
            {"name": "it", "envFrom": [{"configMapRef": {"name": "a"}}]}]}))
        .unwrap();
        assert!(variable(&hidden, ENABLED).unknown().is_some());
        let flag: PodSpec = serde_json::from_value(json!({"containers": [
            {"name": "it", "args": ["--external-metrics-provider-enabled=true"]}]}))
        .unwrap();
        assert!(variable(&flag, ENABLED).unknown().is_some());
    }
}
