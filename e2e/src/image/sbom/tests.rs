use cyclonedx_bom::{models::bom::Bom, validation::Validate};

use super::*;
use crate::image::sbom::graph::Id;

const TREE: &str = "\
0provider v0.1.0 (/somewhere/provider)\tApache-2.0\t
1anyhow v1.0.104\tMIT OR Apache-2.0\thttps://github.com/dtolnay/anyhow
1kube v5.0.0\tApache-2.0\thttps://github.com/kube-rs/kube
2anyhow v1.0.104\tMIT OR Apache-2.0\thttps://github.com/dtolnay/anyhow
2old v0.9.34+deprecated\tMIT/Apache-2.0\t
1kube v5.0.0\tApache-2.0\thttps://github.com/kube-rs/kube (*)

0e2e v0.1.0 (/somewhere/e2e)\tApache-2.0\t
1indicatif v0.18.6\tMIT\thttps://github.com/console-rs/indicatif
";

const LOCK: &str = r#"
version = 4

[[package]]
name = "anyhow"
version = "1.0.104"
source = "registry+somewhere"
checksum = "4e1496f8fb1fbf272686b8d37f523dab3e4a7443300055e74cdaa449f3114356"

[[package]]
name = "provider"
version = "0.1.0"
dependencies = [
 "anyhow",
]
"#;

const BINARY: &[u8] =
    b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0rustc version 1.95.0 (5)\0";

fn id(name: &str, version: &str) -> Id {
    Id { name: name.to_owned(), version: version.to_owned() }
}

fn document() -> Vec<u8> {
    let graph = Graph::parse(TREE).unwrap().reachable_from("provider").unwrap();
    let created = Timestamp::from_second(1_790_000_000).unwrap();
    wire::document(&graph, &Checksums::parse(LOCK), &facts::read(BINARY), created).unwrap()
}

#[test]
fn a_tree_is_cut_down_to_what_one_program_needs() {
    let graph = Graph::parse(TREE).unwrap().reachable_from("provider").unwrap();
    assert_eq!(graph.root, id("provider", "0.1.0"));
    assert_eq!(graph.packages.len(), 4);
    let kube = &graph.packages[&id("kube", "5.0.0")];
    assert_eq!(kube.needs.len(), 2, "{kube:?}");
    assert_eq!(kube.repository, "https://github.com/kube-rs/kube");
    assert_eq!(graph.packages[&id("old", "0.9.34+deprecated")].licence, "MIT OR Apache-2.0");
}

#[test]
fn a_line_that_is_none_of_a_tree_is_shown() {
    let error = Graph::parse("0provider\n").unwrap_err().to_string();
    assert!(error.contains(r#""0provider""#), "{error}");
    assert!(Graph::parse(TREE).unwrap().reachable_from("nginx").is_err());
}

#[test]
fn only_packages_of_a_registry_have_checksums() {
    let checksums = Checksums::parse(LOCK);
    assert!(checksums.of(&id("anyhow", "1.0.104")).is_some_and(|sum| sum.starts_with("4e14")));
    assert_eq!(checksums.of(&id("provider", "0.1.0")), None);
}

#[test]
fn a_binary_names_the_libraries_that_no_crate_is() {
    let facts = facts::read(BINARY);
    let facts: Vec<_> = facts.iter().map(|fact| (fact.name, fact.version.as_str())).collect();
    assert_eq!(facts, [("rust-std", "1.95.0"), ("glibc", "2.36")]);
    assert!(facts::read(b"nothing of the kind").is_empty());
}

#[test]
fn the_document_is_as_shown() {
    insta::assert_snapshot!(String::from_utf8(document()).unwrap());
}

#[test]
fn the_document_is_valid_in_the_eyes_of_cyclonedx_itself() {
    let bom = Bom::parse_from_json_v1_5(document().as_slice()).unwrap();
    let result = bom.validate();
    assert!(result.passed(), "{result:?}");
    assert_eq!(bom.components.unwrap().0.len(), 5);
}
