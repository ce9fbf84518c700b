//! What a fake is like before it runs.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use jiff::Timestamp;

use crate::{
    api,
    control::{Fault, RateLimit, Script, Shape, Span, Start},
    expect::{Expectation, Watch},
    keys::Keys,
    scenario::{InvalidScenario, Scenario},
    server::{
        FakeDatadog, Tls, TlsError,
        listen::{self, Listener, Scheme, Service},
    },
    state::Shared,
};

/// What a fake is like. [`FakeDatadog::builder`] makes one.
#[derive(Clone, Debug)]
pub struct Builder {
    listen: SocketAddr,
    tls: Option<Tls>,
    tls_listen: Option<SocketAddr>,
    keys: Option<Keys>,
    scenario: Scenario,
    expectations: Vec<Expectation>,
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
    /// There is no certificate for HTTPS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The scenario cannot be served.
    #[error("bad scenario: {0}")]
    Scenario(#[from] InvalidScenario),
}

impl Builder {
    /// Listens there; port 0 picks a free one.
    #[must_use]
    pub fn listen(self, listen: SocketAddr) -> Self {
        Self { listen, ..self }
    }

    /// Serves HTTPS too: on the same port, unless [`Self::tls_listen`] gives it another.
    #[must_use]
    pub fn tls(self, tls: Tls) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Serves HTTPS on a port of its own; 0 picks a free one. Has no effect without
    /// [`Self::tls`].
    #[must_use]
    pub fn tls_listen(self, listen: SocketAddr) -> Self {
        Self { tls_listen: Some(listen), ..self }
    }

    /// Accepts only these keys, whatever scenarios say.
    #[must_use]
    pub fn keys(self, keys: Keys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// Serves this from the start.
    #[must_use]
    pub fn scenario(self, scenario: Scenario) -> Self {
        Self { scenario, ..self }
    }

    /// Serves a series with one value from an hour ago on.
    #[must_use]
    pub fn series<T: Into<String>>(
        self,
        metric: impl Into<String>,
        tags: impl IntoIterator<Item = T>,
        value: f64,
    ) -> Self {
        let script = Script::new(metric, tags, Shape::Constant(value));
        self.script(script.starting(Start::Ago(Span::from_secs(3600))))
    }

    /// Serves this series from the start.
    #[must_use]
    pub fn script(mut self, script: Script) -> Self {
        self.scenario.series.push(script);
        self
    }

    /// Has this fault in force from the start.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.scenario.faults.push(fault);
        self
    }

    /// Has these rate limits in force from the start, in place of the scenario's;
    /// [`RateLimit::datadog`] are Datadog's own. There are none unless given.
    #[must_use]
    pub fn rate_limits(mut self, limits: impl IntoIterator<Item = RateLimit>) -> Self {
        self.scenario.rate_limits = limits.into_iter().collect();
        self
    }

    /// Expects these requests from the start; see [`FakeDatadog::expect`].
    #[must_use]
    pub fn expect(mut self, expectation: Expectation) -> Self {
        self.expectations.push(expectation);
        self
    }

    /// Starts it; it listens when this returns.
    ///
    /// # Errors
    ///
    /// When an address is taken, or the certificate or scenario cannot be served.
    pub async fn start(self) -> Result<FakeDatadog, StartError> {
        let Self { listen, tls, tls_listen, keys, scenario, expectations } = self;
        let tls = tls.map(|tls| tls.identity()).transpose()?;
        let shared = Shared::new(Timestamp::now(), keys, scenario)?;
        for expectation in expectations {
            shared.recorder().watch(Watch::new(expectation));
        }
        let scheme = match (&tls, tls_listen) {
            (Some(_), None) => Scheme::Either,
            _ => Scheme::Http,
        };
        let listener = Listener::bind(listen, scheme).await?;
        let url = listener.url("http");
        let mut https_url = (scheme == Scheme::Either).then(|| listener.url("https"));
        let mut listeners = vec![listener];
        if let (Some(_), Some(listen)) = (&tls, tls_listen) {
            let listener = Listener::bind(listen, Scheme::Https).await?;
            https_url = Some(listener.url("https"));
            listeners.push(listener);
        }

        let stop = shared.stopping().clone();
        let ca_pem = tls.as_ref().and_then(|tls| tls.ca_pem.clone());
        let router = api::router(shared.clone());
        let service = Service { router, shared: shared.clone(), tls, stop: stop.clone() };
        let server = tokio::spawn(listen::run(listeners, service));
        Ok(FakeDatadog { shared, url, https_url, ca_pem, stop, server })
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            tls: None,
            tls_listen: None,
            keys: None,
            scenario: Scenario::default(),
            expectations: Vec::new(),
        }
    }
}
