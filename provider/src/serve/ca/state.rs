//! What the Secret holds: the CA, its leaf, and while the CA is replaced the one after or before.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::serve::tls::{self, Pair};

/// The data of a Secret.
pub type Data = BTreeMap<String, ByteString>;

/// A certificate with its text, which is stored and published as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// PEM, one certificate.
    pub pem: String,
    /// The same.
    pub der: CertificateDer<'static>,
    /// Its end.
    pub not_after: Timestamp,
}

/// A CA with which certificates can be signed.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its certificate, signed by itself.
    pub certificate: Certificate,
    /// The common name of its subject.
    pub name: String,
    /// PEM.
    pub key: SecretString,
}

/// A serving certificate.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate.
    pub certificate: Certificate,
    /// PEM.
    pub key: SecretString,
    /// The DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// As it is served.
    pub pair: Pair,
}

/// A CA that is to sign when everybody trusts it.
#[derive(Debug, Clone)]
pub struct Next {
    /// The CA.
    pub authority: Authority,
    /// Since when it has been seen in the APIService without interruption.
    pub published: Option<Timestamp>,
}

/// A CA that signs no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its certificate.
    pub certificate: Certificate,
    /// The end of what it signed last.
    pub until: Timestamp,
}

/// Everything in the Secret.
#[derive(Debug, Clone)]
pub struct State {
    /// The CA that signs.
    pub ca: Authority,
    /// What is served; absent where the Secret's is none of this CA.
    pub leaf: Option<Leaf>,
    /// The CA after this one.
    pub next: Option<Next>,
    /// The CA before this one.
    pub previous: Option<Previous>,
}

const LEAF: (&str, &str) = ("tls.crt", "tls.key");
const CA: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next-ca.crt", "next-ca.key");
const NEXT_PUBLISHED: &str = "next-ca.published";
const PREVIOUS: &str = "previous-ca.crt";
const PREVIOUS_UNTIL: &str = "previous-ca.until";

impl State {
    /// What `data` holds, as far as it can be used, and what cannot. Without a CA the rest is of no
    /// use.
    pub fn parse(data: &Data) -> (Option<Self>, Vec<String>) {
        let mut unusable = Vec::new();
        let ca = note(Authority::parse(data, CA), &mut unusable);
        let state = ca.map(|ca| Self {
            leaf: note(Leaf::parse(data, &ca), &mut unusable),
            next: present(data, NEXT.0).then(|| note(Next::parse(data), &mut unusable)).flatten(),
            previous: present(data, PREVIOUS)
                .then(|| note(Previous::parse(data), &mut unusable))
                .flatten(),
            ca,
        });
        (state, unusable)
    }

    /// The Secret's data that says the same.
    pub fn data(&self) -> Data {
        let mut data = Data::new();
        let mut put = |key: &str, text: &str| {
            data.insert(key.to_owned(), ByteString(text.as_bytes().to_vec()));
        };
        if let Some(leaf) = &self.leaf {
            put(LEAF.0, &leaf.certificate.pem);
            put(LEAF.1, leaf.key.expose_secret());
        }
        put(CA.0, &self.ca.certificate.pem);
        put(CA.1, self.ca.key.expose_secret());
        if let Some(Next { authority, published }) = &self.next {
            put(NEXT.0, &authority.certificate.pem);
            put(NEXT.1, authority.key.expose_secret());
            if let Some(published) = published {
                put(NEXT_PUBLISHED, &published.to_string());
            }
        }
        if let Some(Previous { certificate, until }) = &self.previous {
            put(PREVIOUS, &certificate.pem);
            put(PREVIOUS_UNTIL, &until.to_string());
        }
        data
    }

    /// The certificates to trust: that of the CA, and of those after and before it.
    pub fn bundle(&self) -> String {
        let next = self.next.as_ref().map(|next| &next.authority.certificate);
        let previous = self.previous.as_ref().map(|previous| &previous.certificate);
        let all = [Some(&self.ca.certificate), next, previous];
        all.into_iter().flatten().map(|certificate| certificate.pem.as_str()).collect()
    }
}

fn note<T>(part: Result<T, String>, unusable: &mut Vec<String>) -> Option<T> {
    part.map_err(|error| unusable.push(error)).ok()
}

fn present(data: &Data, key: &str) -> bool {
    data.get(key).is_some_and(|value| !value.0.is_empty())
}

