//! The composition root: builds every part from the arguments, starts them, and waits.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, health::Readiness},
    args::{self, Args, Command, Run},
    datadog::{Client, batch::Limits},
    demand,
    metrics::Metrics,
    poll::{self, Poll},
    query, serve, shutdown,
    store::Snapshot,
    telemetry, write,
};

/// Runs the command of `args` to its end.
pub async fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Run(run) => {
            let telemetry = telemetry::start(&run.log)?;
            let ended = start(*run).await;
            telemetry.finish().await;
            ended
        }
    }
}

async fn start(args: Run) -> anyhow::Result<()> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "datadog-cluster-agent starts");
    let serving = &args.serving;
    let listener =
        serve::bind(serving.bind_address, serving.port, "DD_EXTERNAL_METRICS_PROVIDER_PORT")?;
    let metrics = Arc::new(Metrics::default());
    let stop = CancellationToken::new();
    let mut tasks = Tasks::new(stop.clone());
    let external = if args.external_metrics.enabled {
        Some(start_external_metrics(&args, &metrics, &mut tasks).await?)
    } else {
        tracing::info!(
            "external metrics are off, set DD_EXTERNAL_METRICS_PROVIDER_ENABLED=true to serve them"
        );
        None
    };
    let namespace = external.as_ref().map_or("default", |external| &external.namespace);
    let tls = serve::tls::config(&serving.certificate(namespace))?;
    let api = external.map(|external| external.api);
    let readiness =
        Readiness { store: api.as_ref().map(|api| api.store.clone()), stopping: stop.clone() };
    tracing::info!(address = %listener.local_addr()?, "serving");
    let router = api::router(api, readiness, metrics);
    tasks.spawn("server", {
        let stop = stop.clone();
        async move { Ok(serve::run(listener, tls, router, stop).await?) }
    });
    let signals = tokio::spawn(shutdown::on_signal(stop));
    let ended = tasks.wait().await;
    signals.abort();
    ended
}

struct ExternalMetrics {
    api: api::Config,
    namespace: String,
}

/// Starts what reads the demand and what asks Datadog.
async fn start_external_metrics(
    args: &Run,
    metrics: &Arc<Metrics>,
    tasks: &mut Tasks,
) -> anyhow::Result<ExternalMetrics> {
    let settings = &args.external_metrics;
    let endpoint = args.datadog.query_endpoint()?;
    let client = Client::of(args.datadog.endpoints()?, args.datadog.query_timeout)?;
    let config = poll::Config {
        refresh_period: settings.refresh_period,
        defaults: query::Defaults {
            aggregator: settings.aggregator,
            rollup: Duration::from_secs(settings.rollup.into()),
            max_age: settings.max_age,
            window: settings.bucket_size,
            max_window: settings.max_time_window,
        },
        batch: Limits { queries: settings.chunk_size.clamp(1, 35), ..Limits::DATADOG },
        max_parallel: settings.max_parallel_queries,
        coalesce: settings.coalesce,
    };
    let kube_config = kube_config(args).await?;
    let namespace = kube_config.default_namespace.clone();
    let kube = kube::Client::try_from(kube_config).context("Kubernetes client cannot be made")?;
    demand::watch::check(&kube).await?;
    let watched = watched(settings, config.defaults);
    tracing::info!(
        endpoint = endpoint.origin().ascii_serialization(),
        aggregator = config.defaults.aggregator.as_str(),
        refresh_period = %humantime::format_duration(config.refresh_period),
        max_age = %humantime::format_duration(settings.max_age),
        "external metrics are on"
    );
    let (demand_sender, demand_receiver) = watch::channel(None);
    let (store_sender, store_receiver) = watch::channel(Arc::new(Snapshot::default()));
    let stop = tasks.stop.clone();
    tasks.spawn("watch of HPAs", {
        let (kube, stop) = (kube.clone(), stop.clone());
        async move {
            demand::watch::run(kube, watched, demand_sender, stop).await;
            Ok(())
        }
    });
    tasks.spawn("writes to the cluster", {
        let (store, stop) = (store_receiver.clone(), stop.clone());
        let config = written(settings, &namespace);
        async move {
            write::run(kube, config, store, stop).await;
            Ok(())
        }
    });
    tasks.spawn("watch of key files", {
        let (client, stop) = (client.clone(), stop.clone());
        async move {
            client.watch_keys(stop).await;
            Ok(())
        }
    });
    let poll = Poll::new(client, config, metrics.clone(), store_sender);
    tasks.spawn("poll", async move {
        poll.run(demand_receiver, stop).await;
        Ok(())
    });
    let api = api::Config { store: store_receiver };
    Ok(ExternalMetrics { api, namespace })
}

fn written(settings: &args::ExternalMetrics, namespace: &str) -> write::Config {
    let own = settings.kube_resources_namespace.as_deref().filter(|it| !it.is_empty());
    let pod = settings.pod_name.as_deref().filter(|it| !it.is_empty());
    write::Config {
        namespace: own.unwrap_or(namespace).to_owned(),
        pod_name: pod.unwrap_or("datadog-cluster-agent").to_owned(),
        datadog_metrics: settings.use_datadogmetric_crd,
        autogen: settings.enable_datadogmetric_autogen,
    }
}

fn watched(settings: &args::ExternalMetrics, defaults: query::Defaults) -> demand::watch::Config {
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let cluster_name = settings.cluster_name.clone().filter(|name| !name.is_empty());
    demand::watch::Config {
        autoscalers: settings.autoscaler_label_selector.clone(),
        datadog_metrics: settings.use_datadogmetric_crd,
        wpas: settings.wpa_controller,
        templates: query::template::Values::new(cluster_name, env),
        defaults,
    }
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

async fn kube_config(args: &Run) -> anyhow::Result<kube::Config> {
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
/// look alive.
struct Tasks {
    set: JoinSet<(&'static str, anyhow::Result<()>)>,
    stop: CancellationToken,
}

impl Tasks {
    fn new(stop: CancellationToken) -> Self {
        Self { set: JoinSet::new(), stop }
    }

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
            let told = self.stop.is_cancelled();
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

    #[test]
    fn an_error_is_one_line_that_says_everything_once() {
        let error = anyhow!("no such file").context("file x: no such file").context("start failed");
        assert_eq!(one_line(&error), "start failed: file x: no such file");
    }
}
