//! The composition root: builds every part from the arguments, starts them, and waits.

use std::{future::Future, sync::Arc};

use anyhow::{Context, anyhow};
use axum::http::Uri;
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{
        config::{Origin, Setting, Settings},
        facts::Facts,
        token::Cluster,
    },
    api::{self, health::Readiness, review},
    app::external::External,
    args::Run,
    lead::Leadership,
    metrics::Metrics,
    serve::{self, client_certs::AnyClient, guard::Guard, tls::metrics::Expiry},
    shutdown,
    telemetry::{self, Recent},
};

mod agent;
mod external;
mod leading;
mod page;
mod serving;
mod state;

/// Runs the provider with `args`, which `settings` describe, to its end.
pub async fn run(args: Run, settings: Settings) -> anyhow::Result<()> {
    let telemetry = telemetry::start(&args.log)?;
    for Setting { name, value, origin, .. } in &settings.shown {
        if *origin != Origin::Default {
            tracing::debug!(name, value, ?origin, "setting");
        }
    }
    let ended = start(args, settings, telemetry.recent.clone()).await;
    telemetry.finish().await;
    ended
}

async fn start(args: Run, settings: Settings, recent: Recent) -> anyhow::Result<()> {
    let started = Timestamp::now();
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "datadog-cluster-agent starts");
    let serving = &args.serving;
    let listener =
        serve::bind(serving.bind_address, serving.port, "DD_EXTERNAL_METRICS_PROVIDER_PORT")?;
    let agent_listener = agent::bind(&args.agent)?;
    let metrics = Arc::new(Metrics::default());
    let server =
        serve::Server { shutdown_delay: serving.shutdown_delay, ..serve::Server::default() };
    let (expiry, reviews) = (Expiry::default(), review::metrics::Metrics::default());
    metrics.register_with(|registry| {
        server.metrics.register(registry);
        expiry.register(registry);
        reviews.register(registry);
    });
    let mut tasks = Tasks::default();
    let enabled = args.external_metrics.enabled;
    // First what is wrong with the settings, then with the surroundings.
    let client = enabled.then(|| external::client(&args)).transpose()?;
    let (cluster, server_url) = cluster(&args).await?.unzip();
    let agent = match agent_listener {
        Some(listener) => {
            let own = cluster.clone().map(|cluster| own_objects(cluster, &args));
            let url = server_url.as_ref();
            Some(agent::open(listener, &args, own, url, expiry.clone(), &mut tasks).await?)
        }
        None => None,
    };
    let external = if let (Some(client), Some(cluster)) = (client, &cluster) {
        let started = external::start(&args, client, cluster, agent.as_ref(), &metrics, &mut tasks);
        Some(Box::pin(started).await?)
    } else {
        tracing::info!(
            "external metrics are off, set DD_EXTERNAL_METRICS_PROVIDER_ENABLED=true to serve them"
        );
        None
    };
    let for_api = cluster.as_ref().filter(|_| external.is_some());
    let certificates = serving::start_certificates(
        serving,
        for_api.map(|cluster| (&cluster.kube, cluster.namespace.as_str())),
        expiry,
        &mut tasks,
    )?;
    let tls = serve::tls::config(&certificates, Arc::new(AnyClient::default()));
    if let (Some(cluster), Some(external)) = (&cluster, &external) {
        page::start(&args.page, cluster, external, agent.as_ref(), &certificates, &mut tasks)?;
    }
    let kube = for_api.map(|cluster| cluster.kube.clone());
    let access = serving::start_access(serving, kube, reviews, &mut tasks)?;
    let readiness = readiness(external.as_ref(), tasks.stopping.clone());
    let replicas = external.as_ref().map(External::for_replicas);
    let api = external.as_ref().map(|external| external.api.clone());
    let facts = Facts {
        started,
        pod: args.external_metrics.pod_name.clone().filter(|pod| !pod.is_empty()),
        log_level: args.log.log_level.clone(),
        settings: Arc::new(settings),
        recent,
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        election: args.leader_election.leader_election,
        leadership: match &external {
            Some(external) => external.leadership.clone(),
            None => watch::channel(Leadership::alone()).1,
        },
        external: external.map(|external| external.facts),
        metamap: agent.as_ref().map(agent::Opened::metamap),
    };
    tracing::info!(address = %listener.local_addr()?, "serving");
    let router = api::guarded(api, readiness, metrics.clone(), Guard::new(&server.limits), access);
    let stopping = tasks.stopping.clone();
    let signals = tokio::spawn(shutdown::on_signal(stopping.clone()));
    tasks.spawn("server", async move { Ok(server.run(listener, tls, router, stopping).await?) });
    if let Some(agent) = agent {
        let others = replicas.into_iter().chain([crate::agent::commands(&Arc::new(facts))]);
        agent.serve(&args, &metrics, others.collect(), &mut tasks)?;
    }
    let ended = tasks.wait().await;
    signals.abort();
    ended
}

