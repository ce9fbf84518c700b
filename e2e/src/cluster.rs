//! Where the scenarios run: the [`Cluster`] trait and its backends.
//!
//! What is the same everywhere (manifests, order, assertions) is not here but in [`crate::deploy`]
//! and [`crate::scenario`]; a backend knows how its parts are started and reached.

use std::{path::Path, time::Duration};

use fake_datadog::control;
use kube::Client;

use crate::{load::LoadReport, nginx::Reading, phase::Recorder};

mod diagnose;
pub mod existing;
pub mod kind;
pub mod local;
pub mod pods;
mod provider;
mod run_folder;
pub mod syncs;

/// A client that hands on what it is answered. kube's own would try a 503 again, up to 15 times with
/// longer and longer waits; that of the external metrics API is an answer like any other.
fn plain_client(mut config: kube::Config) -> kube::Result<Client> {
    config.default_retry = false;
    Client::try_from(config)
}

/// The clocks of a run. They are scaled together: a provider that refreshes every 30 s cannot be
/// judged in 10 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// `--horizontal-pod-autoscaler-sync-period` of kube-controller-manager.
    pub hpa_sync: Duration,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`.
    pub downscale_window: Duration,
    /// The node check's interval.
    pub check_interval: Duration,
    /// Whether the provider keeps its own periods; else they are those of `manifests/overlays/fast`.
    pub provider: ProviderPeriods,
}

/// How often the provider asks, and over how long a time a point is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderPeriods {
    /// Those of `manifests/overlays/fast`: 1 s and 2 s.
    Fast,
    /// As it ships, which is Datadog's: 30 s both.
    Default,
}

impl Timings {
    /// As quick as a run can be without the load's own unevenness becoming the signal: at 25 requests
    /// per second one more or less in a second is 4 %, and 27 and a bit already ask for 4 replicas.
    pub const FAST: Self = Self {
        hpa_sync: Duration::from_millis(500),
        downscale_window: Duration::ZERO,
        check_interval: Duration::from_secs(2),
        provider: ProviderPeriods::Fast,
    };

    /// The same where every replica is an nginx of its own: a new one takes over its share of the
    /// requests at once, but has no rate before its second poll, so the sum falls for a moment.
    pub const FAST_PODS: Self = Self {
        hpa_sync: Duration::from_secs(1),
        downscale_window: Duration::from_secs(10),
        ..Self::FAST
    };

    /// The same on a cluster whose controller-manager is not ours: its sync period is taken to be the
    /// default, and the HPA itself says how long its window is.
    pub const FAST_EXISTING: Self = Self {
        hpa_sync: Duration::from_secs(15),
        downscale_window: Duration::from_secs(30),
        ..Self::FAST
    };

    /// Everything as in the walkthrough: the defaults of Kubernetes, Datadog's agent and the provider
    /// (k8s.io/kubernetes/pkg/controller/podautoscaler/config/v1alpha1/defaults.go).
    pub const REAL: Self = Self {
        hpa_sync: Duration::from_secs(15),
        downscale_window: Duration::from_secs(300),
        check_interval: Duration::from_secs(15),
        provider: ProviderPeriods::Default,
    };

    /// How long the HPA may take to follow a change of load: rate, refresh and sync one after the
    /// other, and some time for a busy machine. A scale-down also waits for the window.
    pub fn follows_within(self) -> Duration {
        let provider = match self.provider {
            ProviderPeriods::Fast => Duration::from_secs(3),
            ProviderPeriods::Default => Duration::from_secs(60),
        };
        Duration::from_secs(40) + self.check_interval * 2 + provider + self.hpa_sync * 2
    }
}

/// A running Kubernetes with what the scenarios need beside it.
///
/// Static dispatch: scenarios are generic over it, so that its methods may be `async`. They run on the
/// task of the run itself, so nothing has to be `Send`.
pub trait Cluster: Sized {
    /// A load that is being sent. Dropping it ends the load, at once or at the end of its time limit.
    type Load;

    /// The backend's name as on the command line.
    fn name(&self) -> &'static str;

    /// Names the run in paths.
    fn run_name(&self) -> String;

    /// The embedded cluster, for scenarios that need its keys, or end and start its programs.
    fn local(&self) -> Option<&local::LocalCluster> {
        None
    }

    /// A client with all rights.
    fn client(&self) -> &Client;

    /// Where the objects of the walkthrough are.
    fn namespace(&self) -> &str;

    /// The clocks it was started with.
    fn timings(&self) -> Timings;

    /// The control API of the fake Datadog that the provider asks.
    fn fake(&self) -> &control::Client;

    /// Starts the fake Datadog where it does not run yet.
    fn start_fake(&self, recorder: &Recorder) -> impl Future<Output = anyhow::Result<()>>;

    /// Applies what the walkthrough applies up to "Register the External Metrics Provider", starts
    /// the provider, and waits until the APIService is available. Variables of `environment` take the
    /// place of those in the manifests.
    fn install_provider(
        &self,
        environment: &[(&str, &str)],
    ) -> impl Future<Output = anyhow::Result<()>>;

    /// Applies the walkthrough's nginx, starts what answers behind its Service, and waits until
    /// it does.
    fn install_nginx(&self) -> impl Future<Output = anyhow::Result<()>>;

    /// Starts the stand-in for the node agent: its nginx check reports to the fake.
    fn start_node_check(&self) -> impl Future<Output = anyhow::Result<()>>;

    /// Applies a file of the repository, its path relative to the root.
    fn apply(&self, file: &str) -> impl Future<Output = anyhow::Result<()>>;

    /// Reads every nginx's own count, by one request to each.
    fn read_nginx(&self) -> impl Future<Output = anyhow::Result<Reading>>;

    /// Puts load on nginx's Service: requests per second, for `limit` at most.
    fn start_load(
        &self,
        rate_per_s: f64,
        limit: Duration,
    ) -> impl Future<Output = anyhow::Result<Self::Load>>;

    /// Ends a load.
    fn stop_load(&self, load: Self::Load) -> impl Future<Output = anyhow::Result<LoadReport>>;

    /// How many syncs of HPAs the controller has completed; `None` where the controller cannot be asked.
    fn hpa_syncs(&self) -> impl Future<Output = anyhow::Result<Option<u64>>>;

    /// The provider's peak resident memory in bytes, where the backend can tell.
    fn provider_peak_memory(&self) -> impl Future<Output = Option<u64>>;

    /// Waits until a part that should serve has ended; the error says which and how.
    fn broken(&self) -> impl Future<Output = anyhow::Error>;

    /// Writes everything that helps to understand a failure into `folder`.
    fn diagnose(&self, folder: &Path) -> impl Future<Output = anyhow::Result<()>>;

    /// Ends and removes everything that the run has made.
    fn stop(self) -> impl Future<Output = anyhow::Result<()>>;

    /// Leaves everything running, and tells how to use and remove it.
    fn keep(self) -> impl Future<Output = anyhow::Result<Vec<(String, String)>>>;
}
