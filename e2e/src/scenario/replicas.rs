//! Three replicas of the provider: whatever happens to one of them, every sync of the HPA controller gets
//! its value, and one replica at a time asks Datadog.

use std::{path::PathBuf, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    cluster::{
        Cluster,
        local::{
            LocalCluster,
            direct::{Direct, Trust},
            provider::{Provider, Replica},
        },
    },
    load::Connections,
    observe::Observer,
    phase::Recorder,
    process::Process,
    scenario::{
        HPA, METRIC,
        api::{local, metric_path},
        replicas::{
            asked::{Call, one_at_a_time},
            lease::Leases,
        },
        stage::{self, UNDER_LOAD, script},
        watched,
    },
    wait::{self, Probe},
};

pub(super) mod apiserver;
mod asked;
pub(super) mod cut;
pub(super) mod kill;
mod lag;
mod lease;
pub(super) mod pause;
pub(super) mod state;
pub(super) mod token;
mod trial;

const REPLICAS: usize = 3;
/// How long a Lease that is not renewed keeps others away. Short, and still several times what a busy
/// machine may take for one renewal; its leader renews it after a quarter and asks nothing after a half.
const LEASE: Duration = Duration::from_secs(6);
/// How often the leader asks for a metric.
const REFRESH: Duration = Duration::from_secs(1);
/// How long another replica may take to ask: the rest of the Lease, and the time of a busy machine.
const FAILOVER_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The replicas, and what is known of them from outside.
struct Fleet<'a> {
    cluster: &'a LocalCluster,
    recorder: &'a Recorder,
    provider: Provider,
    leases: Leases,
    kubeconfig: PathBuf,
}

/// Another replica has asked.
struct Failover {
    to: String,
    /// From the last call of the one before.
    gap: Duration,
    /// From the moment at which it began.
    took: Duration,
}

impl<'a> Fleet<'a> {
    /// Starts the replicas, which are all ready then, and nginx.
    async fn install<C: Cluster>(cluster: &'a C, recorder: &'a Recorder) -> anyhow::Result<Self> {
        let cluster = local(cluster)?;
        let lease = LEASE.as_secs().to_string();
        let environment = [("DD_LEADER_LEASE_DURATION", lease.as_str())];
        let provider = Provider::replicated(cluster, REPLICAS, &environment).await?;
        recorder.phase("provider", provider.install(cluster)).await?;
        let kubeconfig = provider.kubeconfig(cluster).await?;
        recorder.phase("nginx", cluster.install_nginx()).await?;
        let leases = Leases::watch(cluster.client(), cluster.namespace());
        Ok(Self { cluster, recorder, provider, leases, kubeconfig })
    }

    /// Has the HPA scale to three, and looks whether one replica asks from the start.
    async fn at_three(&self) -> anyhow::Result<Observer> {
        let Self { cluster, recorder, .. } = self;
        script(*cluster, METRIC, UNDER_LOAD).await?;
        let hpa = watched(*cluster);
        let observer = stage::scale_to_three(*cluster, recorder, HPA, &hpa).await?;
        let calls = self.calls(Timestamp::UNIX_EPOCH).await?;
        let one = one_at_a_time(&calls, &self.leases.tenures());
        recorder.assertion("one of three replicas asks Datadog", one)?;
        Ok(observer)
    }

    /// What the replicas have asked Datadog since then, in order.
    async fn calls(&self, since: Timestamp) -> anyhow::Result<Vec<Call>> {
        let log = self.cluster.fake().requests().await?;
        let who = |key: &Option<String>| {
            let mut replicas = self.provider.replicas().iter();
            let known = replicas.find(|replica| Some(replica.key()) == *key);
            known.map_or("nobody that we know", |replica| &replica.pod).to_owned()
        };
        let ours = |agent: &Option<String>| {
            agent.as_deref().unwrap_or_default().starts_with("datadog-cluster-agent")
        };
        let calls = log.requests.iter().filter(|it| since <= it.time && ours(&it.user_agent));
        let calls = calls.map(|it| Call { at: it.time, by: who(&it.api_key), status: it.status });
        let mut calls: Vec<Call> = calls.collect();
        calls.sort_by_key(|call| call.at);
        Ok(calls)
    }

