use std::{collections::BTreeMap, fmt::Write as _, io::Read as _, path::Path};

use flate2::read::GzDecoder;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::image::{
    blob::sha256,
    layer::{Entry, Layer},
};

fn origin() -> Origin {
    Origin {
        revision: Some("f2d7e24".to_owned()),
        created: Timestamp::from_second(1_790_000_000).unwrap(),
    }
}

fn image(platform: Platform) -> Image {
    let program = Program { binary: b"static".to_vec(), sbom: b"{}".to_vec() };
    Image::new(Product::ClusterAgent, platform, program, &origin()).unwrap()
}

fn files(tar: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.insert(entry.path().unwrap().to_str().unwrap().to_owned(), bytes);
    }
    files
}

fn unpacked(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(layer.blob.bytes()).read_to_end(&mut tar).unwrap();
    tar
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn references_are_those_of_the_manifests() {
    assert_eq!(
        Product::ALL.map(Product::reference),
        [
            "datadog-external-metrics/cluster-agent:0.1.0",
            "datadog-external-metrics/fake-datadog:0.1.0",
            "datadog-external-metrics/e2e:0.1.0",
        ]
    );
    for product in Product::ALL {
        assert_eq!(product.archive(), format!("{}.docker.tar", product.name()));
        assert_eq!(product.oci_archive(), format!("{}.oci.tar", product.name()));
    }
}

#[test]
fn the_files_of_an_image_are_as_shown() {
    let mut listed = String::new();
    for layer in &image(Platform::Amd64).layers {
        let tar = unpacked(layer);
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 1_790_000_000);
            let (mode, owner) = (header.mode().unwrap(), header.uid().unwrap());
            assert_eq!(owner, header.gid().unwrap());
            let path = entry.path().unwrap();
            let to = header.link_name().unwrap();
            let to = to.map(|to| format!(" -> {}", to.display())).unwrap_or_default();
            writeln!(listed, "{mode:04o} {owner:>5} {}{to}", path.display()).unwrap();
        }
    }
    insta::assert_snapshot!(listed);
}

/// A link to nothing would only be noticed in a pod.
#[test]
fn links_lead_to_the_program() {
    for product in Product::ALL {
        let program = Path::new("usr/local/bin").join(product.program());
        for (path, to) in product.links() {
            let mut place = Path::new(path).parent().unwrap().to_owned();
            for part in Path::new(to) {
                if part == ".." {
                    place.pop();
                } else {
                    place.push(part);
                }
            }
            assert_eq!(place, program, "{path}");
        }
    }
}

#[test]
fn the_configuration_is_as_shown() {
    let mut config = json(image(Platform::Arm64).config.bytes());
    config["rootfs"]["diff_ids"][0] = "(changes with the list of certificate authorities)".into();
    insta::assert_json_snapshot!(config);
}

#[test]
fn a_manifest_refers_to_what_is_there() {
    let image = image(Platform::Amd64);
    let manifest = json(image.manifest.bytes());
    let blobs = [&image.config, &image.layers[0].blob, &image.layers[1].blob];
    let named = [&manifest["config"], &manifest["layers"][0], &manifest["layers"][1]];
    for (blob, named) in blobs.iter().zip(named) {
        assert_eq!(named["digest"], format!("sha256:{}", sha256(blob.bytes()).unwrap()));
        assert_eq!(named["size"], blob.size());
    }
    let config = json(image.config.bytes());
    for (layer, diff_id) in
        image.layers.iter().zip(config["rootfs"]["diff_ids"].as_array().unwrap())
    {
        assert_eq!(*diff_id, format!("sha256:{}", sha256(&unpacked(layer)).unwrap()));
    }
}

