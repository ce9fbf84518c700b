//! Whose word on certificates counts, and what the front proxy's headers are called.

use rustls::pki_types::{CertificateDer, TrustAnchor, pem, pem::PemObject};
use x509_parser::{
    certificate::{Validity, X509Certificate},
    parse_x509_certificate,
};

use crate::api::authn::headers;

/// What certificates are judged by. The default trusts nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Grows with each change, so that what was judged by an older one is judged again.
    pub generation: u64,
    /// Whether it has been read; until then nobody knows who is to be trusted.
    pub known: bool,
    /// The authorities for front proxies, which may speak for anyone; none where the cluster has no
    /// aggregation layer.
    pub front_proxy: Roots,
    /// Which names front proxies may have.
    pub allowed: Allowed,
    /// The authorities for users; none where the cluster has no client certificates.
    pub client: Roots,
    /// The headers that a front proxy says its user in.
    pub headers: headers::Names,
}

/// The common names that a front proxy's certificate may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Allowed {
    /// None: what is allowed could not be read.
    #[default]
    Nobody,
    /// Any, if its authority vouches for it: the list is empty.
    Anyone,
    /// One of these.
    Only(Vec<String>),
}

impl Allowed {
    /// Whether a certificate of this common name is allowed.
    pub fn contains(&self, common_name: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Anyone => true,
            Self::Only(names) => names.iter().any(|name| name == common_name),
        }
    }
}

/// Certificate authorities that may vouch for clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots(Vec<Root>);

/// An anchor of `rustls-webpki` knows no time, but Go refuses an authority that has expired.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    anchor: TrustAnchor<'static>,
    times: Times,
}

/// The seconds since 1970 in which a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    not_before: i64,
    not_after: i64,
}

/// Why a bundle of certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadBundle {
    /// It is no PEM.
    #[error("not PEM: {0}")]
    Pem(#[from] pem::Error),
    /// There is no certificate in it.
    #[error("holds no certificate")]
    Empty,
    /// One of its certificates cannot be read.
    #[error("certificate {0} cannot be read")]
    Certificate(usize),
}

impl Roots {
    /// The authorities in a PEM bundle, and the numbers (from 1) of certificates in it that may sign
    /// no client's certificate, which are left out.
    ///
    /// As in Go one that cannot be read spoils the bundle.
    pub fn from_pem(bundle: &str) -> Result<(Self, Vec<usize>), BadBundle> {
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(bundle.as_bytes()).collect::<Result<_, _>>()?;
        if certificates.is_empty() {
            return Err(BadBundle::Empty);
        }
        let (mut roots, mut unfit) = (Vec::new(), Vec::new());
        for (number, der) in (1..).zip(&certificates) {
            let (_, certificate) =
                parse_x509_certificate(der).map_err(|_| BadBundle::Certificate(number))?;
            let anchor = webpki::anchor_from_trusted_cert(der)
                .map_err(|_| BadBundle::Certificate(number))?;
            if may_sign(&certificate) {
                let times = Times::of(certificate.validity());
                roots.push(Root { anchor: anchor.to_owned(), times });
            } else {
                unfit.push(number);
            }
        }
        Ok((Self(roots), unfit))
    }

    /// Whether there are none: no certificate is judged then.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that are valid at a time in seconds since 1970.
    pub(super) fn at(&self, now: i64) -> Vec<TrustAnchor<'static>> {
        let valid = self.0.iter().filter(|root| root.times.contains(now));
        valid.map(|root| root.anchor.clone()).collect()
    }

    /// The seconds from which on one of them is valid, or is not any more.
    pub(super) fn changes(&self) -> impl Iterator<Item = i64> {
        self.0.iter().flat_map(|root| root.times.changes())
    }
}

impl Times {
    pub(super) fn of(validity: &Validity) -> Self {
        Self {
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        }
    }

    fn contains(self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    pub(super) fn changes(self) -> [i64; 2] {
        [self.not_before, self.not_after.saturating_add(1)]
    }
}

/// Whether a certificate may vouch for a client's. `rustls-webpki` does not ask this of its anchors,
/// and does not look at the key usage; Go does (`crypto/x509`, `CheckSignatureFrom` and
/// `checkChainForKeyUsage`).
pub(super) fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let (Ok(constraints), Ok(usage), Ok(extended)) = (
        certificate.basic_constraints(),
        certificate.key_usage(),
        certificate.extended_key_usage(),
    ) else {
        return false;
    };
    // Version 1 has no extensions to say it with.
    let is_old = certificate.version().0 == 0;
    let is_authority = constraints.map_or(is_old, |constraints| constraints.value.ca);
    is_authority
        && usage.is_none_or(|usage| usage.value.key_cert_sign())
        && extended.is_none_or(|extended| extended.value.client_auth || extended.value.any)
}
