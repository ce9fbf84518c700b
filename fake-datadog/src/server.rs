//! A running fake: started in a process of its own or inside of a test.

mod builder;
mod connection;
mod listen;
mod socket;
mod tls;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use crate::server::{
    builder::{Builder, StartError},
    tls::{Tls, TlsError},
};
pub(crate) use crate::server::{listen::bind, socket::Connection};
use crate::{
    control::{
        Accepted, Clock, ClockChange, Fault, FaultList, InvalidFault, InvalidRateLimit,
        InvalidScript, RateLimit, RequestLog, Script, SeriesList,
    },
    expr::data::Kind,
    scenario::{InvalidScenario, Scenario},
    state::Shared,
    store::Submission,
    tags::Tags,
};

/// A fake that runs in this process. It stops when this is dropped.
///
/// Its methods are those of the control API ([`crate::control`]), without HTTP in between.
#[derive(Debug)]
pub struct FakeDatadog {
    pub(crate) shared: Shared,
    url: Url,
    https_url: Option<Url>,
    ca_pem: Option<String>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl FakeDatadog {
    /// Starts a fake on a free port of 127.0.0.1 with the default keys.
    ///
    /// # Errors
    ///
    /// When there is no port to listen on.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// A fake to be, on a free port of 127.0.0.1, with the default keys and an empty scenario.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Its base address, such as `http://127.0.0.1:41234/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Its base address for HTTPS; `None` without [`Builder::tls`].
    pub fn https_url(&self) -> Option<&Url> {
        self.https_url.as_ref()
    }

    /// The certificate of the authority behind a certificate that was made at the start, in PEM.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Sets a scripted series, in place of an earlier one of the same metric and tags.
    ///
    /// # Errors
    ///
    /// When no series can be made of it.
    pub fn script(&self, script: Script) -> Result<Accepted, InvalidScript> {
        self.shared.script(Timestamp::now(), script)
    }

    /// Removes every scripted series. Returns how many there were.
    pub fn clear_scripts(&self) -> usize {
        self.shared.remove_scripts(None, None)
    }

    /// The scripted series and their values now.
    pub fn series(&self) -> SeriesList {
        self.shared.series(Timestamp::now(), None)
    }

    /// Begins another scenario. Submitted points and the log of requests stay.
    ///
    /// # Errors
    ///
    /// When it cannot be served; then nothing has changed.
    pub fn set_scenario(&self, scenario: Scenario) -> Result<(), InvalidScenario> {
        self.shared.set_scenario(Timestamp::now(), scenario)
    }

    /// The scenario in force, with the scripts and faults of this moment.
    pub fn scenario(&self) -> Scenario {
        self.shared.scenario(Timestamp::now())
    }

    /// Where the scenario is.
    pub fn clock(&self) -> Clock {
        self.shared.clock(Timestamp::now())
    }

    /// Changes the scenario's speed, or skips a span of it.
    pub fn set_clock(&self, change: ClockChange) -> Clock {
        self.shared.set_clock(Timestamp::now(), change)
    }

    /// Puts a fault in force, in place of one of the same name.
    ///
    /// # Errors
    ///
    /// When it cannot work.
    pub fn fault(&self, fault: Fault) -> Result<(), InvalidFault> {
        self.shared.fault(Timestamp::now(), fault)
    }

    /// Every fault that is set, and how it stands.
    pub fn faults(&self) -> FaultList {
        self.shared.faults(Timestamp::now())
    }

    /// Lifts every fault. Returns how many there were.
    pub fn clear_faults(&self) -> usize {
        self.shared.clear_faults(Timestamp::now(), None)
    }

    /// Sets rate limits in place of those before, such as [`RateLimit::datadog`]; none lifts them.
    ///
    /// # Errors
    ///
    /// When one of them cannot be.
    pub fn set_rate_limits(&self, limits: Vec<RateLimit>) -> Result<(), InvalidRateLimit> {
        self.shared.set_rate_limits(limits)
    }

    /// What clients asked so far.
    pub fn requests(&self) -> RequestLog {
        self.shared.recorder().log()
    }

    /// Takes points of one series as if they had been submitted; times are Unix seconds.
    ///
    /// As over HTTP, points older than an hour or more than ten minutes ahead are left out.
    pub fn submit<T: AsRef<str>>(
        &self,
        metric: &str,
        tags: impl IntoIterator<Item = T>,
        points: &[(i64, f64)],
    ) {
        let tags = &Tags::normalise(tags);
        let submission = Submission { metric, tags, kind: Kind::Gauge, interval: None, points };
        self.shared.submit(Timestamp::now(), &submission);
    }

    /// Back to the state after the start; its scenario begins anew.
    pub fn reset(&self) {
        if let Err(error) = self.shared.reset(Timestamp::now()) {
            // The same scenario was taken at the start.
            tracing::error!(%error, "cannot reset");
        }
    }

    /// Stops, and returns once the port is free again. Requests in flight get 5 s more.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.ended().await;
    }

    /// Serves until `stop` is ready, then stops. Returns early if serving fails.
    pub async fn run_until(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            () = stop => self.stop().await,
            () = self.ended() => {}
        }
    }

    async fn ended(&mut self) {
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "server task failed");
        }
    }
}

impl Drop for FakeDatadog {
    fn drop(&mut self) {
        self.stop.cancel();
        self.verify_on_drop();
    }
}
