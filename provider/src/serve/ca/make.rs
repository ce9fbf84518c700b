//! Makes CAs and leaves.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use secrecy::ExposeSecret;

use crate::serve::ca::state::{Authority, Certificate, Leaf};

/// Certificates begin this long ago: clocks differ.
const BACKDATE: Duration = Duration::from_secs(300);
/// The year 3998; dates beyond the year 9999 cannot be written.
const LATEST: u64 = 64_000_000_000;

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("certificate cannot be made: {0}")]
pub struct Error(String);

impl From<rcgen::Error> for Error {
    fn from(error: rcgen::Error) -> Self {
        Self(error.to_string())
    }
}

/// A new CA that signs from `now` on for `life`, with a name of its own.
pub(super) fn authority(now: Timestamp, life: Duration) -> Result<Authority, Error> {
    let key = KeyPair::generate()?;
    let mut params = named(&format!("datadog-cluster-agent CA {}", now.as_millisecond()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lives(&mut params, now, seconds(now).saturating_add(life.as_secs()));
    let made = params.self_signed(&key)?;
    let certificate = Certificate::parse(&made.pem()).map_err(Error)?;
    Authority::new(certificate, key.serialize_pem()).map_err(Error)
}

/// A new serving certificate for `names`, which ends with its CA at the latest.
pub(super) fn leaf(
    ca: &Authority,
    names: &[String],
    now: Timestamp,
    life: Duration,
) -> Result<Leaf, Error> {
    let key = KeyPair::generate()?;
    let mut params = named("datadog-cluster-agent");
    params.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let end = seconds(now).saturating_add(life.as_secs());
    lives(&mut params, now, end.min(seconds(ca.certificate.not_after)));
    let issuer = named(&ca.name);
    let ca_key = KeyPair::from_pem(ca.key.expose_secret())?;
    let made = params.signed_by(&key, &Issuer::from_params(&issuer, ca_key))?;
    let certificate = Certificate::parse(&made.pem()).map_err(Error)?;
    Leaf::new(certificate, key.serialize_pem()).map_err(Error)
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn lives(params: &mut CertificateParams, now: Timestamp, end: u64) {
    let epoch = date_time_ymd(1970, 1, 1);
    let at = |seconds: u64| epoch + Duration::from_secs(seconds.min(LATEST));
    params.not_before = at(seconds(now).saturating_sub(BACKDATE.as_secs()));
    params.not_after = at(end);
}

fn seconds(moment: Timestamp) -> u64 {
    moment.as_second().try_into().unwrap_or(0)
}
