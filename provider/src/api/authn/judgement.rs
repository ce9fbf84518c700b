//! What the chain of a connection proves.

use std::{ops::Range, time::Duration};

use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId,
    KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
};
use x509_parser::parse_x509_certificate;

use crate::api::{
    authn::{
        subject::Subject,
        trust::{Roots, Times, Trust, may_sign},
    },
    peer::MOST_CERTIFICATES,
    user::User,
};

/// What a chain proves by one trust. It costs signatures, so a connection keeps it.
///
/// With the same trust another outcome is possible only when one of the certificates becomes valid
/// or expires. The judgement holds between two such moments, so an expired certificate is found by
/// comparing numbers.
#[derive(Debug)]
pub(crate) struct Judgement {
    generation: u64,
    /// Seconds since 1970.
    times: Range<i64>,
    /// Whether it is a front proxy; false where there are no authorities for one.
    pub(super) front_proxy: Result<bool, String>,
    /// Which user it is; nobody where there are no authorities for users, or it has no name.
    pub(super) client: Result<Option<User>, String>,
}

impl Judgement {
    /// Judges `chain` by `trust`, `now` being seconds since 1970.
    pub(super) fn of(chain: &[CertificateDer<'_>], trust: &Trust, now: i64) -> Self {
        let mut changes: Vec<i64> = trust.front_proxy.changes().collect();
        changes.extend(trust.client.changes());
        let (front_proxy, client) = match Shown::read(chain) {
            Ok(shown) => {
                changes.extend(shown.times.iter().flat_map(|times| times.changes()));
                (shown.front_proxy(trust, now), shown.client(trust, now))
            }
            Err(reason) => (Err(reason.clone()), Err(reason)),
        };
        let from = changes.iter().copied().filter(|change| *change <= now).max();
        let until = changes.iter().copied().filter(|change| now < *change).min();
        let times = from.unwrap_or(i64::MIN)..until.unwrap_or(i64::MAX);
        Self { generation: trust.generation, times, front_proxy, client }
    }

    /// Whether the chain must not be judged again.
    pub(super) fn holds(&self, generation: u64, now: i64) -> bool {
        self.generation == generation && self.times.contains(&now)
    }
}

/// A chain that can be read.
struct Shown<'a> {
    own: &'a CertificateDer<'a>,
    subject: Subject,
    /// Those of the others that may vouch for it.
    issuers: Vec<CertificateDer<'a>>,
    times: Vec<Times>,
}

impl<'a> Shown<'a> {
    fn read(chain: &'a [CertificateDer<'a>]) -> Result<Self, String> {
        let (own, others) = chain.split_first().ok_or("there is none")?;
        // The ways through n certificates that could all have signed each other are n!.
        if MOST_CERTIFICATES < chain.len() {
            return Err(format!(
                "its chain has {} certificates, more than {MOST_CERTIFICATES}",
                chain.len()
            ));
        }
        let (_, certificate) =
            parse_x509_certificate(own).map_err(|_| "it cannot be read".to_owned())?;
        let mut shown = Self {
            own,
            subject: Subject::read(certificate.subject())?,
            issuers: Vec::new(),
            times: vec![Times::of(certificate.validity())],
        };
        for other in others {
            let Ok((_, certificate)) = parse_x509_certificate(other) else { continue };
            if may_sign(&certificate) {
                shown.issuers.push(CertificateDer::from(other.as_ref()));
                shown.times.push(Times::of(certificate.validity()));
            }
        }
        Ok(shown)
    }

    fn front_proxy(&self, trust: &Trust, now: i64) -> Result<bool, String> {
        if trust.front_proxy.is_empty() {
            return Ok(false);
        }
        self.verify(&trust.front_proxy, now)?;
        let name = &self.subject.common_name;
        if trust.allowed.contains(name) {
            Ok(true)
        } else {
            Err(format!("its common name {name:?} is not among the allowed names"))
        }
    }

    fn client(&self, trust: &Trust, now: i64) -> Result<Option<User>, String> {
        if trust.client.is_empty() {
            return Ok(None);
        }
        self.verify(&trust.client, now)?;
        self.subject.user(self.own)
    }

    fn verify(&self, roots: &Roots, now: i64) -> Result<(), String> {
        let now_or_1970 = Duration::from_secs(now.try_into().unwrap_or(0));
        let anchors = roots.at(now);
        let verify = || {
            EndEntityCert::try_from(self.own)?.verify_for_usage(
                ALL_VERIFICATION_ALGS,
                &anchors,
                &self.issuers,
                UnixTime::since_unix_epoch(now_or_1970),
                ForClients,
                None,
                None,
            )?;
            Ok(())
        };
        verify().map_err(|error| why(&error))
    }
}

/// The usage that all certificates of a chain must allow, if they limit it: clients, or any. The one
/// of `rustls-webpki` does not know the latter, Go does.
struct ForClients;

impl ExtendedKeyUsageValidator for ForClients {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        /// 1.3.6.1.5.5.7.3.2
        const CLIENT: KeyPurposeId<'static> = KeyPurposeId::new(&[43, 6, 1, 5, 5, 7, 3, 2]);
        /// 2.5.29.37.0
        const ANY: KeyPurposeId<'static> = KeyPurposeId::new(&[85, 29, 37, 0]);
        let mut present = Vec::new();
        for usage in usages {
            let usage = usage?;
            if usage == CLIENT || usage == ANY {
                return Ok(());
            }
            present.push(usage.to_decoded_oid());
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = KeyUsage::client_auth();
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
            required,
            present,
        }))
    }
}

fn why(error: &webpki::Error) -> String {
    use webpki::Error;
    let why = match error {
        Error::UnknownIssuer => "none of the authorities has signed it",
        Error::InvalidSignatureForPublicKey => "its signature is not that of an authority",
        Error::CertExpired { .. } => "it has expired",
        Error::CertNotValidYet { .. } => "it is not valid yet",
        Error::RequiredEkuNotFoundContext(_) => "its extended key usage is not that of a client",
        Error::CaUsedAsEndEntity => "it is an authority itself",
        Error::UnsupportedCertVersion => "it is not of X.509 version 3",
        other => return format!("it cannot be verified: {other:?}"),
    };
    why.to_owned()
}
