//! A running fake: started in a process of its own or inside of a test.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use axum::serve::ListenerExt;
use jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    api,
    control::{
        Accepted, Clock, ClockChange, Fault, FaultList, InvalidFault, InvalidScript, RequestLog,
        Script, SeriesList,
    },
    expr::data::Kind,
    keys::Keys,
    scenario::{InvalidScenario, Scenario},
    state::Shared,
    store::Submission,
    tags::Tags,
};

/// How long requests in flight may take after the stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A fake that runs in this process. It stops when this is dropped.
///
/// Its methods are those of the control API ([`crate::control`]), without HTTP in between.
#[derive(Debug)]
pub struct FakeDatadog {
    shared: Shared,
    url: Url,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

/// What a fake is like. [`FakeDatadog::builder`] makes one.
#[derive(Clone, Debug)]
pub struct Builder {
    listen: SocketAddr,
    keys: Keys,
    scenario: Scenario,
}

/// Why a fake cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody else has the address.
    #[error("{listen} is already in use, choose another address such as `--listen {}:0`", listen.ip())]
    AddressInUse {
        /// The address.
        listen: SocketAddr,
    },
    /// Listening fails for another reason.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The scenario cannot be served.
    #[error("bad scenario: {0}")]
    Scenario(#[from] InvalidScenario),
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
        Builder {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            keys: Keys::default(),
            scenario: Scenario::default(),
        }
    }

    /// Its base address, such as `http://127.0.0.1:41234/`.
    pub fn url(&self) -> &Url {
        &self.url
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

    /// What clients asked so far.
    pub fn requests(&self) -> RequestLog {
        self.shared.requests()
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

    /// Stops, and returns once the port is free again.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "server task failed");
        }
    }
}

impl Drop for FakeDatadog {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

// === impl Builder ===

impl Builder {
    /// Listens there; port 0 picks a free one.
    #[must_use]
    pub fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// Accepts only these keys.
    #[must_use]
    pub fn keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    /// Serves this from the start.
    #[must_use]
    pub fn scenario(self, scenario: Scenario) -> Self {
        Self { scenario, ..self }
    }

    /// Starts it; it listens when this returns.
    ///
    /// # Errors
    ///
    /// When the address is taken or the scenario cannot be served.
    pub async fn start(self) -> Result<FakeDatadog, StartError> {
        let Self { listen, keys, scenario } = self;
        let shared = Shared::new(Timestamp::now(), keys, scenario)?;
        let (listener, url) = bind(listen).await?;
        let stop = CancellationToken::new();
        let serving = run(listener, shared.clone(), stop.clone().cancelled_owned());
        let server = tokio::spawn(async {
            if let Err(error) = serving.await {
                tracing::error!(%error, "server failed");
            }
        });
        Ok(FakeDatadog { shared, url, stop, server })
    }
}

/// Serves a fake on `listener` until `stop` is ready; requests in flight get 5 s more.
///
/// # Errors
///
/// When the scenario cannot be served, or accepting connections fails for good.
pub async fn serve(
    listener: TcpListener,
    keys: Keys,
    scenario: Scenario,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let shared = Shared::new(Timestamp::now(), keys, scenario)?;
    Ok(run(listener, shared, stop).await?)
}

/// Listens on `listen` and says under which address that can be reached.
pub(crate) async fn bind(listen: SocketAddr) -> Result<(TcpListener, Url), StartError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { listen },
        _ => StartError::Listen { listen, source },
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let url = Url::parse(&format!("http://{address}"))
        .map_err(|error| failed(io::Error::other(error)))?;
    Ok((listener, url))
}

async fn run(
    listener: TcpListener,
    shared: Shared,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stopping = shared.stopping().clone();
    let signal = stopping.clone();
    let listener = listener.tap_io(|stream| {
        // Small answers must not wait for more to send.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    let server = axum::serve(listener, api::router(shared)).with_graceful_shutdown(async move {
        stop.await;
        signal.cancel();
    });
    let drained = async {
        stopping.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = async { server.await } => ended,
        () = drained => {
            tracing::warn!(after = ?DRAIN, "requests in flight were cut off");
            Ok(())
        }
    }
}
