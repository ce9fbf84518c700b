//! One round of the check: find what is due, read it, compute, submit.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    error::Error,
    fmt,
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use secrecy::SecretString;
use tokio::time::Instant;
use url::Url;

use crate::node_check::{
    autodiscovery::{self, Target},
    cluster_agent::{self, ClusterAgent},
    http::{ReadError, SetupError, StatusReader, SubmitError, Submitter},
    payload::{self, Payload, Series},
    plan::{self, BrokenPods, Source, SourceKey},
    stub_status::{Sample, StubStatus},
};

/// Reads under way at the same time.
const CONCURRENT_READS: usize = 16;

/// What a [`Checker`] needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base address of Datadog.
    pub datadog_url: Url,
    /// Key for submissions.
    pub api_key: SecretString,
    /// Time from one read to the next, unless an instance says otherwise.
    pub interval: Duration,
    /// The status page behind all pods, where they have none of their own.
    pub shared_status_url: Option<Url>,
    /// Who knows which Services lead to which pod, if anybody is to be asked.
    pub cluster_agent: Option<cluster_agent::Config>,
}

/// The check and what it remembers from round to round.
#[derive(Debug)]
pub struct Checker {
    reader: StatusReader,
    submitter: Submitter,
    interval: Duration,
    shared_status_url: Option<Url>,
    cluster_agent: Option<ClusterAgent>,
    /// The first round, from which all times count.
    started: Option<Instant>,
    last_round: Option<Duration>,
    /// The sources of now; what is no source any more is forgotten.
    memory: HashMap<SourceKey, Memory>,
    broken_pods: BrokenPods,
}

/// What one round did.
#[derive(Debug)]
pub struct Round {
    /// Targets found, whether due or not.
    pub targets: usize,
    /// Status pages that were read.
    pub read: usize,
    /// Status pages that could not be read.
    pub failed: usize,
    /// Series that Datadog took, or why it did not. `Ok(0)` when there was nothing to send.
    pub submitted: Result<usize, SubmitError>,
    /// Time from the end of this round to the next one.
    pub until_next: Duration,
}

/// What is kept of a source.
///
/// A read that fails keeps the sample before it, as the agent's aggregator does: the next rate is
/// then one over two intervals, and right. A restart of nginx meanwhile shows as a counter reset.
#[derive(Debug, Default)]
struct Memory {
    last: Option<Sample>,
    failing: bool,
}

/// What came of reading a source.
struct Reading {
    source: Source,
    at: Duration,
    unix_seconds: i64,
    status: Result<StubStatus, ReadError>,
}

// === impl Checker ===

impl Checker {
    /// A check that begins with its first round and has no memory.
    pub fn new(config: Config) -> Result<Self, SetupError> {
        Ok(Self {
            reader: StatusReader::new()?,
            submitter: Submitter::new(&config.datadog_url, &config.api_key)?,
            interval: config.interval,
            shared_status_url: config.shared_status_url,
            cluster_agent: config.cluster_agent.as_ref().map(ClusterAgent::new).transpose()?,
            started: None,
            last_round: None,
            memory: HashMap::new(),
            broken_pods: BrokenPods::default(),
        })
    }

    /// Reads what is due among these pods and submits what comes of it, in one request at most.
    ///
    /// No failure ends the check: each is logged, and the next round tries again.
    pub async fn round(&mut self, pods: &[Arc<Pod>]) -> Round {
        let mut targets = self.discover(pods);
        if let Some(cluster_agent) = &mut self.cluster_agent {
            cluster_agent.tag(&mut targets).await;
        }
        let target_count = targets.len();
        let sources = plan::sources(targets, self.shared_status_url.as_ref(), self.interval);
        let keys: HashSet<&SourceKey> = sources.iter().map(|source| &source.key).collect();
        self.memory.retain(|key, _| keys.contains(key));

        let started = *self.started.get_or_insert_with(Instant::now);
        let now = started.elapsed();
        let intervals: Vec<Duration> =
            sources.iter().map(|source| source.interval).chain([self.interval]).collect();
        let due = sources
            .into_iter()
            .filter(|source| plan::is_due(source.interval, self.last_round, now))
            .collect();
        self.last_round = Some(now);

        let readings = self.read(due, started).await;
        let failed = readings.iter().filter(|reading| reading.status.is_err()).count();
        let mut series = Vec::new();
        for reading in &readings {
            self.take(reading, &mut series);
        }
        let submitted = self.submit(Payload { series }).await;
        let until_next = plan::until_next(intervals, started.elapsed());
        Round {
            targets: target_count,
            read: readings.len() - failed,
            failed,
            submitted,
            until_next: until_next.unwrap_or(self.interval),
        }
    }

    fn discover(&mut self, pods: &[Arc<Pod>]) -> Vec<Target> {
        let mut targets = Vec::new();
        let mut broken = BTreeMap::new();
        for pod in pods {
            match autodiscovery::targets(pod) {
                Ok(found) => targets.extend(found),
                Err(error) => {
                    broken.insert(pod_name(pod), error.to_string());
                }
            }
        }
        for (pod, error) in self.broken_pods.update(broken) {
            tracing::warn!(%pod, %error, "pod left out: its annotations cannot be used");
        }
        targets
    }

    async fn read(&self, sources: Vec<Source>, started: Instant) -> Vec<Reading> {
        stream::iter(sources)
            .map(|source| async move {
                let timeout = plan::read_timeout(source.interval);
                let status = self.reader.read(&source.url, timeout).await;
                let unix_seconds = Timestamp::now().as_second();
                Reading { at: started.elapsed(), unix_seconds, status, source }
            })
            .buffer_unordered(CONCURRENT_READS)
            .collect()
            .await
    }

    /// Moves the source's memory on, and adds its series.
    fn take<'a>(&mut self, reading: &'a Reading, series: &mut Vec<Series<'a>>) {
        let Source { key, url, targets, .. } = &reading.source;
        let memory = self.memory.entry(key.clone()).or_default();
        let status = match &reading.status {
            Ok(status) => *status,
            Err(error) => {
                let error = Chain(error);
                if memory.failing {
                    tracing::debug!(%url, %error, "status page still not read");
                } else {
                    tracing::warn!(%url, %error, "status page not read");
                }
                memory.failing = true;
                return;
            }
        };
        if std::mem::take(&mut memory.failing) {
            tracing::info!(%url, "status page read again");
        }
        let sample = Sample { at: reading.at, status };
        match payload::measure(memory.last.replace(sample).as_ref(), &sample) {
            Ok(measured) => {
                series.extend(payload::series(&measured, targets, reading.unix_seconds));
            }
            Err(error) => tracing::warn!(%url, %error, "sample left out"),
        }
    }

    async fn submit(&self, payload: Payload<'_>) -> Result<usize, SubmitError> {
        if payload.series.is_empty() {
            return Ok(0);
        }
        match self.submitter.submit(&payload).await {
            Ok(()) => Ok(payload.series.len()),
            Err(error @ SubmitError::KeyRejected { .. }) => {
                tracing::error!(error = %Chain(&error), "series not submitted");
                Err(error)
            }
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "series not submitted");
                Err(error)
            }
        }
    }
}

fn pod_name(pod: &Pod) -> String {
    let name = |name: &Option<String>| name.clone().unwrap_or_default();
    format!("{}/{}", name(&pod.metadata.namespace), name(&pod.metadata.name))
}

/// An error with all its causes in one line.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
