//! Port 5005: its token, its certificate, what its routes answer from, and its server.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
};

use axum::Router;
use rustls::server::NoClientAuth;
use tokio::sync::watch;

use crate::{
    agent::{
        self, Parts,
        auth::Requests,
        cluster_id::ClusterId,
        identity,
        routes::{self, Facts},
        service_map,
        token::{self, Cluster, Token},
    },
    app::{Tasks, kube_config},
    args::{Agent, Run},
    metrics::Metrics,
    serve::{self, guard::Guard, tls::metrics::Expiry},
};

/// What others need of the agent's port.
#[derive(Debug)]
pub(super) struct Started {
    /// The token, as it is now.
    #[expect(dead_code, reason = "the follower's client needs it")]
    pub tokens: watch::Receiver<Token>,
    /// Where other replicas reach the port.
    #[expect(dead_code, reason = "the leader writes it into the Lease")]
    pub address: Option<SocketAddr>,
}

/// Takes the port, if there is to be one.
pub(super) fn bind(args: &Agent) -> Result<Option<TcpListener>, serve::BindError> {
    if args.port == 0 {
        tracing::info!("the agent's port is off: DD_CLUSTER_AGENT_CMD_PORT is 0");
        return Ok(None);
    }
    serve::bind(args.bind_address, args.port, "DD_CLUSTER_AGENT_CMD_PORT").map(Some)
}

/// Serves the routes of node agents and `others` on `listener`. `external` is the way to
/// kube-apiserver and our namespace, where the external metrics part has made one.
pub(super) async fn start(
    listener: TcpListener,
    (args, external): (&Run, Option<(kube::Client, String)>),
    (metrics, expiry): (&Metrics, Expiry),
    others: Vec<Router>,
    tasks: &mut Tasks,
) -> anyhow::Result<Started> {
    let cluster = match external {
        Some((kube, namespace)) => Some(Cluster { kube, namespace }),
        None => cluster(args).await,
    };
    let own = args.external_metrics.kube_resources_namespace.clone();
    let cluster = cluster.map(|cluster| match own.filter(|own| !own.is_empty()) {
        Some(namespace) => Cluster { namespace, ..cluster },
        None => cluster,
    });
    let tokens = start_token(&args.agent, cluster.as_ref(), tasks).await?;
    let facts = start_facts(args, cluster, tasks);
    let requests = Requests::default();
    metrics.register_with(|registry| requests.register(registry));
    let certificates = Arc::new(identity::start(&tokens.borrow().clone(), expiry).await?);
    let tls = serve::tls::config(&certificates, Arc::new(NoClientAuth));
    tasks.spawn("certificate of the agent's port", {
        let (tokens, stop) = (tokens.clone(), tasks.stop.clone());
        async move {
            identity::keep(certificates, tokens, stop).await;
            Ok(())
        }
    });
    let server =
        serve::Server { shutdown_delay: args.serving.shutdown_delay, ..serve::Server::default() };
    let parts = Parts { tokens: tokens.clone(), guard: Guard::new(&server.limits), requests };
    let router = agent::router(parts, [routes::routes(facts)].into_iter().chain(others));
    let bound = listener.local_addr()?;
    let port = bound.port();
    let address = match args.agent.advertised(port) {
        Some(address) => Some(address),
        None => local_address(args).await.map(|ip| SocketAddr::new(ip, port)),
    };
    let for_replicas = address.map(tracing::field::display);
    tracing::info!(address = %bound, for_replicas, "serving node agents");
    let stopping = tasks.stopping.clone();
    tasks.spawn("server of the agent's port", async move {
        Ok(server.run(listener, tls, router, stopping).await?)
    });
    Ok(Started { tokens, address })
}

/// Without a cluster there are no tags, but the port answers and says so.
async fn cluster(args: &Run) -> Option<Cluster> {
    let made = async {
        let config = kube_config(args).await?;
        let namespace = config.default_namespace.clone();
        anyhow::Ok(Cluster { kube: kube::Client::try_from(config)?, namespace })
    };
    match made.await {
        Ok(cluster) => Some(cluster),
        Err(error) => {
            let error = super::one_line(&error);
            tracing::warn!(error, "there is no cluster: node agents get no tags");
            None
        }
    }
}

/// Finds the token, and starts what follows it.
async fn start_token(
    args: &Agent,
    cluster: Option<&Cluster>,
    tasks: &mut Tasks,
) -> anyhow::Result<watch::Receiver<Token>> {
    let config = args.token.config();
    let found = Box::pin(token::find_or_create(&config, cluster)).await?;
    tracing::info!(source = %found.source, token = %found.token, "token for the agent's port");
    let (sender, tokens) = watch::channel(found.token);
    let (cluster, stop) = (cluster.cloned(), tasks.stop.clone());
    tasks.spawn("watch of the token", async move {
        token::follow(found.source, config.secret, cluster, sender, stop).await;
        Ok(())
    });
    Ok(tokens)
}

/// Starts the watches, and gives what the routes answer from.
fn start_facts(args: &Run, cluster: Option<Cluster>, tasks: &mut Tasks) -> Facts {
    let (sender, map) = watch::channel(service_map::ServiceMap::default());
    let stop = tasks.stop.clone();
    let annotations = args.agent.kubernetes_node_annotations_as_host_aliases.clone();
    let kube = cluster.as_ref().map(|cluster| cluster.kube.clone());
    tasks.spawn("watch of Services, nodes and namespaces", async move {
        match kube {
            Some(kube) => service_map::watch::run(kube, annotations, sender, stop).await,
            None => stop.cancelled().await,
        }
        Ok(())
    });
    let hostname = args.external_metrics.pod_name.as_deref().filter(|it| !it.is_empty());
    let hostname = hostname.unwrap_or("datadog-cluster-agent").into();
    Facts { map, cluster_id: Arc::new(ClusterId::new(cluster)), hostname }
}

/// Our address towards kube-apiserver, if it can be told.
async fn local_address(args: &Run) -> Option<IpAddr> {
    let url = kube_config(args).await.ok()?.cluster_url;
    let port = url.port_u16().unwrap_or(443);
    let host = url.host()?.trim_matches(['[', ']']).to_owned();
    let remote = tokio::net::lookup_host((host, port)).await.ok()?.next()?;
    agent::local_address(remote).ok().map(|address| address.ip())
}
