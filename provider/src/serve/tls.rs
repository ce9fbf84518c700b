//! The serving certificate: files that are given, or one that signs itself.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
};

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// PEM files: the chain, leaf first, and its key.
    Files {
        /// The certificate chain.
        certificate: PathBuf,
        /// The private key.
        key: PathBuf,
    },
    /// Made at start for these DNS names and addresses; trusted by nobody, so the APIService needs
    /// `insecureSkipTLSVerify`.
    SelfSigned {
        /// Subject alternative names.
        names: Vec<String>,
    },
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
    /// The self-signed certificate cannot be made.
    #[error("self-signed certificate cannot be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

/// A server configuration with that certificate, TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
pub fn config(source: &Source) -> Result<Arc<ServerConfig>, Error> {
    let (chain, key) = match source {
        Source::Files { certificate, key } => read(certificate, key)?,
        Source::SelfSigned { names } => {
            let made = rcgen::generate_simple_self_signed(names.clone())?;
            (
                vec![made.cert.der().clone()],
                PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()),
            )
        }
    };
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(certificate: &PathBuf, key: &PathBuf) -> Result<Pair, Error> {
    let unusable = |what: &'static str, path: &PathBuf| {
        let path = path.clone();
        move |source| Error::File { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unusable("certificate file", certificate))?;
    if chain.is_empty() {
        return Err(Error::Empty(certificate.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unusable("private key file", key))?;
    Ok((chain, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install_provider() {
        let _ = rustls::crypto::ring::default_provider().install_default();
    }

    #[test]
    fn a_self_signed_certificate_needs_no_files() {
        install_provider();
        let tls = config(&Source::SelfSigned { names: vec!["localhost".into()] }).unwrap();
        assert_eq!(tls.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }

    #[test]
    fn given_files_are_read_and_a_bad_one_is_named() {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = folder.path().join("tls.crt");
        let key = folder.path().join("tls.key");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        let source = Source::Files { certificate: certificate.clone(), key: key.clone() };
        let missing = config(&source).unwrap_err().to_string();
        assert!(missing.contains("private key file") && missing.contains("tls.key"), "{missing}");
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        config(&source).unwrap();
        std::fs::write(&certificate, "no PEM").unwrap();
        assert!(matches!(config(&source), Err(Error::Empty(path)) if path == certificate));
    }
}
