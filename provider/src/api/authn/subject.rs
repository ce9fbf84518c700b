//! Who a certificate is about.

use std::collections::BTreeMap;

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::{
    der_parser::{Oid, oid},
    oid_registry::{OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME},
    x509::X509Name,
};

use crate::{api::user::User, hex::hex};

/// Kubernetes' own attribute for a user's UID (`k8s.io/apimachinery/pkg/apis/asn1/oid.go`).
const UID: Oid<'static> = oid!(1.3.6.1.4.1.57683.2);
/// `CredentialIDKey` of `k8s.io/apiserver/pkg/authentication/user`.
const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";

/// What Kubernetes reads in the subject of a certificate.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    /// Of several the last, as in Go; empty where there is none.
    pub common_name: String,
    organisations: Vec<String>,
    uids: Vec<String>,
}

impl Subject {
    /// Fails where one of the attributes that matter is no text: half a subject is another's.
    pub(super) fn read(name: &X509Name<'_>) -> Result<Self, String> {
        let mut subject = Self::default();
        for attribute in name.iter_attributes() {
            let oid = attribute.attr_type();
            let known = [OID_X509_COMMON_NAME, OID_X509_ORGANIZATION_NAME, UID].contains(oid);
            if !known {
                continue;
            }
            let text = attribute
                .as_str()
                .map_err(|_| format!("attribute {oid} of its subject is no text"))?
                .to_owned();
            if *oid == OID_X509_COMMON_NAME {
                subject.common_name = text;
            } else if *oid == UID {
                subject.uids.push(text);
            } else {
                subject.organisations.push(text);
            }
        }
        Ok(subject)
    }

    /// `CommonNameUserConversion` of `k8s.io/apiserver/pkg/authentication/request/x509`: the user of
    /// `certificate`, or nobody where it has no common name.
    pub(super) fn user(&self, certificate: &CertificateDer<'_>) -> Result<Option<User>, String> {
        if self.common_name.is_empty() {
            return Ok(None);
        }
        let uid = match &self.uids[..] {
            [] => String::new(),
            [uid] if !uid.is_empty() => uid.clone(),
            [_] => return Err("the UID in its subject is empty".to_owned()),
            _ => return Err("there are several UIDs in its subject".to_owned()),
        };
        Ok(Some(User {
            name: self.common_name.clone(),
            uid,
            groups: self.organisations.clone(),
            extra: BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![credential_id(certificate)])]),
        }))
    }
}

fn credential_id(certificate: &CertificateDer<'_>) -> String {
    format!("X509SHA256={}", hex(&Sha256::digest(certificate)))
}
