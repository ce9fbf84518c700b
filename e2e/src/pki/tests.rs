use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::WebPkiClientVerifier,
    sign::CertifiedKey,
};

use crate::pki::{Error, Pair, Pki, issuer::Issuer};

fn created() -> (tempfile::TempDir, Pki) {
    let folder = tempfile::tempdir().unwrap();
    let pki = Pki::create(&folder.path().join("pki")).unwrap();
    (folder, pki)
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

fn trusting(ca: &Path) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(ca)).unwrap();
    Arc::new(roots)
}

/// Fails unless the key belongs to the certificate.
fn load(pair: &Pair) -> CertifiedKey {
    let provider = rustls::crypto::ring::default_provider();
    let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
    CertifiedKey::from_der(vec![certificate(&pair.certificate)], key, &provider).unwrap()
}

fn accepts_client(ca: &Path, pair: &Pair) -> bool {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(trusting(ca), provider).build().unwrap();
    let certificate = &load(pair).cert[0].clone();
    verifier.verify_client_cert(certificate, &[], UnixTime::now()).is_ok()
}

#[test]
fn every_client_is_trusted_by_the_cluster_only() {
    let (_folder, pki) = created();
    for pair in [&pki.admin, &pki.controller_manager, &pki.scheduler, &pki.kwok] {
        assert!(accepts_client(&pki.ca, pair), "{pair:?}");
        assert!(!accepts_client(&pki.front_proxy_ca, pair), "{pair:?}");
    }
}

#[test]
fn the_front_proxy_is_trusted_by_its_own_authority_only() {
    let (_folder, pki) = created();
    assert!(accepts_client(&pki.front_proxy_ca, &pki.front_proxy));
    assert!(!accepts_client(&pki.ca, &pki.front_proxy));
}

#[test]
fn the_serving_certificate_is_for_every_name_of_the_apiserver_and_for_no_client() {
    let (_folder, pki) = created();
    let pair = load(&pki.serving);
    let certificate = rustls::server::ParsedCertificate::try_from(&pair.cert[0]).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    rustls::client::verify_server_cert_signed_by_trust_anchor(
        &certificate,
        &trusting(&pki.ca),
        &[],
        UnixTime::now(),
        provider.signature_verification_algorithms.all,
    )
    .unwrap();
    for name in ["127.0.0.1", "10.0.0.1", "localhost", "kubernetes.default.svc"] {
        let name = ServerName::try_from(name).unwrap();
        rustls::client::verify_server_name(&certificate, &name).unwrap();
    }
    let other = ServerName::try_from("127.0.0.2").unwrap();
    assert!(rustls::client::verify_server_name(&certificate, &other).is_err());
    assert!(!accepts_client(&pki.ca, &pki.serving));
}

#[test]
fn files_are_for_their_owner_only() {
    let (folder, _pki) = created();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("pki")), 0o700);
    let files: Vec<_> = fs::read_dir(folder.path().join("pki")).unwrap().collect();
    assert_eq!(files.len(), 16, "two authorities, seven pairs");
    for file in files {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_folder_that_exists_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = Pki::create(folder.path()).unwrap_err();
    assert!(matches!(&error, Error::Write { path, .. } if path == folder.path()), "{error}");
}

#[test]
fn another_authority_signs_for_itself_only_and_its_pair_can_take_a_place() {
    let (folder, pki) = created();
    let issuer = Issuer::new(&folder.path().join("second"), "second-ca").unwrap();
    let pair = issuer.client("front-proxy", "front-proxy-client").unwrap();
    assert!(accepts_client(&issuer.file(), &pair));
    assert!(!accepts_client(&pki.front_proxy_ca, &pair));
    pki.front_proxy.replace_by(&pair).unwrap();
    assert!(accepts_client(&issuer.file(), &pki.front_proxy));
    let mode = fs::metadata(&pki.front_proxy.key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
