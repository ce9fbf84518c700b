//! What a program was linked from, as a CycloneDX bill of materials.
//!
//! ```text
//! cargo tree ─▶ graph ─┐
//! Cargo.lock ─▶ lock  ─┼─▶ wire: CycloneDX 1.5
//! the binary ─▶ facts ─┘
//! ```
//!
//! `cargo tree` and not `cargo metadata`: only it leaves out what other members of the workspace,
//! tests and build scripts need. No serial number and no time but the commit's: the same commit gives
//! the same bytes.

mod facts;
mod graph;
mod lock;
#[cfg(test)]
mod tests;
mod wire;

use std::{ffi::OsString, fs, path::Path};

use anyhow::{Context, bail};
use jiff::Timestamp;
use tokio::process::Command;

use crate::image::{
    Product,
    sbom::{graph::Graph, lock::Checksums},
};

/// The bill of materials of a program that was built for `triple` in the current folder.
pub(crate) async fn sbom(
    product: Product,
    triple: &str,
    binary: &[u8],
    created: Timestamp,
) -> anyhow::Result<Vec<u8>> {
    let lock = Path::new("Cargo.lock");
    let lock = fs::read_to_string(lock)
        .with_context(|| format!("cannot read {}: run in the checkout", lock.display()))?;
    let graph = Graph::parse(&cargo_tree(product, triple).await?)?;
    let graph = graph.reachable_from(product.package())?;
    let facts = facts::read(binary);
    wire::document(&graph, &Checksums::parse(&lock), &facts, created)
}

/// Normal dependencies for `triple` with the features that the build had; a procedural macro runs in
/// the compiler and is not linked.
async fn cargo_tree(product: Product, triple: &str) -> anyhow::Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(["tree", "--locked", "--target", triple]);
    command.args([
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "depth",
        "--format",
        graph::FORMAT,
    ]);
    for package in product.built_with() {
        command.args(["--package", package]);
    }
    let output = command.output().await.context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("what cargo tree printed is not UTF-8")
}
