//! What the APIService says about whom kube-apiserver trusts.

use k8s_openapi::{ByteString, kube_aggregator::pkg::apis::apiregistration::v1::APIService};
use rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::serve::{ca::state::Certificate, tls};

/// What the APIService says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// It cannot be read now.
    Unknown,
    /// There is none.
    Absent,
    /// It leads to somebody else, or somebody else writes its bundle: why it is left alone.
    Elsewhere(String),
    /// It leads to us and verifies nothing, so that it may have no bundle.
    Unverified,
    /// It leads to us.
    Ours {
        /// The PEM bundle; empty means the system's roots.
        bundle: Vec<u8>,
        /// For the precondition of a write.
        version: String,
    },
}

/// By these, cert-manager is told to write a bundle.
const INJECTED: &str = "cert-manager.io/inject-";

impl View {
    /// What `service` says to a provider in `namespace`.
    pub fn of(service: Option<&APIService>, namespace: &str) -> Self {
        let Some(service) = service else { return Self::Absent };
        let spec = service.spec.clone().unwrap_or_default();
        let to = spec.service.unwrap_or_default();
        let (name, of) = (to.name.unwrap_or_default(), to.namespace.unwrap_or_default());
        if of != namespace || !tls::SERVICES.contains(&name.as_str()) {
            return Self::Elsewhere(format!(
                "leads to Service {of}/{name}, not to {namespace}/{}",
                tls::SERVICES[0]
            ));
        }
        let annotations = service.metadata.annotations.iter().flatten();
        if let Some((key, _)) = annotations.into_iter().find(|(key, _)| key.starts_with(INJECTED)) {
            return Self::Elsewhere(format!("gets its caBundle by annotation {key}"));
        }
        if spec.insecure_skip_tls_verify == Some(true) {
            return Self::Unverified;
        }
        Self::Ours {
            bundle: spec.ca_bundle.map(|ByteString(bundle)| bundle).unwrap_or_default(),
            version: service.metadata.resource_version.clone().unwrap_or_default(),
        }
    }

    /// Whether whoever verifies us would trust `certificate`; `None` where nobody knows. Where
    /// nobody verifies us, a change of the CA troubles nobody.
    pub fn trusts(&self, certificate: &Certificate) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Absent | Self::Elsewhere(_) | Self::Unverified => Some(true),
            Self::Ours { bundle, .. } => Some(
                CertificateDer::pem_slice_iter(bundle)
                    .any(|it| it.is_ok_and(|it| it == certificate.der)),
            ),
        }
    }
}
