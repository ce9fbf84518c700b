//! The service map as text, from the JSON of `GET /api/v1/tags/pod`.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use serde::{Deserialize, Serialize};

/// Pods of a namespace with the Services that lead to them.
type Pods = BTreeMap<String, Vec<String>>;

/// What the agent answers, in the names of Datadog's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Metamap {
    /// By the node's name.
    pub nodes: BTreeMap<String, Node>,
    /// What could not be read; empty if nothing.
    pub errors: Option<String>,
    /// What may be missing.
    pub warnings: Option<Vec<String>>,
}

/// The pods of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Node {
    /// By namespace.
    pub services: BTreeMap<String, Pods>,
}

/// As `metamap` prints it, and as it is in a flare.
pub fn text(map: &Metamap) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    _ = write(&mut text, map);
    text
}

fn write(out: &mut String, map: &Metamap) -> fmt::Result {
    const TITLE: &str = "Metadata Mapper";
    let rule = "=".repeat(TITLE.len());
    writeln!(out, "\n{rule}\n{TITLE}\n{rule}\n")?;
    if let Some(error) = map.errors.as_deref().filter(|error| !error.is_empty()) {
        writeln!(out, "The metadata mapper could not run: {error}\n")?;
    }
    let warnings = map.warnings.iter().flatten().collect::<Vec<_>>();
    if !warnings.is_empty() {
        writeln!(out, "Warnings:")?;
        warnings.iter().try_for_each(|warning| writeln!(out, "   - {warning}"))?;
        writeln!(out)?;
    }
    for (node, Node { services }) in &map.nodes {
        writeln!(out, "Node detected: {node}\n")?;
        for (namespace, pods) in services {
            writeln!(out, "  - Namespace: {namespace}")?;
            for (pod, services) in pods {
                writeln!(out, "      - Pod: {pod}")?;
                writeln!(out, "        Services: [{}]", services.join(" "))?;
            }
        }
        writeln!(out)?;
    }
    if map.nodes.is_empty() {
        writeln!(out, "No node with pods behind Services")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_shown_by_node_namespace_and_pod() {
        let json = r#"{"Nodes": {
            "n1": {"services": {"default": {"nginx-1": ["nginx", "web"], "nginx-2": ["nginx"]}}},
            "n2": {"services": {"kube-system": {"dns": ["kube-dns"]}}}},
            "Warnings": ["EndpointSlices are old"], "Errors": ""}"#;
        let map: Metamap = serde_json::from_str(json).unwrap();
        insta::assert_snapshot!(text(&map));
        let map: Metamap = serde_json::from_str(r#"{"Errors": "no rights"}"#).unwrap();
        assert!(text(&map).contains("could not run: no rights\n"));
        let map: Metamap = serde_json::from_str(r#"{"Nodes": {}, "Errors": null}"#).unwrap();
        assert!(text(&map).contains("No node with pods"));
    }
}
