//! The sample adapter of custom-metrics-apiserver, which is what to compare with (`go/main.go`).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// One of its two hard-coded metrics of this name.
pub(crate) const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/\
                               my-external-metric?labelSelector=foo%3Dbar";

/// Where Go is: on the path, or where it is installed by hand.
const GO: &str = "go";

/// The program, built if need be; the first time takes minutes.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    Command::new(GO).arg("version").output().context("Go is not installed")?;
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sample-adapter");
    let mut build = Command::new(GO);
    build.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/api/go"));
    build.args(["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&program);
    let done = build.output()?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr).into_owned();
        bail!("`go build` failed: {}", errors.lines().last().unwrap_or_default());
    }
    Ok(program)
}

/// How to start it.
pub(crate) fn command(program: &Path, port: u16, kubeconfig: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for flag in ["lister-kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"] {
        command.arg(format!("--{flag}={}", kubeconfig.display()));
    }
    command.args([format!("--secure-port={port}"), "--bind-address=127.0.0.1".to_owned()]);
    command.arg(format!("--cert-dir={}", folder.display())).current_dir(folder);
    command
}
