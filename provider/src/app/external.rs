//! External metrics: what reads the demand, what asks Datadog, and what replicas tell each other.

use std::{sync::Arc, time::Duration};

use axum::Router;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::{facts, token::Cluster},
    api,
    app::{Tasks, agent::Opened, leading, own_objects, state},
    args::{self, Run},
    datadog::{Client, batch::Limits},
    demand,
    lead::Leadership,
    metrics::Metrics,
    poll::{self, Poll},
    query,
    store::{Snapshot, follow, persist},
    write,
};

/// The started part, for who answers from it.
pub(super) struct External {
    pub(super) api: api::Config,
    /// Whether this replica knows what others do.
    pub(super) known: state::Known,
    pub(super) leadership: watch::Receiver<Leadership>,
    /// For the commands.
    pub(super) facts: facts::External,
    stopping: CancellationToken,
}

impl External {
    /// What followers ask of the leader.
    pub(super) fn for_replicas(&self) -> Router {
        let store = self.api.store.clone();
        follow::routes(store, self.leadership.clone(), self.stopping.clone())
    }
}

/// What asks Datadog. Nobody is asked yet.
pub(super) fn client(args: &Run) -> anyhow::Result<Client> {
    Ok(Client::of(args.datadog.endpoints()?, args.datadog.query_timeout)?)
}

/// Starts what reads the demand and what asks Datadog by `client`. `agent` is our port for other replicas, where
/// there is one.
pub(super) async fn start(
    args: &Run,
    client: Client,
    cluster: &Cluster,
    agent: Option<&Opened>,
    metrics: &Arc<Metrics>,
    tasks: &mut Tasks,
) -> anyhow::Result<External> {
    let settings = &args.external_metrics;
    let endpoint = args.datadog.query_endpoint()?;
    let config = polled(settings);
    let kube = &cluster.kube;
    let namespace = own_objects(cluster.clone(), args).namespace;
    demand::watch::check(kube).await?;
    tracing::info!(
        endpoint = endpoint.origin().ascii_serialization(),
        aggregator = config.defaults.aggregator.as_str(),
        refresh_period = %humantime::format_duration(config.refresh_period),
        max_age = %humantime::format_duration(settings.max_age),
        "external metrics are on"
    );
    let (demand_sender, demand) = watch::channel(None);
    let (store_sender, store) = watch::channel(Arc::new(Snapshot::default()));
    tasks.spawn("watch of HPAs", {
        let (kube, stop) = (kube.clone(), tasks.stop.clone());
        let watched = watched(settings, config.defaults);
        async move {
            demand::watch::run(kube, watched, demand_sender, stop).await;
            Ok(())
        }
    });
    tasks.spawn("watch of key files", {
        let (client, stop) = (client.clone(), tasks.stop.clone());
        async move {
            client.watch_keys(stop).await;
            Ok(())
        }
    });
    let address = agent.and_then(|agent| agent.address);
    let leading = leading::start(args, kube, &namespace, address, metrics, tasks);
    metrics.follow(leading.leadership.clone());
    leading::start_writes(&leading, kube, written(settings, &namespace), &store, tasks);
    let (news_sender, news) = mpsc::channel(4);
    let datadog = client.clone();
    let poll = Poll::new(client, config, metrics.clone(), store_sender).seated(leading.seat(news));
    let access = agent.map(Opened::access);
    let saved = persisted(settings, namespace);
    let parts = state::Parts {
        kube: kube.clone(),
        config: saved.clone(),
        store: store.clone(),
        leadership: leading.leadership.clone(),
        access: move || access.as_ref().and_then(|access| access()),
        news: news_sender,
    };
    // First what was saved: then nothing is asked that has just been asked.
    let known = state::start(parts, tasks).await;
    tasks.spawn("poll", {
        let stop = tasks.stop.clone();
        async move {
            poll.run(demand, stop).await;
            Ok(())
        }
    });
    let facts = facts::External {
        store: store.clone(),
        client: datadog,
        kube: kube.clone(),
        config_map: Some(format!("{}/{}", saved.namespace, saved.name)),
        datadog_metrics: settings.use_datadogmetric_crd,
    };
    Ok(External {
        api: api::Config { store },
        known,
        facts,
        leadership: leading.leadership,
        stopping: tasks.stopping.clone(),
    })
}

fn polled(settings: &args::ExternalMetrics) -> poll::Config {
    poll::Config {
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
    }
}

fn written(settings: &args::ExternalMetrics, namespace: &str) -> write::Config {
    let pod = settings.pod_name.as_deref().filter(|it| !it.is_empty());
    write::Config {
        namespace: namespace.to_owned(),
        pod_name: pod.unwrap_or("datadog-cluster-agent").to_owned(),
        datadog_metrics: settings.use_datadogmetric_crd,
        autogen: settings.enable_datadogmetric_autogen,
    }
}

fn persisted(settings: &args::ExternalMetrics, namespace: String) -> persist::Config {
    let (name, period) = (settings.hpa_configmap_name.clone(), settings.refresh_period);
    persist::Config { namespace, name, period }
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