fn text<'a>(data: &'a Data, key: &str) -> Result<&'a str, String> {
    let value = data.get(key).ok_or_else(|| format!("{key} is missing"))?;
    std::str::from_utf8(&value.0).map_err(|_| format!("{key} is no text"))
}

impl Certificate {
    /// The first certificate of a PEM text.
    pub fn parse(pem: &str) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|it| it.to_string())?;
        let not_after = tls::not_after(&der).map_err(|it| it.to_string())?;
        Ok(Self { pem: pem.to_owned(), der, not_after })
    }

    fn of(data: &Data, key: &str) -> Result<Self, String> {
        Self::parse(text(data, key)?).map_err(|error| format!("{key}: {error}"))
    }

    /// Whether a client that trusts nothing but `ca` accepts this one.
    fn is_signed_by(&self, ca: &Self) -> Result<(), webpki::Error> {
        let anchor = webpki::anchor_from_trusted_cert(&ca.der)?;
        let leaf = webpki::EndEntityCert::try_from(&self.der)?;
        // Whether it has ended already is another question, so this asks for its last second.
        let moment = self.not_after.as_second().saturating_sub(1).try_into().unwrap_or(0);
        leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &[anchor],
            &[],
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(moment)),
            webpki::KeyUsage::server_auth(),
            None,
            None,
        )
        .map(|_| ())
    }
}

impl Authority {
    fn parse(data: &Data, keys: (&str, &str)) -> Result<Self, String> {
        let key = text(data, keys.1)?;
        Self::new(Certificate::of(data, keys.0)?, key.to_owned())
            .map_err(|error| format!("{} with {}: {error}", keys.0, keys.1))
    }

    /// Fails where the key is not that of the certificate, or the certificate is that of no CA.
    pub fn new(certificate: Certificate, key: String) -> Result<Self, String> {
        let pair = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|it| it.to_string())?;
        Pair::new(vec![certificate.der.clone()], pair).map_err(|it| it.to_string())?;
        let (_, parsed) =
            X509Certificate::from_der(&certificate.der).map_err(|it| it.to_string())?;
        if !parsed.is_ca() {
            return Err("not the certificate of a CA".to_owned());
        }
        let name = parsed.subject().iter_common_name().next().and_then(|it| it.as_str().ok());
        let name = name.ok_or("its subject has no common name")?.to_owned();
        Ok(Self { certificate, name, key: key.into() })
    }
}

impl Leaf {
    fn parse(data: &Data, ca: &Authority) -> Result<Self, String> {
        let certificate = Certificate::of(data, LEAF.0)?;
        let key = text(data, LEAF.1)?.to_owned();
        let leaf = Self::new(certificate, key)
            .map_err(|error| format!("{} with {}: {error}", LEAF.0, LEAF.1))?;
        let signed = leaf.certificate.is_signed_by(&ca.certificate);
        signed.map_err(|error| format!("{} is not signed by {}: {error}", LEAF.0, CA.0))?;
        Ok(leaf)
    }

    /// Fails where the key is not that of the certificate.
    pub fn new(certificate: Certificate, key: String) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|it| it.to_string())?;
        let pair = Pair::new(vec![certificate.der.clone()], der).map_err(|it| it.to_string())?;
        let names = names(&certificate.der)?;
        Ok(Self { certificate, key: key.into(), names, pair })
    }
}

fn names(certificate: &CertificateDer<'_>) -> Result<Vec<String>, String> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|it| it.to_string())?;
    let names = parsed.subject_alternative_name().map_err(|it| it.to_string())?;
    let names = names.iter().flat_map(|names| &names.value.general_names);
    Ok(names.filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

impl Next {
    fn parse(data: &Data) -> Result<Self, String> {
        let authority = Authority::parse(data, NEXT)?;
        let published =
            present(data, NEXT_PUBLISHED).then(|| moment(data, NEXT_PUBLISHED)).transpose()?;
        Ok(Self { authority, published })
    }
}

impl Previous {
    fn parse(data: &Data) -> Result<Self, String> {
        let certificate = Certificate::of(data, PREVIOUS)?;
        Ok(Self { certificate, until: moment(data, PREVIOUS_UNTIL)? })
    }
}

fn moment(data: &Data, key: &str) -> Result<Timestamp, String> {
    text(data, key)?.parse().map_err(|error| format!("{key}: {error}"))
}
