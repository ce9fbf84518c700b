//! Asks kube-apiserver for the facts. Each question has a time limit and may fail alone: a right
//! that is missing becomes a fact, never an end.

use std::{collections::BTreeMap, future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Service},
        discovery::v1::EndpointSlice,
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta},
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use tokio::time::timeout;

use crate::{
    demand::{ObjectName, reference},
    explain::{
        facts::{Facts, Found},
        view::View,
    },
};

mod agents;
mod answers;
mod rights;
mod target;

/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(5);
const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
/// The label of everything that belongs to the provider.
const OURS: &str = "app=datadog-cluster-agent";

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The HPA's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The provider's namespace; where it is not known it is looked for.
    pub provider: Option<String>,
}

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
pub enum CannotLook {
    /// There is no such HPA.
    #[error("there is no HPA {namespace}/{name}, see `kubectl get hpa -A`")]
    NoHpa {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// It cannot be read.
    #[error("HPA {namespace}/{name} cannot be read: {why}")]
    Unreadable {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
}

/// Everything that can be known. The client must not try a 503 again
/// ([`kube::Config::default_retry`]): it is what is to be seen. `view` asks the provider in a
/// namespace what it says of itself, within a time of its own.
pub async fn gather(
    client: &Client,
    request: Request,
    view: impl AsyncFnOnce(&str) -> Found<View>,
) -> Result<Facts, CannotLook> {
    let Request { namespace, name, provider } = request;
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), &namespace);
    let api_services: Api<APIService> = Api::all(client.clone());
    let (hpa, api_service) = tokio::join!(
        Box::pin(ask("get horizontalpodautoscalers.autoscaling", hpas.get(&name))),
        Box::pin(ask("get apiservices.apiregistration.k8s.io", api_services.get(API_SERVICE))),
    );
    let mut hpa = match hpa {
        Found::Is(hpa) => hpa,
        Found::Missing => return Err(CannotLook::NoHpa { namespace, name }),
        Found::Unknown(why) => return Err(CannotLook::Unreadable { namespace, name, why }),
    };
    tidy(&mut hpa.metadata);
    let api_service = tidied(api_service, |it| &mut it.metadata);
    let provider = match provider {
        Some(provider) => provider,
        None => agents::namespace(client, &api_service).await,
    };
    let registered = async { registered(client, &api_service).await };
    let agents = async {
        let agents = agents::gather(client, &provider).await;
        let account = agents.pods.get().and_then(|pods| pods.first());
        let account = account.map_or("dca", |pod| pod.account.as_str());
        let rights = rights::gather(client, &hpa, &provider, account).await;
        (agents, rights)
    };
    let (
        view,
        answers,
        target,
        (service, slices),
        (agents, rights),
        metrics,
        versions,
        aggregation,
    ) = tokio::join!(
        Box::pin(view(&provider)),
        Box::pin(answers::gather(client, &hpa)),
        Box::pin(target::gather(client, &hpa)),
        Box::pin(registered),
        Box::pin(agents),
        Box::pin(datadog_metrics(client, &hpa)),
        Box::pin(api_versions(client)),
        Box::pin(aggregation(client)),
    );
    Ok(Facts {
        now: Timestamp::now(),
        hpa,
        events: target.events,
        rivals: target.rivals,
        scale: target.scale,
        datadog_metrics: metrics,
        namespace: provider,
        deployment: agents.deployment,
        pods: agents.pods,
        view,
        node_agents: agents.node_agents,
        answers,
        api_versions: versions,
        aggregation,
        api_service,
        service,
        services: agents.services,
        slices,
        rights,
    })
}

/// The answer to one question; `right` is what it takes to ask it.
async fn ask<T>(right: &str, question: impl Future<Output = kube::Result<T>>) -> Found<T> {
    match timeout(LIMIT, question).await {
        Ok(Ok(answer)) => Found::Is(answer),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Found::Missing,
        Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
            Found::Unknown(format!("not known: it takes the right to {right}"))
        }
        Ok(Err(kube::Error::Api(status))) => Found::Unknown(format!(
            "not known: kube-apiserver answers HTTP {}: {}",
            status.code, status.message
        )),
        Ok(Err(error)) => Found::Unknown(format!("not known: {}", innermost(&error))),
        Err(_) => Found::Unknown(format!("not known: no answer within {}s", LIMIT.as_secs())),
    }
}

