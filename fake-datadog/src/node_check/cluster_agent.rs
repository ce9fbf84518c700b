//! What the cluster agent knows of pods: the Services that lead to them, as tags.
//!
//! As Datadog's node agents do, this verifies no certificate and sends the token to whoever listens.
//! Whatever goes wrong, metrics are sent; only the tags are missing.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    time::Duration,
};

use reqwest::{
    Client, StatusCode,
    header::{AUTHORIZATION, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use crate::node_check::{autodiscovery::Target, http::SetupError};

/// How long the tags of a pod count.
const FRESH: Duration = Duration::from_secs(15);
/// For one question; a round must not wait for longer because of tags.
const DEADLINE: Duration = Duration::from_secs(2);

/// Where it is, and what opens it.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base address.
    pub url: Url,
    /// The cluster agent's token.
    pub token: SecretString,
}

/// The cluster agent, and what it said.
#[derive(Debug)]
pub(crate) struct ClusterAgent {
    client: Client,
    url: Url,
    bearer: HeaderValue,
    pods: HashMap<Pod, Known>,
    /// Whether it has said its version since it last failed.
    is_known: bool,
    /// What was said about a failure that is not over.
    failing: Option<String>,
}

/// Node, namespace and name.
type Pod = (String, String, String);

#[derive(Debug)]
struct Known {
    at: Instant,
    tags: Vec<String>,
}

/// Why there are no tags.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cluster agent at {url} cannot be reached: {cause}; check DD_CLUSTER_AGENT_URL")]
    Unreachable { url: Url, cause: String },
    #[error("cluster agent at {url} got no token that it can read (401): {body}")]
    NoToken { url: Url, body: String },
    #[error(
        "cluster agent at {url} has another token (403): check DD_CLUSTER_AGENT_AUTH_TOKEN: {body}"
    )]
    WrongToken { url: Url, body: String },
    #[error("cluster agent at {url} answered {status}: {body}")]
    Status { url: Url, status: StatusCode, body: String },
}

/// As Go's `version.Version` is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl ClusterAgent {
    pub(crate) fn new(config: &Config) -> Result<Self, SetupError> {
        let text = format!("Bearer {}", config.token.expose_secret().trim());
        let mut bearer = HeaderValue::from_str(&text).map_err(SetupError::Token)?;
        bearer.set_sensitive(true);
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .tls_danger_accept_invalid_certs(true)
            .timeout(DEADLINE)
            .build()
            .map_err(SetupError::Client)?;
        Ok(Self {
            client,
            url: config.url.clone(),
            bearer,
            pods: HashMap::new(),
            is_known: false,
            failing: None,
        })
    }

    /// Adds to each target the tags of its pod. After a first failure nothing more is asked in this
    /// round; tags that were known before stay.
    pub(crate) async fn tag(&mut self, targets: &mut [Target]) {
        let pods: Vec<_> = targets.iter().map(pod).collect();
        let present: HashSet<_> = pods.iter().flatten().collect();
        self.pods.retain(|known, _| present.contains(known));
        let now = Instant::now();
        let is_old = |known: Option<&Known>| known.is_none_or(|it| it.at + FRESH <= now);
        for pod in pods.iter().flatten() {
            if !is_old(self.pods.get(pod)) {
                continue;
            }
            match self.ask(pod).await {
                Ok(tags) => {
                    self.pods.insert(pod.clone(), Known { at: now, tags });
                    if self.failing.take().is_some() {
                        tracing::info!(url = %self.url, "cluster agent gives tags again");
                    }
                }
                Err(failure) => {
                    self.say(&failure);
                    break;
                }
            }
        }
        for (target, pod) in targets.iter_mut().zip(&pods) {
            let known = pod.as_ref().and_then(|pod| self.pods.get(pod));
            target.tags.extend(known.into_iter().flat_map(|known| known.tags.iter().cloned()));
            target.tags.sort();
            target.tags.dedup();
        }
    }

    fn say(&mut self, failure: &Failure) {
        self.is_known = false;
        let text = failure.to_string();
        if self.failing.as_ref() == Some(&text) {
            tracing::debug!(error = text, "still no kube_service tags");
            return;
        }
        tracing::warn!(error = text, "series are sent without kube_service tags");
        self.failing = Some(text);
    }

    async fn ask(&mut self, (node, namespace, name): &Pod) -> Result<Vec<String>, Failure> {
        if !self.is_known {
            let Version { major, minor, patch } = self.get(&["version"]).await?;
            tracing::info!(url = %self.url, version = format!("{major}.{minor}.{patch}"), "cluster agent found");
            self.is_known = true;
        }
        self.get(&["api", "v1", "tags", "pod", node, namespace, name]).await
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let base = || self.url.clone();
        let unreachable =
            |error: reqwest::Error| Failure::Unreachable { url: base(), cause: root(&error) };
        let request = self.client.get(url).header(AUTHORIZATION, self.bearer.clone());
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(unreachable);
        }
        let body = answer.text().await.unwrap_or_default();
        let body = body.trim().chars().take(200).collect();
        Err(match status {
            StatusCode::UNAUTHORIZED => Failure::NoToken { url: base(), body },
            StatusCode::FORBIDDEN => Failure::WrongToken { url: base(), body },
            _ => Failure::Status { url: base(), status, body },
        })
    }
}

/// Where a target's pod is; nobody knows the pods of no node.
fn pod(target: &Target) -> Option<Pod> {
    let (namespace, name) = (target.id.namespace.clone(), target.id.pod.clone());
    target.node.clone().map(|node| (node, namespace, name))
}

/// What came last in the chain of causes says it.
fn root(mut error: &dyn Error) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
