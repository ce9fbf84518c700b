//! Takes part in the election: reads and writes the Lease, and tells what came of it.

use std::{future::Future, net::SocketAddr, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::lead::{
    Leadership, Permit, Role,
    election::{Act, Election, Times},
    metrics::Metrics,
};

/// What is contended for, and by whom.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our namespace.
    pub namespace: String,
    /// The name of the Lease.
    pub name: String,
    /// Who we are; no other replica may have the same.
    pub identity: String,
    /// How long the Lease is valid; at least a second.
    pub duration: Duration,
    /// Whether the Lease is given up at the end, so that nobody has to wait for its own end.
    pub release: bool,
    /// Where our port 5005 is, for the others.
    pub address: Option<SocketAddr>,
}

/// For the request that gives the Lease up.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// One replica in the election.
#[derive(Debug)]
pub struct Candidate {
    config: Config,
    election: Election,
    leadership: watch::Sender<Leadership>,
    permit: watch::Sender<Option<Instant>>,
    metrics: Metrics,
    error: Option<String>,
}

impl Candidate {
    /// A follower, with what tells others what becomes of it.
    pub fn new(config: Config, metrics: Metrics) -> (Self, watch::Receiver<Leadership>, Permit) {
        let (leadership, leadership_receiver) = watch::channel(Leadership::default());
        let (permit, permit_receiver) = watch::channel(None);
        let name = (config.namespace.as_str(), config.name.as_str());
        let (identity, times) = (config.identity.clone(), Times::of(config.duration));
        let election = Election::new(name, identity, config.address, times, Instant::now());
        metrics.set(false);
        let candidate = Self { config, election, leadership, permit, metrics, error: None };
        (candidate, leadership_receiver, Permit::following(permit_receiver))
    }

    /// Takes part until `stop`. Then it is a follower at once; when `idle` is over, which is when
    /// nothing of the leader's work is under way any more, it gives the Lease up.
    pub async fn run(mut self, client: Client, stop: CancellationToken, idle: impl Future) {
        let leases = Api::<Lease>::namespaced(client, &self.config.namespace);
        // Boxed: the futures of requests are large, and this one lives as long as the provider.
        stop.run_until_cancelled(Box::pin(self.take_part(&leases))).await;
        self.election.resign();
        self.publish();
        idle.await;
        if self.config.release {
            let name = &self.config.name;
            match timeout(RELEASE_WITHIN, Box::pin(self.release(&leases))).await {
                Ok(Ok(true)) => tracing::info!(lease = name, "leadership given up"),
                Ok(Ok(false)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(lease = name, %error, "Lease not given up, others wait for its end");
                }
                Err(_) => tracing::warn!(
                    lease = name,
                    "Lease not given up within {}s, others wait for its end",
                    RELEASE_WITHIN.as_secs()
                ),
            }
        }
    }

    async fn take_part(&mut self, leases: &Api<Lease>) {
        let parameters = PostParams::default();
        loop {
            let sent = Instant::now();
            self.election.tick(sent);
            self.publish();
            let until = self.election.request_until(sent);
            match self.election.next(Timestamp::now(), sent) {
                Act::Rest(at) => sleep_until(at).await,
                Act::Read => {
                    let read = timeout_at(until, leases.get_opt(&self.config.name)).await;
                    if let Some(lease) = self.came_of("get", read) {
                        self.election.read(lease, Instant::now());
                    }
                }
                Act::Create(lease) => {
                    let wrote = timeout_at(until, leases.create(&parameters, &lease));
                    if let Some(lease) = self.came_of("create", wrote.await) {
                        self.election.wrote(lease, sent, Instant::now());
                    }
                }
                Act::Replace(lease) => {
                    let wrote = leases.replace(&self.config.name, &parameters, &lease);
                    if let Some(lease) = self.came_of("update", timeout_at(until, wrote).await) {
                        self.election.wrote(lease, sent, Instant::now());
                    }
                }
            }
        }
    }

    /// The answer, or `None` where there is none; then that is noted.
    fn came_of<T, E>(&mut self, verb: &str, result: Result<kube::Result<T>, E>) -> Option<T> {
        let error = match result {
            Ok(Ok(answer)) => {
                if self.error.take().is_some() {
                    tracing::info!(lease = self.config.name, "leader election works again");
                }
                return Some(answer);
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {
                tracing::debug!(lease = self.config.name, "somebody else wrote the Lease first");
                self.election.failed(Instant::now());
                return None;
            }
            Ok(Err(error)) => self.words(verb, &error),
            Err(_) => self.problem("kube-apiserver gives no answer in time"),
        };
        if self.error.as_ref() != Some(&error) {
            tracing::warn!(error, "leader election fails, trying again");
        }
        self.error = Some(error);
        self.election.failed(Instant::now());
        None
    }

    fn words(&self, verb: &str, error: &kube::Error) -> String {
        let namespace = &self.config.namespace;
        match error {
            kube::Error::Api(status) if status.code == 403 => self.problem(&format!(
                "the right to {verb} leases in namespace {namespace} is missing, see Role dca"
            )),
            kube::Error::Api(status) => self.problem(&status.message),
            error => self.problem(&error.to_string()),
        }
    }

    fn problem(&self, what: &str) -> String {
        format!("Lease {}/{}: {what}", self.config.namespace, self.config.name)
    }

    /// Gives the Lease up, if it is ours.
    async fn release(&self, leases: &Api<Lease>) -> kube::Result<bool> {
        // Read again: a renewal that was under way may have changed it.
        let lease = leases.get_opt(&self.config.name).await?;
        let released = lease.and_then(|lease| self.election.released(lease, Timestamp::now()));
        let Some(released) = released else { return Ok(false) };
        leases.replace(&self.config.name, &PostParams::default(), &released).await?;
        Ok(true)
    }

    fn publish(&self) {
        let permit = self.election.permit();
        // First, so that who is told that we lead finds the permit.
        self.permit.send_if_modified(|before| std::mem::replace(before, permit) != permit);
        let role = if permit.is_some() { Role::Leader } else { Role::Follower };
        let new = Leadership { role, lease: self.election.view(), error: self.error.clone() };
        self.leadership.send_if_modified(|before| {
            self.log_change(before, &new);
            let changed = *before != new;
            *before = new;
            changed
        });
    }

    /// A line for each change of role and of holder.
    fn log_change(&self, before: &Leadership, new: &Leadership) {
        let (identity, lease) = (&self.config.identity, &self.config.name);
        if before.role != new.role {
            let leads = new.role == Role::Leader;
            self.metrics.set(leads);
            if leads {
                tracing::info!(identity, lease, "this replica leads now");
            } else {
                tracing::info!(identity, lease, "this replica leads no more");
            }
        }
        let holder = |leadership: &Leadership| {
            leadership.lease.as_ref().map_or(String::new(), |lease| lease.holder.clone())
        };
        let (before, holder) = (holder(before), holder(new));
        if before != holder && holder != *identity {
            tracing::info!(identity, lease, holder, before, "leader changed");
        }
    }
}
