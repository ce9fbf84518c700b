//! Open-loop HTTP load: requests leave at a set rate, whether or not earlier ones were answered.
//!
//! Each request has an intended time, `start + n / rate`. One that is late is sent at once, and its
//! latency counts from the intended time, so that a stall of the server (or of this machine) shows
//! in the numbers instead of thinning out the load ("coordinated omission"). Only a limit on the
//! requests in flight can hold one back: it is then dropped, and counted as such.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reqwest::redirect::Policy;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::{Host, Url};

use crate::load::record::Record;

mod record;
#[cfg(test)]
mod tests;

pub use record::{Counts, Latency, LoadReport};

/// A request that takes longer than this has failed.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Highest rate, in requests per second: more than one runtime can send on time.
const HIGHEST_RATE: f64 = 100_000.0;

/// What load to put on what.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where every request goes, by `http`.
    pub url: Url,
    /// Where the host of the URL is.
    pub place: Place,
    /// Requests per second.
    pub rate_per_s: f64,
    /// While so many requests are unanswered, further ones are dropped.
    pub max_in_flight: usize,
    /// When sending ends by itself.
    pub limit: Duration,
    /// Which connections requests go over.
    pub connections: Connections,
}

/// Where load may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Loopback,
    /// A Service of the cluster that this process is a pod of.
    Service(IpAddr),
}

/// Which connections requests go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// As few as there are requests in flight.
    Kept,
    /// A new one for each request, as with `curl`: kube-proxy chooses a pod for each connection.
    New,
}

/// Why a load cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The harness never sends load to another machine.
    #[error(
        "load on {0} is refused: only http://127.0.0.1, [::1] and localhost are allowed, \
         and in a pod http://NAME.NAMESPACE.svc"
    )]
    NotAllowed(Url),
    /// The rate is no number of requests per second.
    #[error(
        "a load of {0} requests per second is refused: the rate must be above 0, at most 100000"
    )]
    Rate(f64),
    /// Nothing could ever be sent.
    #[error("a load with 0 requests in flight is refused: allow at least 1")]
    NoneInFlight,
    /// The HTTP client cannot be set up.
    #[error("the HTTP client for the load cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Starts load; see [`Load::start`].
#[derive(Debug)]
pub struct Load;

/// A load that is being sent. Dropping it ends the load.
#[derive(Debug)]
pub struct LoadHandle {
    record: Arc<Record>,
    sender: JoinHandle<()>,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
}

impl Load {
    /// Starts to send, at once, on a task of the current runtime.
    pub fn start(config: Config) -> Result<LoadHandle, LoadError> {
        if !(0.0 < config.rate_per_s && config.rate_per_s <= HIGHEST_RATE) {
            return Err(LoadError::Rate(config.rate_per_s));
        }
        if config.max_in_flight == 0 {
            return Err(LoadError::NoneInFlight);
        }
        let client = client(&config)?;
        let record = Arc::new(Record::new(config.rate_per_s, Instant::now()));
        let stop = CancellationToken::new();
        let sender = tokio::spawn(send_all(client, config, Arc::clone(&record), stop.clone()));
        Ok(LoadHandle { record, sender, _stop_on_drop: stop.clone().drop_guard(), stop })
    }
}

impl LoadHandle {
    /// What has been sent and answered so far.
    pub fn counts(&self) -> Counts {
        self.record.counts()
    }

    /// Sends nothing more, waits for what is in flight (at most 5 s) and reports.
    pub async fn stop(self) -> LoadReport {
        self.stop.cancel();
        self.finished().await
    }

    /// Waits until the limit of the load has passed, then reports as [`LoadHandle::stop`] does.
    pub async fn finished(self) -> LoadReport {
        if let Err(error) = self.sender.await {
            self.record.broke_down(format!("the load generator itself broke down: {error}"));
        }
        self.record.report()
    }
}

/// A client that sends each request exactly once, and to no other place.
fn client(config: &Config) -> Result<reqwest::Client, LoadError> {
    let url = &config.url;
    let (allowed, name, addresses) = match (config.place, url.host()) {
        // The name leads to loopback here, whatever the hosts file says.
        (Place::Loopback, Some(Host::Domain(name @ "localhost"))) => {
            (true, name, vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)])
        }
        (Place::Loopback, Some(Host::Ipv4(address))) => (address.is_loopback(), "", Vec::new()),
        (Place::Loopback, Some(Host::Ipv6(address))) => (address.is_loopback(), "", Vec::new()),
        // Asked once, not for each request: the name service is not what is put under load.
        (Place::Service(address), Some(Host::Domain(name))) => {
            (is_service(name), name, vec![address])
        }
        _ => (false, "", Vec::new()),
    };
    if !allowed || url.scheme() != "http" {
        return Err(LoadError::NotAllowed(url.clone()));
    }
    let addresses: Vec<_> = // Port 0: the URL's.
        addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect();
    let builder = match config.connections {
        Connections::Kept => reqwest::Client::builder(),
        Connections::New => reqwest::Client::builder().pool_max_idle_per_host(0),
    };
    builder
        .resolve_to_addrs(name, &addresses)
        .no_proxy()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .timeout(REQUEST_TIMEOUT)
        .build()
        .map_err(LoadError::Client)
}

