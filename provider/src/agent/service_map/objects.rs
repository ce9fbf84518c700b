//! What is read of the objects: as little as possible, so that a long list of them is small, too.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::Deserialize;

use crate::agent::service_map::{Metadata, Named, Pairs};

/// The label that says whose slice it is.
const SERVICE: &str = "kubernetes.io/service-name";
/// A copy of the whole object, which `kubectl apply` leaves behind.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An `EndpointSlice`, without addresses, ports and conditions.
#[derive(Debug, Clone, Deserialize, Resource)]
#[resource(inherit = EndpointSlice)]
pub struct Endpoints {
    metadata: ObjectMeta,
    #[serde(default)]
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    node_name: Option<Box<str>>,
    target_ref: Option<Target>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    kind: Option<Box<str>>,
    namespace: Option<Box<str>>,
    name: Option<Box<str>>,
}

/// What is left of an `EndpointSlice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Its namespace, which is that of its Service and of its pods.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The Service that it belongs to, if it is one's.
    pub service: Option<Box<str>>,
    /// Node and name of its pods.
    pub pods: Vec<(Box<str>, Box<str>)>,
}

/// All pods that the slice names, ready or not, as Datadog's agent counts since it reads slices: a
/// tag that came and went with readiness would make new series each time. Those of another
/// namespace do not count: who may write slices in one must not tag the pods of all.
impl From<Endpoints> for Slice {
    fn from(endpoints: Endpoints) -> Self {
        let Endpoints { metadata, endpoints } = endpoints;
        let namespace: Box<str> = metadata.namespace.unwrap_or_default().into();
        let service = metadata.labels.and_then(|mut labels| labels.remove(SERVICE));
        let pod = |endpoint: Endpoint| {
            let target = endpoint.target_ref?;
            let is_ours = target.kind.as_deref() == Some("Pod")
                && target.namespace.as_deref() == Some(&*namespace);
            let filled = |name: Option<Box<str>>| name.filter(|name| !name.is_empty());
            Some((filled(endpoint.node_name)?, filled(target.name)?)).filter(|_| is_ours)
        };
        let pods = endpoints.unwrap_or_default().into_iter().filter_map(pod).collect();
        Self {
            pods,
            name: metadata.name.unwrap_or_default().into(),
            service: service.filter(|service| !service.is_empty()).map(Into::into),
            namespace,
        }
    }
}

/// A node, with those of its annotations that are host aliases to Datadog.
pub fn node(metadata: ObjectMeta, annotations: &[String]) -> Named {
    named(metadata, |name| annotations.iter().any(|it| it == name))
}

/// A namespace.
pub fn namespace(metadata: ObjectMeta) -> Named {
    named(metadata, |name| name != LAST_APPLIED)
}

fn named(metadata: ObjectMeta, kept: impl Fn(&str) -> bool) -> Named {
    let pairs = |pairs: Option<BTreeMap<String, String>>| -> Pairs {
        pairs.into_iter().flatten().map(|(name, value)| (name.into(), value.into())).collect()
    };
    let mut annotations = metadata.annotations;
    if let Some(annotations) = &mut annotations {
        annotations.retain(|name, _| kept(name));
    }
    let name = metadata.name.unwrap_or_default().into();
    (name, Metadata { labels: pairs(metadata.labels), annotations: pairs(annotations) })
}