#[test]
fn a_docker_archive_has_what_its_manifest_names() {
    let files = files(&docker_archive(&image(Platform::Amd64)).unwrap());
    let manifest = &json(&files["manifest.json"])[0];
    assert_eq!(manifest["RepoTags"][0], Product::ClusterAgent.reference());
    assert_eq!(json(&files[manifest["Config"].as_str().unwrap()])["architecture"], "amd64");
    let layers = manifest["Layers"].as_array().unwrap();
    assert!(layers.iter().all(|layer| files.contains_key(layer.as_str().unwrap())), "{manifest}");
    assert_eq!(files.len(), 2 + layers.len());
}

#[test]
fn a_layout_for_one_platform_names_its_image() {
    let image = image(Platform::Amd64);
    let (archive, digest) = oci_archive(std::slice::from_ref(&image)).unwrap();
    assert_eq!(digest, image.digest());
    let named = &json(&files(&archive)["index.json"])["manifests"][0];
    assert_eq!(named["digest"], image.digest());
    assert_eq!(named["platform"]["architecture"], "amd64");
    let annotations = &named["annotations"];
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "0.1.0");
    assert_eq!(
        annotations["io.containerd.image.name"],
        "docker.io/datadog-external-metrics/cluster-agent:0.1.0"
    );
}

#[test]
fn a_layout_for_two_platforms_names_an_index_of_them() {
    let images = [image(Platform::Amd64), image(Platform::Arm64)];
    let (archive, digest) = oci_archive(&images).unwrap();
    let files = files(&archive);
    assert_eq!(json(&files["index.json"])["manifests"][0]["digest"], digest);
    let index = json(&files[&format!("blobs/{}", digest.replace(':', "/"))]);
    for (image, named) in images.iter().zip(index["manifests"].as_array().unwrap()) {
        assert_eq!(named["digest"], image.digest());
        assert!(files.contains_key(&format!("blobs/sha256/{}", image.manifest.hex())));
    }
    // The layer with the certificate authorities is there once.
    let layers: usize = images.iter().map(|image| image.layers.len()).sum();
    let blobs = files.keys().filter(|path| path.starts_with("blobs/sha256/")).count();
    assert_eq!(blobs, 1 + layers - 2 + 2 * images.len() + 1, "{:?}", files.keys());
}

#[test]
fn certificate_authorities_are_many_and_of_today() {
    let tar = unpacked(&image(Platform::Amd64).layers[0]);
    let bundle = &files(&tar)["etc/ssl/certs/ca-certificates.crt"];
    let certificates = pem::parse_many(bundle).unwrap();
    assert!(certificates.len() > 100, "{}", certificates.len());
    assert!(certificates.iter().all(|certificate| certificate.tag() == "CERTIFICATE"));
}

proptest! {
    /// Whatever the order in which files come, and however often a folder is named.
    #[test]
    fn property_test_a_layer_depends_on_its_files_alone(
        paths in proptest::collection::btree_set("[a-c]{1,2}(/[a-c]{1,2}){0,2}\\.f", 0..12)
            .prop_map(Vec::from_iter)
            .prop_shuffle(),
        created in 0_u64..4_000_000_000,
    ) {
        let entries: Vec<_> =
            paths.iter().map(|path| Entry::file(path, 0o644, path.as_bytes())).collect();
        let mut sorted = entries.clone();
        sorted.sort_by(|one, other| one.path.cmp(&other.path));
        let layer = Layer::new(entries, created).unwrap();
        prop_assert_eq!(&layer, &Layer::new(sorted, created).unwrap());

        let tar = unpacked(&layer);
        let mut seen: Vec<String> = Vec::new();
        for entry in tar::Archive::new(tar.as_slice()).entries().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            prop_assert_eq!(entry.header().mtime().unwrap(), created);
            prop_assert!(!seen.contains(&path), "{} is there twice", path);
            // A folder comes before what is in it, as some that unpack need.
            if let Some((parent, _)) = path.trim_end_matches('/').rsplit_once('/') {
                prop_assert!(seen.contains(&format!("{parent}/")), "{} is not there", parent);
            }
            seen.push(path);
        }
        for path in &paths {
            prop_assert!(seen.contains(path));
        }
    }
}
