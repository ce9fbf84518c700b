//! The composition root: builds every part from the arguments, starts them, and waits.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::{Context, anyhow};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{self, health::Readiness, review},
    args::{self, Args, Command, Run},
    datadog::{Client, batch::Limits},
    demand,
    metrics::Metrics,
    poll::{self, Poll},
    query,
    serve::{self, client_certs::AnyClient, guard::Guard, tls::metrics::Expiry},
    shutdown,
    store::Snapshot,
    telemetry, write,
};

mod page;
mod serving;

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
    let server =
        serve::Server { shutdown_delay: serving.shutdown_delay, ..serve::Server::default() };
    let (expiry, reviews) = (Expiry::default(), review::metrics::Metrics::default());
    metrics.register_with(|registry| {
        server.metrics.register(registry);
        expiry.register(registry);
        reviews.register(registry);
    });
    let mut tasks = Tasks::default();
    let external = if args.external_metrics.enabled {
        Some(start_external_metrics(&args, &metrics, &mut tasks).await?)
    } else {
        tracing::info!(
            "external metrics are off, set DD_EXTERNAL_METRICS_PROVIDER_ENABLED=true to serve them"
        );
        None
    };
    let cluster = external.as_ref().map(|external| (&external.kube, external.namespace.as_str()));
    let certificates = serving::start_certificates(serving, cluster, expiry, &mut tasks)?;
    let tls = serve::tls::config(&certificates, Arc::new(AnyClient::default()));
    if let Some(external) = &external {
        page::start(&args.page, page::parts(&args.page, external), &certificates, &mut tasks)?;
    }
    let kube = external.as_ref().map(|external| external.kube.clone());
    let access = serving::start_access(serving, kube, reviews, &mut tasks)?;
    let api = external.map(|external| external.api);
    let readiness = readiness(api.as_ref(), tasks.stopping.clone());
    tracing::info!(address = %listener.local_addr()?, "serving");
    let router = api::guarded(api, readiness, metrics, Guard::new(&server.limits), access);
    let stopping = tasks.stopping.clone();
    let signals = tokio::spawn(shutdown::on_signal(stopping.clone()));
    tasks.spawn("server", async move { Ok(server.run(listener, tls, router, stopping).await?) });
    let ended = tasks.wait().await;
    signals.abort();
    ended
}

/// Ready once the demand has been read, where there is any.
fn readiness(external: Option<&api::Config>, stopping: CancellationToken) -> Readiness {
    let readiness = Readiness::new(stopping);
    let Some(store) = external.map(|external| external.store.clone()) else { return readiness };
    readiness.with("demand", move || {
        if store.borrow().ready { Ok(()) } else { Err("HPAs not read yet".to_owned()) }
    })
}

struct ExternalMetrics {
    api: api::Config,
    kube: kube::Client,
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
    let kube_of_all = kube.clone();
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
    Ok(ExternalMetrics { api, kube: kube_of_all, namespace })
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
