//! Where the scenarios run: the [`Cluster`] trait and its backends.
//!
//! What is the same everywhere (manifests, order, assertions) is not here but in [`crate::deploy`]
//! and [`crate::scenario`]; a backend knows how its parts are started and reached.

use std::{path::Path, time::Duration};

use fake_datadog::control;
use kube::Client;
use url::Url;

pub mod local;

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
}

impl Timings {
    /// As quick as a run can be without the load's own unevenness becoming the signal: at 25 requests
    /// per second one more or less in a second is 4 %, and 27 and a bit already ask for 4 replicas.
    pub const FAST: Self = Self {
        hpa_sync: Duration::from_millis(500),
        downscale_window: Duration::ZERO,
        check_interval: Duration::from_secs(2),
    };
}

/// A running Kubernetes with what the scenarios need beside it.
///
/// Static dispatch: scenarios are generic over it, so that its methods may be `async`. They run on the
/// task of the run itself, so nothing has to be `Send`.
pub trait Cluster {
    /// The backend's name as on the command line.
    fn name(&self) -> &'static str;

    /// A client with all rights.
    fn client(&self) -> &Client;

    /// The clocks it was started with.
    fn timings(&self) -> Timings;

    /// The control API of the fake Datadog that the provider asks.
    fn fake(&self) -> &control::Client;

    /// Applies what the walkthrough applies up to "Register the External Metrics Provider", starts
    /// the provider, and waits until the APIService is available.
    fn install_provider(&self) -> impl Future<Output = anyhow::Result<()>>;

    /// Applies the walkthrough's nginx, starts what answers behind its Service, and waits until
    /// it does. Gives the URL of the Service's port as it is reached from here.
    fn install_nginx(&self) -> impl Future<Output = anyhow::Result<Url>>;

    /// Starts the stand-in for the node agent: its nginx check reports to the fake.
    fn start_node_check(&self) -> impl Future<Output = anyhow::Result<()>>;

    /// Applies a file of the repository, its path relative to the root.
    fn apply(&self, file: &str) -> impl Future<Output = anyhow::Result<()>>;

    /// How many syncs of HPAs the controller has completed.
    fn hpa_syncs(&self) -> impl Future<Output = anyhow::Result<u64>>;

    /// The provider's peak resident memory in bytes, where the backend can tell.
    fn provider_peak_memory(&self) -> Option<u64>;

    /// Writes everything that helps to understand a failure into `folder`.
    fn diagnose(&self, folder: &Path) -> impl Future<Output = anyhow::Result<()>>;
}
