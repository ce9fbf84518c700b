//! One replica of the provider: a process in the place of one pod of its Deployment.

use std::time::Duration;

use anyhow::Context;
use fake_datadog::{control, keys};
use serde_json::json;
use url::Url;

use crate::cluster::provider::NAME;

/// What answers a question about readiness.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// A replica, whether it runs or not.
#[derive(Debug, Clone)]
pub struct Replica {
    /// What its pod would be called.
    pub pod: String,
    /// Where it serves the API.
    pub url: Url,
    /// Where it serves node agents, its own commands and the other replicas.
    pub agent_url: Url,
    /// Its key for Datadog, where it has one of its own.
    api_key: Option<String>,
    /// The process's name in the run.
    pub(super) process: String,
}

impl Replica {
    /// The only one.
    pub(super) fn alone(ports: [u16; 2]) -> anyhow::Result<Self> {
        Self::new(0, NAME.to_owned(), ports, None)
    }

    /// One of several: it has a key of its own, so that Datadog's log says who asked.
    pub(super) fn among_others(index: usize, ports: [u16; 2]) -> anyhow::Result<Self> {
        let key = format!("fa4e{:028x}", index + 1);
        Self::new(index, pod(index), ports, Some(key))
    }

    fn new(
        index: usize,
        process: String,
        [port, agent_port]: [u16; 2],
        api_key: Option<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            pod: pod(index),
            url: Url::parse(&format!("https://127.0.0.1:{port}"))?,
            agent_url: Url::parse(&format!("https://127.0.0.1:{agent_port}"))?,
            api_key,
            process,
        })
    }

    /// By what Datadog's log knows it.
    pub fn key(&self) -> String {
        let key = self.api_key.as_deref().unwrap_or(keys::DEFAULT_API_KEY);
        keys::fingerprint(&key.to_owned().into())
    }

    /// What it is told that the others are not.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let port = |url: &Url| url.port().unwrap_or_default().to_string();
        let mut environment = vec![
            ("DD_EXTERNAL_METRICS_PROVIDER_PORT", port(&self.url)),
            ("DD_CLUSTER_AGENT_CMD_PORT", port(&self.agent_url)),
        ];
        if let Some(key) = &self.api_key {
            environment.push(("DD_API_KEY", key.clone()));
        }
        environment
    }

    /// The status and the text of one of its health endpoints.
    pub async fn health(&self, path: &str) -> anyhow::Result<(u16, String)> {
        // Its certificate signs itself, and the question goes over loopback.
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .timeout(ANSWERS_WITHIN)
            .build()?;
        let answer = client.get(self.url.join(path)?).send().await.context("no answer")?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.unwrap_or_default()))
    }
}

fn pod(index: usize) -> String {
    format!("{NAME}-{index}")
}

/// Has the fake accept the keys of these replicas beside the usual pair.
pub(super) async fn accept(fake: &control::Client, replicas: &[Replica]) -> anyhow::Result<()> {
    let own = replicas.iter().filter_map(|replica| replica.api_key.as_ref());
    let mut keys =
        vec![json!({"api": keys::DEFAULT_API_KEY}), json!({"app": keys::DEFAULT_APP_KEY})];
    keys.extend(own.map(|key| json!({"api": key})));
    fake.set_scenario(&json!({"keys": keys}).to_string()).await?;
    Ok(())
}
