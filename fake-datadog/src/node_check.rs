//! A stand-in for Datadog's node agent that runs one check: nginx.
//!
//! ```text
//! pods (watch) ─▶ autodiscovery ─▶ plan ─▶ stub_status ─▶ payload ─▶ POST /api/v1/series
//!                 annotations →    what    page →         rates and
//!                 targets          is due  counters       shares
//! ```
//!
//! As with the agent, a rate needs two reads of the same nginx, so the first series with
//! `nginx.net.request_per_s` comes one interval after the first read. What differs: where pods have
//! no network, one nginx can stand behind all of them (`--shared-status-url`), and its numbers are
//! shared out equally among the running ones.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Client,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::reflector::Store,
};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use url::Url;

pub mod autodiscovery;
pub mod cluster_agent;
mod http;
pub mod payload;
pub mod plan;
mod pods;
pub mod round;
pub mod stub_status;
#[cfg(test)]
mod tests;

pub use crate::node_check::http::{ReadError, SetupError, SubmitError};
use crate::node_check::{
    pods::Scope,
    round::{Checker, Config},
};

/// Read nginx's status page in annotated pods and submit its metrics, as Datadog's agent does.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where series are submitted: base address of Datadog, or of a fake one.
    #[arg(long, env = "DD_URL", value_name = "URL", value_parser = http_url)]
    pub datadog_url: Url,

    /// API key for submitting.
    #[arg(long, env = "DD_API_KEY", value_name = "KEY", hide_env_values = true, value_parser = secret)]
    pub api_key: SecretString,

    /// Time between two reads, unless an instance sets its own `min_collection_interval`.
    #[arg(
        long,
        env = "NODE_CHECK_INTERVAL",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = interval
    )]
    pub interval: Duration,

    /// Kubeconfig of the cluster whose pods are looked at. Without it: `KUBECONFIG`,
    /// ~/.kube/config, or the service account of the pod that this runs in.
    #[arg(long, env = "NODE_CHECK_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// Look only at pods on this node, as the agent of that node does. Without it: on all nodes.
    #[arg(long, env = "DD_KUBERNETES_KUBELET_NODENAME", value_name = "NAME", value_parser = name)]
    pub node: Option<String>,

    /// Look only at pods in this namespace. Without it: in all namespaces.
    #[arg(long, env = "NODE_CHECK_NAMESPACE", value_name = "NAME", value_parser = name)]
    pub namespace: Option<String>,

    /// One status page that stands behind all pods, whatever their annotations say, for clusters
    /// whose pods have no network. Its numbers are shared out equally among the running targets.
    #[arg(
        long,
        env = "NODE_CHECK_SHARED_STATUS_URL",
        value_name = "URL",
        value_parser = plain_http_url
    )]
    pub shared_status_url: Option<Url>,

    /// Ask the cluster agent which Services lead to a pod, and tag its series with them.
    #[arg(
        long,
        env = "DD_CLUSTER_AGENT_ENABLED",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = clap::builder::BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub cluster_agent_enabled: bool,

    /// Where the cluster agent is. Its certificate is not verified, as Datadog's agents do not.
    #[arg(
        long,
        env = "DD_CLUSTER_AGENT_URL",
        default_value = "https://datadog-cluster-agent:5005",
        value_name = "URL",
        value_parser = http_url
    )]
    pub cluster_agent_url: Url,

    /// Token of the cluster agent.
    #[arg(
        long,
        env = "DD_CLUSTER_AGENT_AUTH_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        value_parser = secret
    )]
    pub cluster_agent_auth_token: Option<SecretString>,
}

/// Runs the check until `stop`. Fails only at the start: no cluster to be found, or a useless key.
pub async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let cluster_agent = args.cluster_agent()?;
    let Args {
        datadog_url, api_key, interval, kubeconfig, node, namespace, shared_status_url, ..
    } = args;
    let scope = Scope { namespace, node };
    tracing::info!(
        %datadog_url,
        interval = %humantime::format_duration(interval),
        namespace = scope.namespace.as_deref().unwrap_or("all"),
        node = scope.node.as_deref().unwrap_or("all"),
        shared_status_url = shared_status_url.as_ref().map(tracing::field::display),
        "node check starts"
    );
    let checker =
        Checker::new(Config { datadog_url, api_key, interval, shared_status_url, cluster_agent })?;
    let (store, watch) = pods::watch(client(kubeconfig).await?, &scope);
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = watch => anyhow::bail!("the watch on pods ended"),
        result = rounds(checker, store) => result,
    }
}

impl Args {
    fn cluster_agent(&self) -> anyhow::Result<Option<cluster_agent::Config>> {
        if !self.cluster_agent_enabled {
            return Ok(None);
        }
        let token = self.cluster_agent_auth_token.clone();
        let token = token.context("DD_CLUSTER_AGENT_ENABLED needs DD_CLUSTER_AGENT_AUTH_TOKEN")?;
        Ok(Some(cluster_agent::Config { url: self.cluster_agent_url.clone(), token }))
    }
}

async fn client(kubeconfig: Option<PathBuf>) -> anyhow::Result<Client> {
    let config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(&path)
                .with_context(|| format!("cannot read the kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("cannot use the kubeconfig {}", path.display()))?
        }
        None => kube::Config::infer()
            .await
            .context("no cluster to be found; name a kubeconfig with --kubeconfig")?,
    };
    Client::try_from(config).context("cannot set up a client of the cluster")
}

/// Round after round, beginning as soon as all pods are known. Ends only with the watch.
async fn rounds(mut checker: Checker, store: Store<Pod>) -> anyhow::Result<()> {
    store.wait_until_ready().await.context("the watch on pods ended before it was complete")?;
    tokio::time::sleep(until_middle_of_a_second(Timestamp::now())).await;
    loop {
        let round = checker.round(&store.state()).await;
        tracing::debug!(
            targets = round.targets,
            read = round.read,
            failed = round.failed,
            submitted = round.submitted.as_ref().ok(),
            "round done"
        );
        tokio::time::sleep(round.until_next).await;
    }
}

/// Points carry whole seconds. Rounds that fell close to the turn of a second would now and then
/// have the same second twice and then none: two rounds in one bucket of a query, with different
/// pods in them.
fn until_middle_of_a_second(now: Timestamp) -> Duration {
    const SECOND: i32 = 1_000_000_000;
    let nanos = (SECOND / 2 - now.subsec_nanosecond()).rem_euclid(SECOND);
    Duration::from_nanos(nanos.unsigned_abs().into())
}

fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err("must begin with http:// or https://".into()),
    }
}

fn plain_http_url(text: &str) -> Result<Url, String> {
    let url = http_url(text)?;
    if url.scheme() == "http" { Ok(url) } else { Err("must begin with http://".into()) }
}

/// Points carry whole seconds, so a much shorter interval would only overwrite them.
fn interval(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(100);
    let interval = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if interval >= SHORTEST { Ok(interval) } else { Err("give 100ms or more".into()) }
}

fn secret(text: &str) -> Result<SecretString, &'static str> {
    name(text).map(SecretString::from)
}

/// An environment variable that is set to nothing must not become a filter that matches nothing.
fn name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Err("must not be empty") } else { Ok(text.to_owned()) }
}
