//! The certificate to serve HTTPS with: files that are given, or one that is made at the start.

use std::{fmt, io, path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem, pem::PemObject},
};

/// Names that a certificate made at the start is always good for.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where the certificate comes from.
///
/// ```
/// use fake_datadog::{FakeDatadog, server::Tls};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let fake = FakeDatadog::builder().tls(Tls::made_for(["datadog.test"])).start().await?;
/// assert_eq!(fake.https_url().map(|it| it.scheme()), Some("https"));
/// // For the client to trust:
/// assert!(fake.ca_pem().is_some_and(|pem| pem.starts_with("-----BEGIN CERTIFICATE-----")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Made at the start, with an authority of its own, for `localhost`, 127.0.0.1 and `::1`.
    Made {
        /// More DNS names and addresses that it is good for.
        names: Vec<String>,
    },
    /// From PEM files.
    Files {
        /// The certificate chain, leaf first.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
}

/// Why there is no certificate to serve with. The message is one line.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
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
    #[error(
        "certificate file {0} holds no certificate, give a PEM file with the chain, leaf first"
    )]
    Empty(PathBuf),
    /// Certificate and key do not fit together.
    #[error("certificate file {certificate} and key file {key} cannot be used together: {source}")]
    Mismatch {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// No certificate can be made.
    #[error("cannot make a certificate for {}: {source}", names.join(", "))]
    Make {
        /// The names asked for.
        names: Vec<String>,
        /// The cause.
        source: rcgen::Error,
    },
    /// The TLS library takes no certificate at all.
    #[error("cannot set up TLS: {0}")]
    Setup(#[from] rustls::Error),
    /// The authority's certificate cannot be written.
    #[error("cannot write CA file {path}: {source}")]
    CaFile {
        /// The path as given.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// What handshakes need.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    /// The authority to trust, in PEM; `None` for given files.
    pub(crate) ca_pem: Option<String>,
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

// === impl Tls ===

impl Tls {
    /// A certificate made at the start, for this machine's own names.
    pub fn made() -> Self {
        Self::Made { names: Vec::new() }
    }

    /// A certificate made at the start, for more names.
    pub fn made_for<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::Made { names: names.into_iter().map(Into::into).collect() }
    }

    /// TLS 1.2 and 1.3 with that certificate; HTTP/2 and HTTP/1.1.
    pub(crate) fn identity(&self) -> Result<Identity, TlsError> {
        let (pair, ca_pem) = match self {
            Self::Made { names } => {
                let (pair, ca_pem) = make(names)
                    .map_err(|source| TlsError::Make { names: names.clone(), source })?;
                (pair, Some(ca_pem))
            }
            Self::Files { certificate, key } => (read(certificate, key)?, None),
        };
        // One provider for all: whoever uses the library need not have installed one.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth();
        let mut config = builder.with_single_cert(pair.0, pair.1).map_err(|source| match self {
            Self::Made { .. } => TlsError::Setup(source),
            Self::Files { certificate, key } => {
                TlsError::Mismatch { certificate: certificate.clone(), key: key.clone(), source }
            }
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Identity { config: Arc::new(config), ca_pem })
    }
}

/// A leaf for the local names and `names`, and the authority that signs it.
fn make(names: &[String]) -> Result<(Pair, String), rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "fake-datadog CA");
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate()?)?;

    let names: Vec<String> =
        LOCAL_NAMES.into_iter().map(str::to_owned).chain(names.iter().cloned()).collect();
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "fake-datadog");
    leaf.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let chain = vec![leaf.signed_by(&key, &ca)?.der().clone(), ca.der().clone()];
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok(((chain, key.into()), ca.pem()))
}

fn read(certificate: &PathBuf, key: &PathBuf) -> Result<Pair, TlsError> {
    let unusable = |what: &'static str, path: &PathBuf| {
        let path = path.clone();
        move |source| TlsError::File { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unusable("certificate file", certificate))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unusable("private key file", key))?;
    Ok((chain, key))
}

// === impl Identity ===

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_files_are_named_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let files = Tls::Files { certificate: certificate.clone(), key: key.clone() };
        let refused = || {
            let message = files.identity().unwrap_err().to_string();
            assert_eq!(message.lines().count(), 1, "{message}");
            message.replace(&folder.path().display().to_string(), "")
        };
        insta::assert_snapshot!(refused(), @"certificate file /tls.crt cannot be used: I/O error: No such file or directory (os error 2)");
        std::fs::write(&certificate, "no PEM").unwrap();
        insta::assert_snapshot!(refused(), @"certificate file /tls.crt holds no certificate, give a PEM file with the chain, leaf first");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, "no PEM").unwrap();
        insta::assert_snapshot!(refused(), @"private key file /tls.key cannot be used: no items found");
        std::fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        insta::assert_snapshot!(refused(), @"certificate file /tls.crt and key file /tls.key cannot be used together: keys may not be consistent: KeyMismatch");
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        assert_eq!(files.identity().unwrap().ca_pem, None);
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let message = Tls::made_for(["ö"]).identity().unwrap_err().to_string();
        assert!(message.starts_with("cannot make a certificate for ö: "), "{message}");
    }
}
