//! From a pod to what is to be checked in it: Datadog's autodiscovery by pod annotations.
//!
//! The rules are those of the agent for the keys `check_names`, `init_configs` and `instances`
//! (<https://docs.datadoghq.com/containers/kubernetes/integrations/>): three JSON lists of the same
//! length, position by position one check. Only checks named `nginx` concern us.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Container, Pod};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

mod template;
#[cfg(test)]
mod tests;

pub use crate::node_check::autodiscovery::template::TemplateError;
use crate::node_check::autodiscovery::template::Variables;

const PREFIX: &str = "ad.datadoghq.com/";
const CHECK: &str = "nginx";

/// One status page to be read, and how its series are tagged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Which instance of which container this is.
    pub id: TargetId,
    /// Where the status page is.
    pub status_url: Url,
    /// The instance's own `min_collection_interval`.
    pub interval: Option<Duration>,
    /// The node that the pod runs on, which is the `host` of an agent's series.
    pub node: Option<String>,
    /// Tags `key:value`, sorted, none twice.
    pub tags: Vec<String>,
}

/// What tells one target from all others, those of a former pod of the same name included.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetId {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod.
    pub uid: String,
    /// Name of the container.
    pub container: String,
    /// Which of the container's nginx instances, from 0.
    pub instance: usize,
}

/// Annotations of a pod that cannot be used. The agent too leaves out such a pod.
#[derive(Debug, thiserror::Error)]
pub enum AutodiscoveryError {
    /// The middle part of the key names no container.
    #[error(
        "annotation {PREFIX}{container}.check_names: the pod has no container {container:?}, only \
         {containers}"
    )]
    NoSuchContainer {
        /// The name in the key.
        container: String,
        /// Names of the containers that are there, comma separated.
        containers: String,
    },
    /// One of the three keys is not there.
    #[error("annotation {key} is missing; it belongs to check_names")]
    Missing {
        /// The whole key.
        key: String,
    },
    /// The value of an annotation is no JSON list of what belongs there.
    #[error("annotation {key}: {source}")]
    Json {
        /// The whole key.
        key: String,
        /// What is wrong with the JSON, with line and column.
        source: serde_json::Error,
    },
    /// The three lists do not match.
    #[error(
        "annotations {PREFIX}{container}.*: {names} check_names, {init_configs} init_configs and \
         {instances} instances; they must be equally many"
    )]
    Lengths {
        /// Name of the container.
        container: String,
        /// How many check names there are.
        names: usize,
        /// How many initial configurations there are.
        init_configs: usize,
        /// How many instances there are.
        instances: usize,
    },
    /// The status URL's template cannot be filled in.
    #[error("annotation {key}: nginx_status_url {template:?}: {source}")]
    Template {
        /// The whole key.
        key: String,
        /// The URL as it is written.
        template: String,
        /// Which variable is at fault.
        source: TemplateError,
    },
    /// The status URL is none.
    #[error("annotation {key}: nginx_status_url {url:?}: {reason}")]
    Url {
        /// The whole key.
        key: String,
        /// The URL, filled in.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The nginx checks that a pod's annotations ask for.
///
/// None for a pod that is not running, is being deleted, or has no address yet. A pod asks for all
/// of its checks or, where one annotation is broken, for none.
pub fn targets(pod: &Pod) -> Result<Vec<Target>, AutodiscoveryError> {
    let Some(pod) = RunningPod::new(pod) else { return Ok(Vec::new()) };
    pod.reject_unknown_containers()?;
    let mut targets = Vec::new();
    for container in pod.containers {
        for (index, instance) in pod.nginx_instances(&container.name)?.into_iter().enumerate() {
            targets.push(pod.target(container, index, instance)?);
        }
    }
    Ok(targets)
}

/// A pod that can be read from, and the parts of it that we use.
struct RunningPod<'a> {
    pod: &'a Pod,
    annotations: &'a BTreeMap<String, String>,
    containers: &'a [Container],
    address: &'a str,
}

/// The fields of Datadog's nginx instance that we know; it may have others.
#[derive(Debug, Deserialize)]
struct Instance {
    nginx_status_url: String,
    #[serde(default)]
    tags: Option<Tags>,
    /// Seconds; 0 is the same as none, as with the agent.
    #[serde(default)]
    min_collection_interval: Option<u32>,
}

/// The agent takes a lone string for a list of one.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "tags must be a string or a list of strings")]
enum Tags {
    One(String),
    Many(Vec<String>),
}

/// An entry of `instances` is one instance or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

// === impl RunningPod ===

impl<'a> RunningPod<'a> {
    fn new(pod: &'a Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let running =
            status.phase.as_deref() == Some("Running") && pod.metadata.deletion_timestamp.is_none();
        running.then_some(())?;
        Some(Self {
            pod,
            annotations: pod.metadata.annotations.as_ref()?,
            containers: &pod.spec.as_ref()?.containers,
            address: status.pod_ip.as_deref().filter(|address| !address.is_empty())?,
        })
    }

