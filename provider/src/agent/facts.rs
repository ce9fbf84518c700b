//! Where what the agent tells of itself is read from.

use std::{fmt, sync::Arc};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    agent::{
        config::{self, Settings},
        status::{self, Status},
    },
    api::health::Readiness,
    datadog,
    lead::Leadership,
    metrics::Metrics,
    scrub::Scrubber,
    store::Snapshot,
    telemetry::Recent,
};

/// What [`crate::agent::status`] and [`crate::agent::flare`] read. One for the process.
#[derive(Debug)]
pub struct Facts {
    /// When the process started.
    pub started: Timestamp,
    /// Our pod's name.
    pub pod: Option<String>,
    /// The level of the log.
    pub log_level: String,
    /// The settings.
    pub settings: Arc<Settings>,
    /// The last lines of the log.
    pub recent: Recent,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The checks.
    pub readiness: Readiness,
    /// Whether there is an election.
    pub election: bool,
    /// Who leads.
    pub leadership: watch::Receiver<Leadership>,
    /// Where external metrics are on.
    pub external: Option<External>,
    /// The service map, where it is kept: what `GET /api/v1/tags/pod` answers.
    pub metamap: Option<Metamap>,
}

/// Of external metrics.
pub struct External {
    /// The last known state of all metrics.
    pub store: watch::Receiver<Arc<Snapshot>>,
    /// Who asks Datadog.
    pub client: datadog::Client,
    /// The way to kube-apiserver.
    pub kube: kube::Client,
    /// `namespace/name` of the ConfigMap in which values are kept.
    pub config_map: Option<String>,
    /// Whether DatadogMetrics are read.
    pub datadog_metrics: bool,
}

/// Makes the JSON of the service map.
#[derive(Clone)]
pub struct Metamap(pub Arc<dyn Fn() -> serde_json::Value + Send + Sync>);

impl fmt::Debug for Metamap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metamap")
    }
}

impl fmt::Debug for External {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("External").field("config_map", &self.config_map).finish_non_exhaustive()
    }
}

impl Facts {
    /// The status at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        let leadership = self.leadership.borrow().clone();
        let process = status::Process {
            started: self.started,
            pod: self.pod.clone(),
            log_level: self.log_level.clone(),
        };
        let external = self.external.as_ref().map(|external| status::Sources {
            snapshot: external.store.borrow().as_ref().clone(),
            endpoints: external.client.endpoints(),
            config_map: external.config_map.clone(),
            datadog_metrics: external.datadog_metrics,
        });
        status::status(process, self.election, &leadership, external.as_ref(), now)
    }

    /// What takes the secrets of this process out of a text.
    pub fn scrubber(&self) -> Scrubber {
        self.settings.scrubber(config::environment())
    }
}
