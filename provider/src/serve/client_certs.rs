//! Client certificates in the handshake: asked for, not judged.

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use crate::api::peer::MOST_CERTIFICATES;

/// The most bytes of certificates that a connection keeps; TLS would let 64 KiB pass, of anyone.
const MOST_BYTES: usize = 16 * 1024;

/// Asks for a certificate and checks that the client has its key; whether anyone vouches for it is
/// judged at each request (`api::authn`), since that changes while a connection lives.
///
/// Names no authorities: Go's clients send their certificate only if it fits one of those that the
/// server names, or if it names none, so names that are out of date would lose kube-apiserver's.
#[derive(Debug)]
pub struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Default for AnyClient {
    fn default() -> Self {
        Self { algorithms: ring::default_provider().signature_verification_algorithms }
    }
}

impl ClientCertVerifier for AnyClient {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = intermediates.iter().fold(end_entity.len(), |sum, next| sum + next.len());
        if MOST_CERTIFICATES <= intermediates.len() || MOST_BYTES < bytes {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