    /// Who leads now, by the Lease.
    fn leader(&self) -> anyhow::Result<&Replica> {
        let holder = self.leases.holder().context("nobody holds the Lease")?;
        let mut replicas = self.provider.replicas().iter();
        let found = replicas.find(|replica| replica.pod == holder);
        found.with_context(|| format!("{holder:?}, which holds the Lease, is no replica of ours"))
    }

    fn process(&self, replica: &Replica) -> anyhow::Result<Process> {
        self.provider.process(self.cluster, replica)
    }

    /// Starts a replica again, and waits until it is ready.
    async fn restart(&self, replica: &Replica) -> anyhow::Result<()> {
        let process = self.provider.start_replica(self.cluster, replica, &self.kubeconfig)?;
        self.provider.ready(&process).await?;
        Ok(())
    }

    /// Waits until another replica than `before` has asked Datadog.
    async fn failover(&self, before: &Replica, since: Timestamp) -> anyhow::Result<Failover> {
        let next = wait::until(
            "another replica to ask Datadog",
            FAILOVER_WITHIN,
            LOOK_EVERY,
            async || {
                let calls = self.calls(since).await?;
                let next = calls.into_iter().find(|call| call.by != before.pod);
                let holder = self.leases.holder().unwrap_or_else(|| "nobody".to_owned());
                let not_yet = || Probe::NotYet(format!("{holder} holds the Lease"));
                anyhow::Ok(next.map_or_else(not_yet, Probe::Ready))
            },
        );
        let next = next.await.map_err(|timeout| timeout.to_string());
        let text = |call: &Call| format!("{} asks", call.by);
        self.recorder.assertion(
            "another replica takes over",
            next.as_ref().map(text).map_err(Clone::clone),
        )?;
        let next = next.map_err(anyhow::Error::msg)?;
        let calls = self.calls(Timestamp::UNIX_EPOCH).await?;
        let last = calls.iter().rfind(|call| call.by == before.pod && call.at < next.at);
        let between = |from: Timestamp| next.at.duration_since(from).unsigned_abs();
        let gap = last.map_or_else(|| between(since), |last| between(last.at));
        Ok(Failover { took: between(since), gap, to: next.by })
    }

    /// Reports what the replicas need.
    fn memory(&self) -> anyhow::Result<()> {
        let leader = &self.leader()?.pod;
        for replica in self.provider.replicas() {
            let Some(bytes) = self.process(replica)?.peak_memory() else { continue };
            let role = if replica.pod == *leader { "leader" } else { "follower" };
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
            let mebibytes = bytes as f64 / 1024.0 / 1024.0;
            self.recorder.fact(format!("peak memory of the {role}"), format!("{mebibytes:.1} MiB"));
        }
        Ok(())
    }

    /// A client with all rights of a replica's port for the API.
    fn direct(&self, replica: &Replica) -> anyhow::Result<Direct> {
        let admin = &self.cluster.plane().pki().admin;
        Direct::new(&replica.url, Trust::Anybody, Some(admin), Connections::New)
    }

    /// When the point was made that this replica answers with.
    async fn point(&self, replica: &Replica) -> anyhow::Result<Timestamp> {
        let answer = self.direct(replica)?.get(&metric_path(), &[]).await?;
        anyhow::ensure!(answer.status == 200, "{} says {}", replica.pod, answer.describe());
        let list: Value = serde_json::from_slice(&answer.body)?;
        let time = list["items"][0]["timestamp"].as_str().context("an item with a timestamp")?;
        Ok(time.parse()?)
    }

    /// Asserts that each replica answers with a point that is newer than this.
    async fn all_know(&self, newer: Timestamp, name: &str) -> anyhow::Result<()> {
        let all = wait::until("newer points", FAILOVER_WITHIN, LOOK_EVERY, async || {
            for replica in self.provider.replicas() {
                let point = self.point(replica).await?;
                if point <= newer {
                    return Ok(Probe::NotYet(format!("{} has a point of {point}", replica.pod)));
                }
            }
            anyhow::Ok(Probe::Ready(()))
        });
        let all = all.await.map_err(|timeout| timeout.to_string());
        let after = || Timestamp::now().duration_since(newer).as_secs_f64();
        Ok(self.recorder.assertion(name, all.map(|()| format!("after {:.1} s", after())))?)
    }
}

/// Seconds for people.
fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
