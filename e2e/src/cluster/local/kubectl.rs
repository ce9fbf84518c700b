//! kubectl, as people use it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::Context;
use tempfile::TempDir;
use tokio::{process::Command, time};

/// A command that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// kubectl as one user.
#[derive(Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    /// It keeps there what discovery has said.
    home: TempDir,
}

/// What it printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Whether its exit code was zero.
    pub success: bool,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Kubectl {
    /// With what it knows in `home`, which goes with it.
    pub fn new(program: &Path, kubeconfig: &Path, home: TempDir) -> Self {
        Self { program: program.to_owned(), kubeconfig: kubeconfig.to_owned(), home }
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let output = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = time::timeout(LIMIT, output).await.context("kubectl hangs")?;
        let output = output.with_context(|| format!("cannot run {}", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said {
            success: output.status.success(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        })
    }
}

impl Said {
    /// What it printed, if it succeeded; else what it complained about.
    pub fn good(self) -> Result<String, String> {
        if self.success { Ok(self.out) } else { Err(self.err.trim().to_owned()) }
    }
}
