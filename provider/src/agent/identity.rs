//! Who the replicas are to each other: whoever knows the token can tell a server that knows it.
//!
//! The key of a CA follows from the token. Each replica signs a certificate of its own with it and
//! serves port 5005 with that. Followers and our commands trust this CA alone, and send the token
//! only after the handshake: so both ends prove that they know it, and a server that does not know
//! it never sees it. Datadog's node agents verify nothing; to them the certificate is any.

use std::{net::SocketAddr, num::NonZeroU32, sync::Arc, time::Duration};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, date_time_ymd,
};
use ring::pbkdf2;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use secrecy::zeroize::Zeroize;
use tokio::{sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::token::Token,
    serve::tls::{
        self, Certificates, Pair,
        metrics::{Expiry, Which},
    },
};

/// The name that every replica's certificate is for, whatever address leads to it.
pub const NAME: &str = "datadog-cluster-agent";
/// The other names: our own commands reach the agent of their machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long a certificate lives; it is replaced after two thirds of that.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Certificates begin this long ago: clocks differ.
const BACKDATE: Duration = Duration::from_secs(300);
/// The pause after a certificate that could not be made.
const AGAIN: Duration = Duration::from_secs(60);
/// A stranger gets the certificate, whose signature tells right guesses of the token from wrong
/// ones. That guess costs as much as OWASP asks for passwords; a random token needs none of it.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("is not zero");
/// Another one makes other keys: replicas that differ in it do not know each other.
const SALT: &[u8] = b"datadog-cluster-agent replica authority 1";
/// An Ed25519 private key in PKCS #8 (RFC 8410), up to its 32 bytes.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// rcgen's words.
    #[error("certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// rustls' words.
    #[error("certificate cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    /// What was made cannot be served.
    #[error(transparent)]
    Serve(#[from] tls::Error),
    /// The client for it cannot be made.
    #[error("client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// The CA of a token.
#[derive(Debug)]
pub struct Authority {
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The same for the same token, always. Takes a good tenth of a second, on purpose.
    pub fn derive(token: &Token) -> Result<Self, Error> {
        let mut document = [0; PKCS8.len() + 32];
        let (head, seed) = document.split_at_mut(PKCS8.len());
        head.copy_from_slice(&PKCS8);
        let secret = token.expose().as_bytes();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, ITERATIONS, SALT, secret, seed);
        let der = PrivatePkcs8KeyDer::from(document.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519);
        document.zeroize();
        let key = key?;
        let certificate = Self::params().self_signed(&key)?.der().clone();
        Ok(Self { key, certificate })
    }

    fn params() -> CertificateParams {
        let mut params = named("datadog-cluster-agent replicas");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // It lives as long as the token does.
        (params.not_before, params.not_after) =
            (date_time_ymd(2000, 1, 1), date_time_ymd(3000, 1, 1));
        params
    }

    /// A certificate for this replica with a new key, from `now` on.
    pub fn leaf(&self, now: Timestamp) -> Result<Pair, Error> {
        let key = KeyPair::generate()?;
        let mut params = named(NAME);
        let names: Vec<String> = [NAME].into_iter().chain(LOCAL).map(str::to_owned).collect();
        params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = Duration::from_secs(now.as_second().try_into().unwrap_or(0));
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + now.saturating_sub(BACKDATE);
        params.not_after = epoch + (now + LIFE);
        let issuer = Self::params();
        let made = params.signed_by(&key, &Issuer::from_params(&issuer, &self.key))?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(Pair::new(vec![made.der().clone()], key)?)
    }

    /// Trusts the servers that know the token, and nobody else.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// For a client of servers that know `token`: it trusts them alone. The name to ask for is
/// [`NAME`], whatever the address.
pub async fn client_config(token: &Token) -> Result<Arc<ClientConfig>, Error> {
    derive(token).await?.client_config()
}

/// An HTTP client of the replica at `address`. Its URLs begin with `https://datadog-cluster-agent/`;
/// each leads to `address`. It follows no redirects and uses no proxy.
pub fn http_client(config: &ClientConfig, address: SocketAddr) -> Result<reqwest::Client, Error> {
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(config.clone())
        .resolve(NAME, address)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    Ok(client.build()?)
}

/// Off the threads that serve requests.
async fn derive(token: &Token) -> Result<Authority, Error> {
    let token = token.clone();
    match tokio::task::spawn_blocking(move || Authority::derive(&token)).await {
        Ok(derived) => derived,
        // The runtime is shutting down, or the task panicked; rcgen has no word for either.
        Err(_) => Err(rcgen::Error::RingUnspecified.into()),
    }
}

/// What other replicas are reached with.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Verifies, by the name [`NAME`], that a server knows the token.
    pub tls: Arc<ClientConfig>,
    /// Sent only after that.
    pub token: Token,
}

/// The certificate and the trust to begin with; [`keep`] replaces them.
pub async fn start(token: &Token, expiry: Expiry) -> Result<(Certificates, Trust), Error> {
    let (pair, trust) = both(token).await?;
    Ok((Certificates::of(pair, Which::Agent, expiry), trust))
}

async fn both(token: &Token) -> Result<(Pair, Trust), Error> {
    let authority = derive(token).await?;
    let trust = Trust { tls: authority.client_config()?, token: token.clone() };
    Ok((authority.leaf(Timestamp::now())?, trust))
}

/// Serves a new certificate when the token changes and before the old one ends, and trusts whoever
/// knows the new token, until `stop`.
pub async fn keep(
    certificates: Arc<Certificates>,
    trust: watch::Sender<Trust>,
    mut tokens: watch::Receiver<Token>,
    stop: CancellationToken,
) {
    let keep = async {
        let mut rest = LIFE * 2 / 3;
        loop {
            match timeout(rest, tokens.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                // Nobody can change it any more, but time passes.
                Ok(Err(_)) => tokio::time::sleep(rest).await,
            }
            let token = tokens.borrow_and_update().clone();
            rest = match both(&token).await {
                Ok((pair, trusted)) => {
                    trust.send_replace(trusted);
                    tracing::info!(until = %pair.not_after, %token, "new certificate for replicas");
                    certificates.serve(pair);
                    LIFE * 2 / 3
                }
                Err(error) => {
                    tracing::warn!(%error, "new certificate for replicas failed, trying again");
                    AGAIN
                }
            };
        }
    };
    stop.run_until_cancelled(keep).await;
}

#[cfg(test)]
mod tests;
