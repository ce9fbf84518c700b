//! Port 5005: its token, its certificate, what its routes answer from, and its server.

use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{Router, http::Uri};
use rustls::server::NoClientAuth;
use tokio::sync::watch;

use crate::{
    agent::{
        self, Parts,
        auth::Requests,
        cluster_id::ClusterId,
        facts::Metamap,
        identity::{self, Trust},
        routes::{self, Facts},
        service_map,
        token::{self, Cluster, Token},
    },
    app::Tasks,
    args::{Agent, Run},
    metrics::Metrics,
    serve::{
        self,
        guard::Guard,
        limits::Limits,
        tls::{Certificates, metrics::Expiry},
    },
    store::follow::Access,
};

/// The port, before it answers: others need what it is reached with first.
pub(super) struct Opened {
    /// What is known of Services, nodes and namespaces.
    facts: Facts,
    /// The token, as it is now.
    pub(super) tokens: watch::Receiver<Token>,
    /// What other replicas are reached with.
    trust: watch::Receiver<Trust>,
    /// Where other replicas reach the port.
    pub(super) address: Option<SocketAddr>,
    certificates: Arc<Certificates>,
    listener: TcpListener,
}

/// Time that a connection may last.
const STREAM: Duration = Duration::from_secs(24 * 60 * 60);

/// Takes the port, if there is to be one.
pub(super) fn bind(args: &Agent) -> Result<Option<TcpListener>, serve::BindError> {
    if args.port == 0 {
        tracing::info!("the agent's port is off: DD_CLUSTER_AGENT_CMD_PORT is 0");
        return Ok(None);
    }
    serve::bind(args.bind_address, args.port, "DD_CLUSTER_AGENT_CMD_PORT").map(Some)
}

/// Finds or makes the token, and what follows from it. `cluster` is the way to kube-apiserver, which
/// is at `server`, and our namespace.
pub(super) async fn open(
    listener: TcpListener,
    args: &Run,
    cluster: Option<Cluster>,
    server: Option<&Uri>,
    expiry: Expiry,
    tasks: &mut Tasks,
) -> anyhow::Result<Opened> {
    let tokens = start_token(&args.agent, cluster.as_ref(), tasks).await?;
    let facts = start_facts(args, cluster, tasks);
    let token = tokens.borrow().clone();
    let (certificates, trust) = identity::start(&token, expiry).await?;
    let (certificates, (sender, trust)) = (Arc::new(certificates), watch::channel(trust));
    tasks.spawn("certificate of the agent's port", {
        let (certificates, tokens) = (certificates.clone(), tokens.clone());
        let stop = tasks.stop.clone();
        async move {
            identity::keep(certificates, sender, tokens, stop).await;
            Ok(())
        }
    });
    let port = listener.local_addr()?.port();
    let address = match (args.agent.advertised(port), server) {
        (None, Some(url)) => local_address(url).await.map(|ip| SocketAddr::new(ip, port)),
        (address, _) => address,
    };
    Ok(Opened { facts, tokens, trust, address, certificates, listener })
}

impl Opened {
    /// The service map as JSON, for the flare.
    pub(super) fn metamap(&self) -> Metamap {
        let map = self.facts.map.clone();
        Metamap(Arc::new(move || routes::metamap_json(&map.borrow())))
    }

    /// What a leader is reached with.
    pub(super) fn access(&self) -> impl Fn() -> Option<Access> + Send + Sync + use<> {
        let trust = self.trust.clone();
        move || {
            let trust = trust.borrow();
            Some(Access { tls: trust.tls.clone(), token: trust.token.bearer() })
        }
    }

    /// Serves the routes of node agents, and `others`.
    pub(super) fn serve(
        self,
        args: &Run,
        metrics: &Metrics,
        others: Vec<Router>,
        tasks: &mut Tasks,
    ) -> anyhow::Result<()> {
        let requests = Requests::default();
        metrics.register_with(|registry| requests.register(registry));
        let tls = serve::tls::config(&self.certificates, Arc::new(NoClientAuth));
        let shutdown_delay = args.serving.shutdown_delay;
        // A follower's stream is one request for hours, which counts as idle.
        let limits = Limits { idle: STREAM, age: STREAM, ..Limits::default() };
        let server = serve::Server { limits, shutdown_delay, ..serve::Server::default() };
        let guard = Guard::new(&server.limits);
        let parts = Parts { tokens: self.tokens, guard, requests };
        let router = agent::router(parts, [routes::routes(self.facts)].into_iter().chain(others));
        let for_replicas = self.address.map(tracing::field::display);
        let (listener, stopping) = (self.listener, tasks.stopping.clone());
        tracing::info!(address = %listener.local_addr()?, for_replicas, "serving node agents");
        tasks.spawn("server of the agent's port", async move {
            Ok(server.run(listener, tls, router, stopping).await?)
        });
        Ok(())
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

/// Our address towards kube-apiserver at `url`, if it can be told.
async fn local_address(url: &Uri) -> Option<IpAddr> {
    let port = url.port_u16().unwrap_or(443);
    let host = url.host()?.trim_matches(['[', ']']).to_owned();
    let remote = tokio::net::lookup_host((host, port)).await.ok()?.next()?;
    agent::local_address(remote).ok().map(|address| address.ip())
}
