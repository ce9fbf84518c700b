//! What the server counts about connections.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    handshakes: Gauge,
    open: Family<Protocol, Gauge>,
    failed: Family<Reason, Counter>,
    closed: Family<Reason, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

const PROTOCOLS: [&str; 2] = ["http/1.1", "h2"];

/// Why a handshake came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The peer said something wrong, or hung up.
    Failed,
    /// It took too long.
    Timeout,
    /// There were too many, and it was the oldest.
    Evicted,
}

impl Metrics {
    /// Makes `registry` show these metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "api_tls_handshakes",
            "TLS handshakes under way",
            self.handshakes.clone(),
        );
        registry.register(
            "api_open_connections",
            "Connections past their handshake, by protocol",
            self.open.clone(),
        );
        registry.register(
            "api_tls_handshake_failures",
            "TLS handshakes that came to nothing",
            self.failed.clone(),
        );
        registry.register(
            "api_closed_connections",
            "Connections that the server closed by itself",
            self.closed.clone(),
        );
    }

    /// Connections past their handshake.
    pub fn open_connections(&self) -> i64 {
        PROTOCOLS.map(|protocol| self.open.get_or_create(&Protocol { protocol }).get()).iter().sum()
    }

    /// Handshakes under way.
    pub fn handshakes(&self) -> i64 {
        self.handshakes.get()
    }

    /// Handshakes that came to nothing, for whatever reason.
    pub fn failed_handshakes(&self) -> u64 {
        [Failure::Failed, Failure::Timeout, Failure::Evicted]
            .map(|failure| self.failed.get_or_create(&failure.reason()).get())
            .iter()
            .sum()
    }

    pub(super) fn handshake_begins(&self) -> Up {
        Up::new(self.handshakes.clone())
    }

    pub(super) fn handshake_failed(&self, failure: Failure) {
        self.failed.get_or_create(&failure.reason()).inc();
    }

    pub(super) fn connection_opens(&self, http2: bool) -> Up {
        let protocol = PROTOCOLS[usize::from(http2)];
        Up::new(self.open.get_or_create_owned(&Protocol { protocol }))
    }

    pub(super) fn connection_closed(&self, reason: &'static str) {
        self.closed.get_or_create(&Reason { reason }).inc();
    }
}

impl Failure {
    fn reason(self) -> Reason {
        let reason = match self {
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Evicted => "evicted",
        };
        Reason { reason }
    }
}

/// One more in a gauge, for as long as this lives.
#[derive(Debug)]
pub(super) struct Up(Gauge);

impl Up {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.dec();
    }
}
