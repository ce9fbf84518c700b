//! Everything that is known of one HPA and its way to Datadog; plain data.
//!
//! No value of an environment variable is in here but those that are named: a Deployment may hold
//! keys.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        autoscaling::v2::HorizontalPodAutoscaler, core::v1::Service, discovery::v1::EndpointSlice,
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde::{Deserialize, Serialize};

use crate::explain::view::View;

/// What came of one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found<T> {
    /// It is there.
    Is(T),
    /// It is not there.
    Missing,
    /// It cannot be known, and why: a right is missing, or nobody answers.
    Unknown(String),
}

impl<T> Found<T> {
    /// What was found, if anything.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(it) => Some(it),
            Self::Missing | Self::Unknown(_) => None,
        }
    }

    /// Why it cannot be known, if so.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Unknown(why) => Some(why),
            Self::Is(_) | Self::Missing => None,
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Facts {
    /// When it was gathered.
    pub now: Timestamp,
    /// The HPA, without what is only bookkeeping.
    pub hpa: HorizontalPodAutoscaler,
    /// The Events about it, the newest first.
    pub events: Found<Vec<Event>>,
    /// The names of other HPAs of its namespace that scale the same.
    pub rivals: Found<Vec<String>>,
    /// How many there are of what it scales.
    pub scale: Found<Scale>,
    /// The `DatadogMetric`s that it refers to, by `namespace/name`.
    pub datadog_metrics: BTreeMap<String, Found<()>>,
    /// The namespace of the provider.
    pub namespace: String,
    /// The provider's Deployment.
    pub deployment: Found<Deployment>,
    /// The provider's pods.
    pub pods: Found<Vec<Pod>>,
    /// What the provider says of itself at port 5005.
    pub view: Found<View>,
    /// The `DaemonSet`s of node agents in the provider's namespace.
    pub node_agents: Found<Vec<NodeAgent>>,
    /// What the API answers to the HPA's questions, in the order of its external metrics.
    pub answers: Vec<Found<Answer>>,
    /// What `kubectl api-versions` shows of metrics and autoscaling.
    pub api_versions: Found<Vec<String>>,
    /// Whether kube-apiserver publishes the authority of its front proxy.
    pub aggregation: Found<bool>,
    /// `v1beta1.external.metrics.k8s.io`.
    pub api_service: Found<APIService>,
    /// The Service that it names.
    pub service: Found<Service>,
    /// The Services of the provider's namespace.
    pub services: Found<Vec<Service>>,
    /// The `EndpointSlice`s of the Service that the `APIService` names.
    pub slices: Found<Vec<EndpointSlice>>,
    /// Who may do what, as kube-apiserver reviews it.
    pub rights: Vec<Right>,
}

/// An Event, as `kubectl describe` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Whether it is a `Warning`.
    pub warning: bool,
    /// Its reason.
    pub reason: String,
    /// Its text.
    pub note: String,
    /// How often it was said.
    pub count: i32,
}

/// What the HPA controller reads of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// `spec.replicas` of the scale subresource.
    pub wanted: i32,
    /// `status.replicas` of it.
    pub there: i32,
    /// Pods that are running and ready, where they could be counted.
    pub ready: Option<i32>,
}

/// The provider's Deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its name.
    pub name: String,
    /// How many pods it is to have.
    pub replicas: i32,
}

/// One pod of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its labels, which the Service selects by.
    pub labels: BTreeMap<String, String>,
    /// Its service account.
    pub account: String,
    /// Whether it is ready.
    pub ready: bool,
    /// `Pending`, `Running` …, or why its container waits or has ended.
    pub state: String,
    /// The ports that its containers declare.
    pub ports: Vec<i32>,
    /// `DD_EXTERNAL_METRICS_PROVIDER_ENABLED`; unknown where it is set by other means than a text.
    pub enabled: Found<String>,
    /// Where its token comes from, without the token; nothing where its environment does not say.
    pub token: Option<String>,
}

/// The node agents of one `DaemonSet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAgent {
    /// The name of the `DaemonSet`.
    pub name: String,
    /// `DD_CLUSTER_AGENT_ENABLED`, as for [`Pod::enabled`].
    pub enabled: Found<String>,
    /// Where its token comes from, without the token.
    pub token: Option<String>,
}

/// What came back for one metric by way of kube-apiserver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The HTTP status.
    pub code: u16,
    /// The `Status`' message, or the beginning of the body.
    pub message: String,
    /// The values, if it was a list of them.
    pub items: Vec<Item>,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// A quantity.
    pub value: String,
    /// The time of the point.
    pub timestamp: Option<Timestamp>,
    /// The labels.
    #[serde(default)]
    pub metric_labels: Option<BTreeMap<String, String>>,
}

/// Whether somebody may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// Who it is about.
    pub whose: Whose,
    /// Who, in the words of RBAC.
    pub user: String,
    /// What, such as `list nginx.net.request_per_s.external.metrics.k8s.io in namespace default`.
    pub what: String,
    /// Whether; `Missing` is a no.
    pub allowed: Found<()>,
}

/// Whose right it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The HPA controller's, to read external metrics.
    Controller,
    /// The provider's, to know who asks, and to read HPAs.
    Provider,
}
