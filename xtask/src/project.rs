//! Where things are.

use std::path::{Path, PathBuf};

use anyhow::Context;
use xshell::{Cmd, Shell};

/// The root of the workspace.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .context("xtask's folder has no parent")
}

/// The cargo that runs us, so that a toolchain chosen by the user stays chosen; without the
/// variables by which it told us about our own package. Build scripts (ring's) look at those, and
/// would run again, with everything above them, whenever `cargo build` and `cargo xtask` take turns.
pub(crate) fn cargo<'a>(shell: &'a Shell, arguments: &[&str]) -> Cmd<'a> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let about_us = std::env::vars_os().map(|(name, _)| name).filter(|name| {
        let name = name.to_string_lossy();
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.starts_with(prefix))
    });
    about_us.fold(shell.cmd(cargo).args(arguments).quiet(), Cmd::env_remove)
}

/// Cargo's output folder.
pub(crate) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
