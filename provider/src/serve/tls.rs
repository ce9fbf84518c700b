//! The serving certificate: where it comes from, and how it changes under running connections.
//!
//! One part writes the certificate ([`Certificates`]: the watch of the given files, or the own CA),
//! each handshake reads it. A connection keeps the keys that it has agreed on, so that a new
//! certificate drops none.

use std::{fmt, path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::pem,
    server::{ClientHello, ResolvesServerCert, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::sync::watch;

pub mod files;
pub mod metrics;
mod pair;

pub use self::pair::{Pair, not_after};
use self::{
    files::Files,
    metrics::{Expiry, Which},
};

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// PEM files, read again when they change.
    Files(Files),
    /// Signed by a CA of our own that is kept in a Secret ([`crate::serve::ca`]); until that can be
    /// read, one that signs itself.
    OwnCa {
        /// The Secret's name.
        secret: String,
        /// How long certificates live.
        lifetimes: crate::serve::ca::Lifetimes,
    },
    /// Made at start; trusted by nobody, so the APIService needs `insecureSkipTLSVerify`.
    SelfSigned,
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or is no PEM.
    #[error("{what} {path} cannot be used: {source}")]
    File {
        /// `certificate file` or `private key file`.
        what: &'static str,
        /// The path as given.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The certificate file has no certificate in it.
    #[error("certificate file {0} holds no certificate")]
    Empty(PathBuf),
    /// Certificate and key do not fit together.
    #[error("certificate and key cannot be used together: {0}")]
    Mismatch(#[from] rustls::Error),
    /// The certificate cannot be parsed.
    #[error("certificate cannot be read: {0}")]
    Certificate(String),
    /// The self-signed certificate cannot be made.
    #[error("self-signed certificate cannot be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// The names and addresses by which the provider is reached in `namespace`: both Services of the
/// walkthrough, and the machine itself.
pub fn names(namespace: &str) -> Vec<String> {
    let services = SERVICES.iter().flat_map(|service| {
        ["svc", "svc.cluster.local"].map(|suffix| format!("{service}.{namespace}.{suffix}"))
    });
    services.chain(["localhost", "127.0.0.1", "::1"].map(str::to_owned)).collect()
}

/// The Services that lead to the provider: that of the APIService, and that of the node agents.
pub const SERVICES: [&str; 2] = ["datadog-custom-metrics-server", "datadog-cluster-agent"];

/// The writer of the serving certificate.
#[derive(Debug)]
pub struct Certificates {
    served: watch::Sender<Arc<CertifiedKey>>,
    which: Which,
    expiry: Expiry,
}

impl Certificates {
    /// What `source` gives at once: the files must be there, the own CA need not be.
    pub fn start(source: &Source, names: &[String], expiry: Expiry) -> Result<Self, Error> {
        let pair = match source {
            Source::Files(files) => files.read()?,
            Source::OwnCa { .. } | Source::SelfSigned => Pair::self_signed(names)?,
        };
        Ok(Self::of(pair, Which::Serving, expiry))
    }

    /// Serves `pair` to begin with, whose end is told as that of `which`.
    pub fn of(pair: Pair, which: Which, expiry: Expiry) -> Self {
        expiry.set(which, pair.not_after);
        Self { served: watch::Sender::new(pair.key), which, expiry }
    }

    /// Serves `pair` from the next handshake on; nothing happens where it is served already.
    pub fn serve(&self, pair: Pair) -> bool {
        self.expiry.set(self.which, pair.not_after);
        self.served.send_if_modified(|served| {
            let new = served.cert != pair.key.cert;
            if new {
                *served = pair.key;
            }
            new
        })
    }

    /// Where the moments at which certificates end are told.
    pub fn expiry(&self) -> &Expiry {
        &self.expiry
    }

    /// Tells of each new certificate.
    pub fn changes(&self) -> watch::Receiver<Arc<CertifiedKey>> {
        self.served.subscribe()
    }

    /// What handshakes read.
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(Newest(self.served.subscribe()))
    }
}

/// The newest certificate, whatever name the client asks for: kube-apiserver asks for that of the
/// Service, a person for an address.
struct Newest(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Newest {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().clone())
    }
}

impl fmt::Debug for Newest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Newest").finish_non_exhaustive()
    }
}

/// TLS 1.3, or 1.2 for who has nothing newer; HTTP/2, or HTTP/1.1; client certificates as
/// `clients` wants them.
///
/// Sessions are resumed from memory (rustls' default: 256 sessions, two tickets each in TLS 1.3), with the
/// client's certificate as it was shown; whoever judges that must do so again. No early data.
pub fn config(
    certificates: &Certificates,
    clients: Arc<dyn ClientCertVerifier>,
) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_protocol_versions(&[&TLS13, &TLS12])
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificates.resolver());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use rustls::server::WebPkiClientVerifier;

    use super::*;

    #[test]
    fn http_2_is_preferred_and_no_files_are_needed() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let expiry = Expiry::default();
        let certificates =
            Certificates::start(&Source::SelfSigned, &names("default"), expiry).unwrap();
        let config = config(&certificates, WebPkiClientVerifier::no_client_auth());
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert_eq!(config.max_early_data_size, 0);
    }

    #[test]
    fn a_certificate_that_is_served_already_is_no_change() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let one = Pair::self_signed(&names("default")).unwrap();
        let other = Pair::self_signed(&names("default")).unwrap();
        let certificates = Certificates::of(one.clone(), Which::Serving, Expiry::default());
        assert!(!certificates.serve(one));
        assert!(certificates.serve(other));
    }

    #[test]
    fn both_services_and_the_machine_itself_are_named() {
        insta::assert_snapshot!(names("ns").join(" "), @"datadog-custom-metrics-server.ns.svc datadog-custom-metrics-server.ns.svc.cluster.local datadog-cluster-agent.ns.svc datadog-cluster-agent.ns.svc.cluster.local localhost 127.0.0.1 ::1");
    }
}
