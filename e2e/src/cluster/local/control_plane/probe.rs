//! Asks whether a part of the control plane is of use yet. Answers in words, for the error of the
//! one that never was.

use std::{error::Error, fmt::Debug, path::Path, time::Duration};

use anyhow::Context;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, Resource};
use reqwest::Certificate;
use serde::de::DeserializeOwned;
use url::Url;

/// Asks by HTTP.
#[derive(Debug)]
pub(crate) struct Prober(reqwest::Client);

impl Prober {
    /// Trusts the cluster's authority and nobody else.
    pub(crate) fn new(ca: &Path) -> anyhow::Result<Self> {
        let pem = std::fs::read(ca).with_context(|| format!("cannot read {}", ca.display()))?;
        let client = reqwest::Client::builder()
            .tls_certs_only([Certificate::from_pem(&pem)?])
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        Ok(Self(client))
    }

    /// Whether a GET is answered by 200.
    pub(crate) async fn ok(&self, url: &Url) -> Result<(), String> {
        let response = self.0.get(url.clone()).send().await.map_err(|error| chain(&error))?;
        match response.status() {
            reqwest::StatusCode::OK => Ok(()),
            status => Err(format!("{url} answers {status}")),
        }
    }
}

/// Whether there is an object of this name.
pub(crate) async fn exists<K>(api: &Api<K>, name: &str) -> Result<(), String>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    match api.get_opt(name).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(format!("there is no {} {name} yet", K::kind(&()))),
        Err(error) => Err(chain(&error)),
    }
}

/// Whether the node says that it is ready.
pub(crate) async fn node_is_ready(nodes: &Api<Node>, name: &str) -> Result<(), String> {
    let node = nodes.get(name).await.map_err(|error| chain(&error))?;
    let conditions = node.status.and_then(|status| status.conditions).unwrap_or_default();
    let ready = conditions.iter().any(|found| found.type_ == "Ready" && found.status == "True");
    if ready { Ok(()) } else { Err(format!("node {name} is not ready")) }
}

/// An error with its causes: reqwest's and kube's own words alone hide the reason.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