/// The cause says more than what it is wrapped in.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

impl<T> Found<T> {
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Self::Is(it) => Found::Is(change(it)),
            Self::Missing => Found::Missing,
            Self::Unknown(why) => Found::Unknown(why),
        }
    }
}

/// Takes away what is long and says nothing here.
fn tidy(metadata: &mut ObjectMeta) {
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

fn tidied<T>(mut found: Found<T>, metadata: fn(&mut T) -> &mut ObjectMeta) -> Found<T> {
    if let Found::Is(it) = &mut found {
        tidy(metadata(it));
    }
    found
}

fn tidied_all<T>(found: Found<Vec<T>>, metadata: fn(&mut T) -> &mut ObjectMeta) -> Found<Vec<T>> {
    found.map(|mut items| {
        for item in &mut items {
            tidy(metadata(item));
        }
        items
    })
}

/// The Service that the `APIService` names, and what it leads to.
async fn registered(
    client: &Client,
    api_service: &Found<APIService>,
) -> (Found<Service>, Found<Vec<EndpointSlice>>) {
    let named = |service: &APIService| {
        let to = service.spec.as_ref()?.service.clone()?;
        Some((to.namespace?, to.name?))
    };
    let Some((namespace, name)) = api_service.get().and_then(named) else {
        return (Found::Missing, Found::Missing);
    };
    let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &namespace);
    let of_it = ListParams::default().labels(&format!("kubernetes.io/service-name={name}"));
    let rights = [
        format!("get services in namespace {namespace}"),
        format!("list endpointslices.discovery.k8s.io in namespace {namespace}"),
    ];
    let (service, slices) =
        tokio::join!(ask(&rights[0], services.get(&name)), ask(&rights[1], slices.list(&of_it)));
    let slices = tidied_all(slices.map(|list| list.items), |it| &mut it.metadata);
    (tidied(service, |it| &mut it.metadata), slices)
}

/// The `DatadogMetric`s that the HPA refers to.
async fn datadog_metrics(
    client: &Client,
    hpa: &HorizontalPodAutoscaler,
) -> BTreeMap<String, Found<()>> {
    let kind = GroupVersionKind::gvk("datadoghq.com", "v1alpha1", "DatadogMetric");
    let resource = ApiResource::from_gvk(&kind);
    let mut found = BTreeMap::new();
    let metrics = hpa.spec.iter().flat_map(|spec| spec.metrics.iter().flatten());
    let names = metrics.filter_map(|metric| Some(&metric.external.as_ref()?.metric.name));
    for object in names.filter_map(|name| reference::parse(name)?.ok()) {
        let ObjectName { namespace, name } = &object;
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let answer = ask("get datadogmetrics.datadoghq.com", api.get(name)).await;
        found.insert(object.to_string(), answer.map(|_| ()));
    }
    found
}

/// The groups that matter here, as `kubectl api-versions` shows them.
async fn api_versions(client: &Client) -> Found<Vec<String>> {
    let groups = ask("get /apis", client.list_api_groups()).await;
    groups.map(|list| {
        let versions = list.groups.into_iter().flat_map(|group| group.versions);
        let versions = versions.map(|version| version.group_version);
        versions.filter(|it| it.starts_with("autoscaling/") || it.contains("metrics")).collect()
    })
}

/// Whether kube-apiserver publishes the authority of its front proxy.
async fn aggregation(client: &Client) -> Found<bool> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let right = "get ConfigMap kube-system/extension-apiserver-authentication";
    let map = ask(right, maps.get("extension-apiserver-authentication")).await;
    map.map(|map| {
        let bundle = map.data.unwrap_or_default().remove("requestheader-client-ca-file");
        bundle.is_some_and(|bundle| !bundle.trim().is_empty())
    })
}

#[cfg(test)]
mod tests;
