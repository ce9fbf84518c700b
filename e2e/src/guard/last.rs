//! A command that is run when a run is over, however it ended.

use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time::timeout};

use crate::process::last_line;

/// A kind cluster is gone after a second or two; a namespace with pods may take two minutes.
pub(super) const LIMIT: Duration = Duration::from_secs(180);

/// Variables by which docker, podman, kind and clients of a cluster find what they need; nothing else is handed on, because a
/// run that is kept writes its commands to a file.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "CONTAINER_HOST",
    "XDG_RUNTIME_DIR",
    "KIND_EXPERIMENTAL_PROVIDER",
    "KIND_EXPERIMENTAL_DOCKER_NETWORK",
    "KUBECONFIG",
];

/// A program with what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCommand {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
}

impl LastCommand {
    /// A command with the part of this process's environment that docker and its like look at.
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "handed on to other programs")]
        let value = |name: &str| std::env::var(name).ok();
        let environment = ENVIRONMENT
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), value(name)?)))
            .collect();
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, environment }
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Runs it to its end and gives what it wrote to standard output; an error has the command and
    /// the last line that it wrote to standard error.
    pub async fn run(&self, limit: Duration) -> Result<String, String> {
        let shown = format!("{} {}", self.program.display(), self.arguments.join(" "));
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(limit, command.output())
            .await
            .map_err(|_| format!("`{shown}` did not end within {}", limit.as_secs()))?
            .map_err(|error| format!("cannot run `{shown}`: {error}"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = last_line(&output.stderr).unwrap_or_default();
        Err(format!("`{shown}` failed ({}): {said}", output.status))
    }
}