/// The way to kube-apiserver with the namespace that its configuration names, and where it is. External metrics
/// need one; without them only the tags of node agents do, so that the port says what it lacks.
async fn cluster(args: &Run) -> anyhow::Result<Option<(Cluster, Uri)>> {
    let made = async {
        let config = kube_config(args).await?;
        let (namespace, server) = (config.default_namespace.clone(), config.cluster_url.clone());
        let kube = kube::Client::try_from(config).context("Kubernetes client cannot be made")?;
        anyhow::Ok((Cluster { kube, namespace }, server))
    };
    match made.await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(error) if args.external_metrics.enabled => Err(error),
        Err(error) => {
            let error = one_line(&error);
            tracing::warn!(error, "there is no cluster: node agents get no tags");
            Ok(None)
        }
    }
}

/// The same with the namespace that our own objects live in.
fn own_objects(cluster: Cluster, args: &Run) -> Cluster {
    let own = args.external_metrics.kube_resources_namespace.clone();
    match own.filter(|own| !own.is_empty()) {
        Some(namespace) => Cluster { namespace, ..cluster },
        None => cluster,
    }
}

/// Ready once the demand has been read, and what other replicas know, where there is any.
fn readiness(external: Option<&External>, stopping: CancellationToken) -> Readiness {
    let readiness = Readiness::new(stopping);
    let Some(external) = external else { return readiness };
    let (store, known) = (external.api.store.clone(), external.known.clone());
    let demand = move || {
        if store.borrow().ready { Ok(()) } else { Err("HPAs not read yet".to_owned()) }
    };
    readiness.with("demand", demand).with("state", move || known.look())
}

/// An error with its causes on one line, without those that the message before them repeats.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !line.contains(&cause) {
            line = if line.is_empty() { cause } else { format!("{line}: {cause}") };
        }
    }
    line
}

/// The way to kube-apiserver that `args` lead to; nobody is asked.
pub(crate) async fn kube_config(args: &Run) -> anyhow::Result<kube::Config> {
    let Some(file) = &args.kubeconfig else {
        return kube::Config::infer().await.context(
            "no way to reach kube-apiserver: run in a cluster, or give --kubeconfig FILE",
        );
    };
    let read = match Kubeconfig::read_from(file) {
        Ok(kubeconfig) => {
            kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
        }
        Err(error) => Err(error),
    };
    read.map_err(|error| {
        // The first line says what and where; a YAML error goes on with a picture of the file.
        let error = error.to_string();
        let error = error.lines().next().unwrap_or_default();
        anyhow!("kubeconfig {} cannot be used: {error}", file.display())
    })
}

/// The long-lived tasks. The first to end ends all: a provider that lost one of its parts must not
/// look alive. Told to stop, the server ends first, so that it has what to answer from until its
/// last request.
#[derive(Default)]
struct Tasks {
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
    /// For the server: serve on for a while, then drain.
    stopping: CancellationToken,
    /// For all others: end now.
    stop: CancellationToken,
}

impl Tasks {
    fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = anyhow::Result<()>> + Send + 'static,
    ) {
        self.set.spawn(async move { (name, task.await) });
    }

    /// Waits for all of them; fails where one ended before it was told to.
    async fn wait(mut self) -> anyhow::Result<()> {
        let mut failure = None;
        while let Some(ended) = self.set.join_next().await {
            let told = self.stopping.is_cancelled();
            self.stopping.cancel();
            self.stop.cancel();
            let error = match ended {
                Ok((name, Err(error))) => error.context(format!("{name} failed")),
                Ok((name, Ok(()))) if !told => anyhow!("{name} ended by itself"),
                Ok((_, Ok(()))) => continue,
                Err(panic) => anyhow!("a part of the provider panicked: {panic}"),
            };
            failure.get_or_insert(error);
        }
        failure.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn told_to_stop_the_server_ends_before_the_others() {
        let mut tasks = Tasks::default();
        let (stopping, stop) = (tasks.stopping.clone(), tasks.stop.clone());
        tasks.spawn("server", {
            let (stopping, stop) = (stopping.clone(), stop.clone());
            async move {
                stopping.cancelled().await;
                tokio::task::yield_now().await;
                anyhow::ensure!(!stop.is_cancelled(), "stopped before the server");
                Ok(())
            }
        });
        tasks.spawn("poll", async move {
            stop.cancelled().await;
            Ok(())
        });
        stopping.cancel();
        tasks.wait().await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_ends_all_and_is_named() {
        let mut tasks = Tasks::default();
        let stopping = tasks.stopping.clone();
        tasks.spawn("server", async move {
            stopping.cancelled().await;
            Ok(())
        });
        tasks.spawn("poll", async { Ok(()) });
        assert_eq!(tasks.wait().await.unwrap_err().to_string(), "poll ended by itself");
    }

    #[test]
    fn an_error_is_one_line_that_says_everything_once() {
        let error = anyhow!("no such file").context("file x: no such file").context("start failed");
        assert_eq!(one_line(&error), "start failed: file x: no such file");
    }
}