/// Whether a name is that of a Service, `NAME.NAMESPACE.svc`, with or without the usual domain.
fn is_service(name: &str) -> bool {
    let name = name.strip_suffix(".cluster.local").unwrap_or(name);
    name.strip_suffix(".svc").is_some_and(|name| name.split('.').count() == 2)
}

/// Sends until the limit or the stop, then waits for the answers.
async fn send_all(
    client: reqwest::Client,
    config: Config,
    record: Arc<Record>,
    stop: CancellationToken,
) {
    let start = record.start();
    let in_flight = Arc::new(Semaphore::new(config.max_in_flight));
    let mut requests = JoinSet::new();
    // From the start each time: adding up intervals would add up their rounding.
    let schedule = (0_u32..).map(|n| Duration::from_secs_f64(f64::from(n) / config.rate_per_s));
    for offset in schedule.take_while(|offset| *offset < config.limit) {
        let intended = start + offset;
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep_until(intended) => {}
        }
        let Ok(permit) = Arc::clone(&in_flight).try_acquire_owned() else {
            record.dropped();
            continue;
        };
        record.sent();
        let request = client.get(config.url.clone());
        let record = Arc::clone(&record);
        requests.spawn(async move {
            match send(request).await {
                Ok(()) => record.succeeded(intended.elapsed()),
                Err(problem) => record.failed(&problem),
            }
            drop(permit);
        });
        while requests.try_join_next().is_some() {}
    }
    // Without a stop the last interval belongs to the load, although nothing is sent at its end.
    let end = if stop.is_cancelled() { start } else { start + config.limit };
    record.stopped_sending(Instant::now().max(end));
    requests.join_all().await;
}

/// One request, with its whole answer read, so that the connection can be used again.
async fn send(request: reqwest::RequestBuilder) -> Result<(), String> {
    let whole_answer = async {
        let response = request.send().await?;
        let status = response.status();
        response.bytes().await.map(|_body| status)
    };
    match whole_answer.await {
        Ok(status) if status.is_success() => Ok(()),
        Ok(status) => Err(format!("the server answers {status}")),
        Err(error) => Err(format!("{:#}", anyhow::Error::new(error))),
    }
}

// === the command ===

/// Puts open-loop HTTP load on a server on this machine, or in a pod on a Service of its cluster
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where every request goes; on loopback, or in a pod `http://NAME.NAMESPACE.svc`
    #[arg(long, env = "E2E_LOAD_URL")]
    pub url: Url,
    /// Requests per second
    #[arg(long, env = "E2E_LOAD_RATE", default_value_t = 25.0)]
    pub rate: f64,
    /// When to stop; Ctrl-C stops earlier
    #[arg(long, env = "E2E_LOAD_DURATION", default_value = "1m")]
    pub duration: humantime::Duration,
    /// While so many requests are unanswered, further ones are dropped
    #[arg(long, env = "E2E_LOAD_MAX_IN_FLIGHT", default_value_t = 256)]
    pub max_in_flight: usize,
    /// A new connection for each request, as with `curl`, so that a Service spreads them
    #[arg(long)]
    pub new_connections: bool,
    /// Print the summary as one line of JSON
    #[arg(long)]
    pub json: bool,
    /// Set in every pod.
    #[arg(long, env = "KUBERNETES_SERVICE_HOST", hide = true)]
    pub in_pod: Option<String>,
}

impl Args {
    async fn config(&self) -> anyhow::Result<Config> {
        let service = self.url.host_str().filter(|host| self.in_pod.is_some() && is_service(host));
        let place = match service {
            None => Place::Loopback,
            Some(name) => {
                let found = tokio::net::lookup_host((name, 0)).await;
                let mut found = found.with_context(|| format!("cannot resolve {name}"))?;
                let address = found.next().with_context(|| format!("{name} has no address"))?;
                Place::Service(address.ip())
            }
        };
        Ok(Config {
            url: self.url.clone(),
            place,
            rate_per_s: self.rate,
            max_in_flight: self.max_in_flight,
            limit: *self.duration,
            connections: if self.new_connections { Connections::New } else { Connections::Kept },
        })
    }
}

/// Sends the load until its duration has passed or `stop` is cancelled, and prints a summary. An
/// error when nothing at all was answered.
pub async fn run(args: Args, stop: CancellationToken) -> anyhow::Result<()> {
    let config = args.config().await?;
    let load = Load::start(config)?;
    let cut_short = load.stop.clone();
    let mut finished = pin!(load.finished());
    let report = tokio::select! {
        report = &mut finished => report,
        () = stop.cancelled() => {
            cut_short.cancel();
            finished.await
        }
    };
    let text = if args.json { serde_json::to_string(&report)? } else { report.to_string() };
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")?;
    match (report.counts.succeeded, report.first_error) {
        (0, Some(error)) => Err(anyhow::anyhow!("{} answered no request: {error}", args.url)),
        _ => Ok(()),
    }
}
