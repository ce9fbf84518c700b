//! The files of an image.

use pem::{EncodeConfig, LineEnding, Pem};

use crate::image::{Product, layer::Entry};

/// Who the programs run as: `nonroot`, as in distroless images and in our manifests.
pub(crate) const USER: u32 = 65532;

/// What every image has: who we are, whom TLS trusts, how names are resolved, room for a file.
pub(crate) fn base() -> Vec<Entry> {
    vec![
        Entry::file("etc/group", 0o644, format!("root:x:0:\nnonroot:x:{USER}:\n")),
        Entry::file(
            "etc/passwd",
            0o644,
            format!(
                "root:x:0:0:root:/:/sbin/nologin\n\
                 nonroot:x:{USER}:{USER}:nonroot:/home/nonroot:/sbin/nologin\n"
            ),
        ),
        // Else glibc asks a DNS server for `localhost` before it looks into /etc/hosts.
        Entry::file("etc/nsswitch.conf", 0o644, "hosts: files dns\n"),
        // Where Go, OpenSSL and rustls-native-certs look on Debian and Alpine.
        Entry::file("etc/ssl/certs/ca-certificates.crt", 0o644, certificate_authorities()),
        Entry { owner: USER, ..Entry::folder("home/nonroot", 0o700) },
        Entry::folder("tmp", 0o1777),
    ]
}

/// The program with its other names, and what it was linked from, where scanners of images find it.
pub(crate) fn program(product: Product, binary: Vec<u8>, sbom: Vec<u8>) -> Vec<Entry> {
    let mut entries = vec![
        Entry::file(format!("usr/local/bin/{}", product.program()), 0o755, binary),
        Entry::file(format!("usr/local/share/sbom/{}.cdx.json", product.name()), 0o644, sbom),
    ];
    let links = product.links().iter();
    entries.extend(links.map(|&(path, to)| Entry::link(path, to)));
    entries
}

/// Mozilla's list, from a crate, so that Cargo.lock pins it.
fn certificate_authorities() -> String {
    let certificates: Vec<_> = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|certificate| Pem::new("CERTIFICATE", certificate.as_ref()))
        .collect();
    pem::encode_many_config(&certificates, EncodeConfig::new().set_line_ending(LineEnding::LF))
}
