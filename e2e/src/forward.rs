//! Plays kube-proxy for the provider's Service on the embedded cluster: leads each new TCP
//! connection to one of the replicas that are ready, in turn.
//!
//! The embedded apiserver reaches the provider by a Service of type `ExternalName` that leads here.
//! What kube-proxy knows from `EndpointSlices` (the readiness probes' results), this asks the
//! replicas for itself.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

/// How often each replica is asked.
const POLL: Duration = Duration::from_millis(200);
/// A replica that takes longer to say that it is ready is not.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// On loopback a connection is made at once or not at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Lead TCP connections to the replicas of a service that are ready
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where the replicas listen
    #[arg(long, value_name = "ADDRESS,...", required = true, value_delimiter = ',')]
    pub to: Vec<SocketAddr>,
    /// Lead to a replica only while its HTTPS /readyz answers 200
    #[arg(long)]
    pub readyz: bool,
}

/// Listens and forwards until `stop`; an error is one of starting.
pub async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}: is the port in use?", args.listen))?;
    let replicas = Replicas::new(&args);
    let polls = if args.readyz { replicas.poll()? } else { JoinSet::new() };
    serve(listener, replicas, stop).await;
    drop(polls);
    Ok(())
}

/// Dropping the future, or `stop`, ends the connections too.
async fn serve(listener: TcpListener, replicas: Replicas, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(forward(client, replicas.clone()));
                }
                // Out of file descriptors, most likely: wait until some are free again.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    time::sleep(POLL).await;
                }
            }
        }
    }
}

/// Without a replica the client sees its connection closed at once, as with a Service that has no
/// endpoints. When a replica goes away its connections end as it ends them.
async fn forward(mut client: TcpStream, replicas: Replicas) {
    for address in replicas.in_turn() {
        let connected = time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
        let Ok(Ok(mut server)) = connected else {
            // It has gone since it was asked; the next one may be well.
            tracing::debug!(%address, "cannot connect");
            continue;
        };
        // Requests and answers are small, and their delay is measured.
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
            tracing::debug!(%address, %error, "connection broken");
        }
        return;
    }
}

#[derive(Debug, Clone)]
struct Replicas {
    all: Arc<[Replica]>,
    turn: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Replica {
    address: SocketAddr,
    ready: AtomicBool,
}

impl Replicas {
    fn new(args: &Args) -> Self {
        let replica = |&address| Replica { address, ready: AtomicBool::new(!args.readyz) };
        Self { all: args.to.iter().map(replica).collect(), turn: Arc::default() }
    }

    /// The ready ones, beginning with the one whose turn it is.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let ready = self.all.iter().filter(|replica| replica.ready.load(Ordering::Relaxed));
        let mut ready: Vec<_> = ready.map(|replica| replica.address).collect();
        if !ready.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % ready.len();
            ready.rotate_left(turn);
        }
        ready
    }

    /// Asks each replica, for as long as the result lives.
    fn poll(&self) -> anyhow::Result<JoinSet<()>> {
        let client = reqwest::Client::builder()
            // As a kubelet's probe does: it asks whether somebody is ready, on loopback, and trusts
            // no word of the answer. Who the replica is, its clients find out themselves: the
            // connection that is led to it is encrypted from end to end.
            .tls_danger_accept_invalid_certs(true)
            .no_proxy()
            .timeout(ANSWER_LIMIT)
            // Each question by a connection of its own, or a replica that accepts no new ones
            // would still look ready.
            .pool_max_idle_per_host(0)
            .build()?;
        let mut polls = JoinSet::new();
        for index in 0..self.all.len() {
            polls.spawn(poll(client.clone(), Arc::clone(&self.all), index));
        }
        Ok(polls)
    }
}

async fn poll(client: reqwest::Client, replicas: Arc<[Replica]>, index: usize) {
    let replica = &replicas[index];
    let url = format!("https://{}/readyz", replica.address);
    let mut ticks = time::interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let response = client.get(&url).send().await;
        let ready = response.is_ok_and(|response| response.status() == reqwest::StatusCode::OK);
        if replica.ready.swap(ready, Ordering::Relaxed) != ready {
            tracing::info!(address = %replica.address, ready, "readiness changed");
        }
    }
}

#[cfg(test)]
mod tests;