    fn reject_unknown_containers(&self) -> Result<(), AutodiscoveryError> {
        let known = |name: &str| self.containers.iter().any(|container| container.name == name);
        let unknown = self
            .annotations
            .keys()
            .filter_map(|key| key.strip_prefix(PREFIX)?.strip_suffix(".check_names"))
            .find(|container| !known(container));
        match unknown {
            None => Ok(()),
            Some(container) => Err(AutodiscoveryError::NoSuchContainer {
                container: container.to_owned(),
                containers: self
                    .containers
                    .iter()
                    .map(|container| container.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    /// The entries of `instances` that stand where `check_names` says nginx.
    fn nginx_instances(&self, container: &str) -> Result<Vec<Instance>, AutodiscoveryError> {
        let names_key = annotation_key(container, "check_names");
        let Some(names) = self.annotations.get(&names_key) else { return Ok(Vec::new()) };
        let names: Vec<String> = parse(&names_key, names)?;
        if !names.iter().any(|name| name == CHECK) {
            return Ok(Vec::new());
        }
        let init_configs: Vec<Value> = self.list(container, "init_configs")?;
        let instances: Vec<OneOrMany> = self.list(container, "instances")?;
        if names.len() != init_configs.len() || names.len() != instances.len() {
            return Err(AutodiscoveryError::Lengths {
                container: container.to_owned(),
                names: names.len(),
                init_configs: init_configs.len(),
                instances: instances.len(),
            });
        }
        names
            .iter()
            .zip(instances)
            .filter(|(name, _)| *name == CHECK)
            .flat_map(|(_, instances)| match instances {
                OneOrMany::One(instance) => vec![instance],
                OneOrMany::Many(instances) => instances,
            })
            .map(|instance| {
                serde_json::from_value(instance).map_err(|source| AutodiscoveryError::Json {
                    key: annotation_key(container, "instances"),
                    source,
                })
            })
            .collect()
    }

    fn list<T: for<'de> Deserialize<'de>>(
        &self,
        container: &str,
        what: &str,
    ) -> Result<Vec<T>, AutodiscoveryError> {
        let key = annotation_key(container, what);
        match self.annotations.get(&key) {
            None => Err(AutodiscoveryError::Missing { key }),
            Some(text) => parse(&key, text),
        }
    }

    fn target(
        &self,
        container: &Container,
        index: usize,
        instance: Instance,
    ) -> Result<Target, AutodiscoveryError> {
        let variables = Variables { host: self.address, port: highest_port(container) };
        let metadata = &self.pod.metadata;
        Ok(Target {
            id: TargetId {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                pod: metadata.name.clone().unwrap_or_default(),
                uid: metadata.uid.clone().unwrap_or_default(),
                container: container.name.clone(),
                instance: index,
            },
            status_url: status_url(&container.name, instance.nginx_status_url, &variables)?,
            interval: instance
                .min_collection_interval
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Duration::from_secs(seconds.into())),
            node: self.pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            tags: self.tags(&container.name, instance.tags, &variables),
        })
    }

    /// The agent's tags of a container, down to `pod_name`, and those of the instance.
    ///
    /// A tag with a variable that we cannot fill in is left out. That is the fate of `%%tags%%`,
    /// which stands for the agent's own tags, and these are here anyway.
    fn tags(&self, container: &str, own: Option<Tags>, variables: &Variables<'_>) -> Vec<String> {
        let metadata = &self.pod.metadata;
        let own = match own {
            None => Vec::new(),
            Some(Tags::One(tag)) => vec![tag],
            Some(Tags::Many(tags)) => tags,
        };
        let mut tags: Vec<String> = [
            ("kube_container_name", Some(container)),
            ("kube_deployment", deployment(self.pod)),
            ("kube_namespace", metadata.namespace.as_deref()),
            ("pod_name", metadata.name.as_deref()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}:{}", value?)))
        .chain(own.iter().filter_map(|tag| variables.fill_in(tag).ok()))
        .collect();
        tags.sort_unstable();
        tags.dedup();
        tags
    }
}

fn annotation_key(container: &str, what: &str) -> String {
    format!("{PREFIX}{container}.{what}")
}

fn parse<T: for<'de> Deserialize<'de>>(key: &str, text: &str) -> Result<T, AutodiscoveryError> {
    serde_json::from_str(text)
        .map_err(|source| AutodiscoveryError::Json { key: key.to_owned(), source })
}

/// Only plain http: no pod's certificate could be checked against anything.
fn status_url(
    container: &str,
    template: String,
    variables: &Variables<'_>,
) -> Result<Url, AutodiscoveryError> {
    let key = annotation_key(container, "instances");
    let url = match variables.fill_in(&template) {
        Ok(url) => url,
        Err(source) => return Err(AutodiscoveryError::Template { key, template, source }),
    };
    match Url::parse(&url) {
        Ok(parsed) if parsed.scheme() == "http" => Ok(parsed),
        Ok(_) => {
            Err(AutodiscoveryError::Url { key, url, reason: "must begin with http://".into() })
        }
        Err(error) => Err(AutodiscoveryError::Url { key, url, reason: error.to_string() }),
    }
}

/// What the agent means by `%%port%%` is the last of a container's ports in numerical order.
fn highest_port(container: &Container) -> Option<i32> {
    container.ports.iter().flatten().map(|port| port.container_port).max()
}

/// The Deployment behind a pod: the name of its `ReplicaSet` without the hash at the end.
///
/// The rule is the agent's (`pkg/util/kubernetes/helpers.go`): the hash has at least three signs,
/// digits only or out of the alphabet of Kubernetes' `SafeEncodeString`.
fn deployment(pod: &Pod) -> Option<&str> {
    const ALPHABET: &str = "bcdfghjklmnpqrstvwxz2456789";
    let owner = pod
        .metadata
        .owner_references
        .iter()
        .flatten()
        .find(|owner| owner.kind == "ReplicaSet" && owner.controller == Some(true))?;
    let (deployment, hash) = owner.name.rsplit_once('-')?;
    let is_hash = hash.len() >= 3
        && (hash.bytes().all(|byte| byte.is_ascii_digit())
            || hash.chars().all(|sign| ALPHABET.contains(sign)));
    is_hash.then_some(deployment)
}
