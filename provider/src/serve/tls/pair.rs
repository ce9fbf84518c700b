//! A certificate chain with its key, as it can be served.

use std::sync::Arc;

use jiff::Timestamp;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::serve::tls::Error;

/// A certificate chain with its key, which fit together.
#[derive(Debug, Clone)]
pub struct Pair {
    /// As rustls serves it.
    pub key: Arc<CertifiedKey>,
    /// The end of the first certificate.
    pub not_after: Timestamp,
}

impl Pair {
    /// Fails where the key is not that of the first certificate, or of no kind that can be used.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, Error> {
        let no_provider = || rustls::Error::General("no crypto provider is installed".to_owned());
        let provider = CryptoProvider::get_default().ok_or_else(no_provider)?;
        let key = CertifiedKey::from_der(chain, key, provider)?;
        let not_after = not_after(key.end_entity_cert()?)?;
        Ok(Self { key: Arc::new(key), not_after })
    }

    /// A new one that nobody vouches for.
    pub fn self_signed(names: &[String]) -> Result<Self, Error> {
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        Self::new(vec![made.cert.der().clone()], key)
    }
}

/// The moment at which a certificate ends.
pub fn not_after(certificate: &CertificateDer<'_>) -> Result<Timestamp, Error> {
    let unreadable = |error: &dyn std::fmt::Display| Error::Certificate(error.to_string());
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|error| unreadable(&error))?;
    let seconds = parsed.validity().not_after.timestamp();
    Timestamp::from_second(seconds).map_err(|error| unreadable(&error))
}
