//! The keys and certificates of one embedded cluster, made for it and gone with it.
//!
//! Two authorities, as Kubernetes asks for: one for clients and servers of the cluster, one for the
//! aggregator (the front proxy), so that a provider which trusted the wrong one would be found out.
//! Source: <https://kubernetes.io/docs/setup/best-practices/certificates/>. The authorities' private
//! keys never leave the memory of this process; no private key is ever logged.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use jiff::{ToSpan, Zoned, civil::Date};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

pub mod issuer;

/// The common name by which the aggregator is known to the provider
/// (`--requestheader-allowed-names`).
pub const FRONT_PROXY_NAME: &str = "front-proxy-client";
/// The first address of the Services' range: that of the Service `kubernetes`.
pub const KUBERNETES_SERVICE_IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Names of the apiserver inside of a cluster.
const APISERVER_NAMES: [&str; 4] =
    ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
/// Members may do everything, without any binding (`system:masters`).
const MASTERS: Option<&str> = Some("system:masters");

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate could not be made.
    #[error("cannot make the certificate of {name}")]
    Certificate {
        /// Whose certificate.
        name: String,
        /// What the generator said.
        #[source]
        source: rcgen::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A certificate and its private key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key (PKCS #8), readable by its owner only.
    pub key: PathBuf,
}

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pki {
    /// The cluster's authority.
    pub ca: PathBuf,
    /// Serves kube-apiserver, and on loopback kube-controller-manager and kube-scheduler too.
    pub serving: Pair,
    /// `e2e-admin` of `system:masters`: the harness and people.
    pub admin: Pair,
    /// `system:kube-controller-manager`.
    pub controller_manager: Pair,
    /// `system:kube-scheduler`.
    pub scheduler: Pair,
    /// `kwok` of `system:masters`: it plays all kubelets at once, which no built-in role allows,
    /// and it is no part of what is tested.
    pub kwok: Pair,
    /// The aggregator's authority.
    pub front_proxy_ca: PathBuf,
    /// [`FRONT_PROXY_NAME`].
    pub front_proxy: Pair,
    /// Signs the tokens of service accounts; `certificate` holds the public key.
    pub service_account: Pair,
}

impl Pki {
    /// Makes everything (ECDSA P-256) and writes it into `folder`, which is made and must be new.
    pub fn create(folder: &Path) -> Result<Self, Error> {
        let files = Files(folder);
        files.make()?;
        let cluster = authority("e2e-cluster-ca")?;
        let front = authority("e2e-front-proxy-ca")?;
        Ok(Self {
            ca: files.write("ca.crt", &cluster.pem())?,
            serving: files.issue(&cluster, "apiserver", &serving()?)?,
            admin: files.issue(&cluster, "admin", &client("e2e-admin", MASTERS))?,
            controller_manager: files.issue(
                &cluster,
                "kube-controller-manager",
                &client("system:kube-controller-manager", None),
            )?,
            scheduler: files.issue(
                &cluster,
                "kube-scheduler",
                &client("system:kube-scheduler", None),
            )?,
            kwok: files.issue(&cluster, "kwok", &client("kwok", MASTERS))?,
            front_proxy_ca: files.write("front-proxy-ca.crt", &front.pem())?,
            front_proxy: files.issue(&front, "front-proxy", &client(FRONT_PROXY_NAME, None))?,
            service_account: files.key_pair("service-account")?,
        })
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Result<Authority, Error> {
    let mut params = subject(name, None);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let key = KeyPair::generate().map_err(of(name))?;
    CertifiedIssuer::self_signed(params, key).map_err(of(name))
}

fn serving() -> Result<CertificateParams, Error> {
    let ips = [Ipv4Addr::LOCALHOST, KUBERNETES_SERVICE_IP];
    server("kube-apiserver", &ips, &APISERVER_NAMES)
}

fn server(
    subject_name: &str,
    ips: &[Ipv4Addr],
    names: &[&str],
) -> Result<CertificateParams, Error> {
    let mut params = subject(subject_name, None);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for ip in ips {
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(*ip)));
    }
    for name in names.iter().copied() {
        let dns = name.try_into().map_err(of(name))?;
        params.subject_alt_names.push(SanType::DnsName(dns));
    }
    Ok(params)
}

/// For Kubernetes the common name is the user and the organization a group.
fn client(user: &str, group: Option<&str>) -> CertificateParams {
    let mut params = subject(user, group);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn subject(name: &str, organization: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(organization) = organization {
        params.distinguished_name.push(DnType::OrganizationName, organization);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    // From yesterday, for clocks that differ, to a year from now, for clusters that are kept.
    let midnight = |date: Date| {
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let today = Zoned::now().date();
    params.not_before = midnight(today.saturating_sub(1.day()));
    params.not_after = midnight(today.saturating_add(1.year()));
    params
}

fn of(name: &str) -> impl FnOnce(rcgen::Error) -> Error {
    let name = name.to_owned();
    move |source| Error::Certificate { name, source }
}

/// Writes into a folder that only its owner can read.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn make(&self) -> Result<(), Error> {
        DirBuilder::new()
            .mode(0o700)
            .create(self.0)
            .map_err(|source| Error::Write { path: self.0.to_owned(), source })
    }

    fn issue(&self, by: &Authority, file: &str, params: &CertificateParams) -> Result<Pair, Error> {
        let key = KeyPair::generate().map_err(of(file))?;
        let certificate = params.signed_by(&key, by).map_err(of(file))?;
        self.pair(file, &certificate.pem(), &key)
    }

    /// A key pair without a certificate.
    fn key_pair(&self, file: &str) -> Result<Pair, Error> {
        let key = KeyPair::generate().map_err(of(file))?;
        self.pair(file, &key.public_key_pem(), &key)
    }

    fn pair(&self, file: &str, public: &str, key: &KeyPair) -> Result<Pair, Error> {
        Ok(Pair {
            certificate: self.write(&format!("{file}.crt"), public)?,
            key: self.write(&format!("{file}.key"), &key.serialize_pem())?,
        })
    }

    fn write(&self, file: &str, pem: &str) -> Result<PathBuf, Error> {
        let path = self.0.join(file);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(pem.as_bytes()))
            .map_err(|source| Error::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests;
