//! The document: <https://cyclonedx.org/docs/1.5/json/>.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::image::sbom::{
    facts::Fact,
    graph::{Graph, Id, Package},
    lock::Checksums,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata {
    timestamp: String,
    component: Component,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Licence>,
    purl: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<ExternalReference>,
}

#[derive(Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Serialize)]
struct Licence {
    expression: String,
}

#[derive(Serialize)]
struct ExternalReference {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    depends_on: BTreeSet<String>,
}

/// The document as JSON, for people too.
pub(crate) fn document(
    graph: &Graph,
    checksums: &Checksums,
    facts: &[Fact],
    created: Timestamp,
) -> anyhow::Result<Vec<u8>> {
    let library = |(id, package)| component("library", id, package, checksums);
    let others = graph.packages.iter().filter(|(id, _)| **id != graph.root);
    let root = graph.packages.get(&graph.root).cloned().unwrap_or_default();
    let linked = facts.iter().map(|fact| reference("generic", fact.name, &fact.version));
    let dependencies = graph.packages.iter().map(|(id, package)| {
        let mut depends_on: BTreeSet<_> = package.needs.iter().map(crate_reference).collect();
        if *id == graph.root {
            depends_on.extend(linked.clone());
        }
        Dependency { reference: crate_reference(id), depends_on }
    });
    let document = Document {
        bom_format: "CycloneDX",
        spec_version: "1.5",
        version: 1,
        metadata: Metadata {
            timestamp: created.to_string(),
            component: component("application", &graph.root, &root, checksums),
        },
        components: others.map(library).chain(facts.iter().map(outside_of_cargo)).collect(),
        dependencies: dependencies.collect(),
    };
    let mut json = serde_json::to_vec_pretty(&document)?;
    json.push(b'\n');
    Ok(json)
}

fn component(kind: &'static str, id: &Id, package: &Package, checksums: &Checksums) -> Component {
    let known = |text: &String| !text.is_empty();
    let hash = checksums.of(id).map(|sum| Hash { alg: "SHA-256", content: sum.to_owned() });
    let licence = Some(package.licence.clone()).filter(known);
    let repository = Some(package.repository.clone()).filter(known);
    Component {
        kind,
        reference: crate_reference(id),
        name: id.name.clone(),
        version: id.version.clone(),
        hashes: hash.into_iter().collect(),
        licenses: licence.map(|expression| Licence { expression }).into_iter().collect(),
        purl: crate_reference(id),
        external_references: repository
            .map(|url| ExternalReference { kind: "vcs", url })
            .into_iter()
            .collect(),
    }
}

fn outside_of_cargo(fact: &Fact) -> Component {
    let reference = reference("generic", fact.name, &fact.version);
    Component {
        kind: "library",
        reference: reference.clone(),
        name: fact.name.to_owned(),
        version: fact.version.clone(),
        hashes: Vec::new(),
        licenses: vec![Licence { expression: fact.licence.to_owned() }],
        purl: reference,
        external_references: Vec::new(),
    }
}

/// A package URL, <https://github.com/package-url/purl-spec>.
fn reference(kind: &str, name: &str, version: &str) -> String {
    // Of the characters that versions have, only this one must be escaped.
    format!("pkg:{kind}/{name}@{}", version.replace('+', "%2B"))
}

fn crate_reference(id: &Id) -> String {
    reference("cargo", &id.name, &id.version)
}
