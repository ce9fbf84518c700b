//! kind, and the container runtime that it uses.

use std::{path::PathBuf, time::Duration};

use anyhow::anyhow;

use crate::{
    assets::{self, on_path},
    doctor,
    guard::LastCommand,
};

/// A daemon that does not answer at once is none to start clusters with.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// By which kind is told to use another runtime than docker (kind: pkg/cmd/kind: runtime.go).
pub(crate) const PROVIDER: &str = "KIND_EXPERIMENTAL_PROVIDER";

/// kind with the runtime that answers.
#[derive(Debug, Clone)]
pub struct Tool {
    kind: PathBuf,
    runtime: Runtime,
}

/// What runs kind's nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// `docker` or `podman`.
    pub name: &'static str,
    program: PathBuf,
}

impl Tool {
    /// kind with docker or podman, by which a cluster of this node image can be made; what the doctor
    /// says. The error is one line with the remedy.
    pub async fn find(options: &assets::Options, node_image: &str) -> Result<Self, String> {
        let ready = doctor::kind_ready(options, node_image).await?;
        let (name, program) = (ready.container_program.name(), ready.container_path);
        Ok(Self { kind: ready.kind, runtime: Runtime { name, program } })
    }

    /// The container runtime.
    pub fn container_runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Runs kind, and gives what it prints.
    pub(super) async fn kind(
        &self,
        arguments: impl IntoIterator<Item = impl Into<String>>,
        limit: Duration,
    ) -> anyhow::Result<String> {
        self.command(arguments).run(limit).await.map_err(|error| anyhow!(error))
    }

    /// Runs docker or podman, and gives what it prints.
    pub(super) async fn runtime(
        &self,
        arguments: impl IntoIterator<Item = impl Into<String>>,
        limit: Duration,
    ) -> anyhow::Result<String> {
        self.runtime.run(arguments, limit).await.map_err(|error| anyhow!(error))
    }

    /// Whether the runtime has an image.
    pub(super) async fn has_image(&self, reference: &str) -> bool {
        self.runtime(["image", "inspect", reference], ANSWERS_WITHIN).await.is_ok()
    }

    /// What deletes a cluster.
    pub(super) fn delete(&self, name: &str) -> LastCommand {
        self.command(["delete", "cluster", "--name", name])
    }

    fn command(&self, arguments: impl IntoIterator<Item = impl Into<String>>) -> LastCommand {
        LastCommand::new(&self.kind, arguments).env(PROVIDER, self.runtime.name)
    }
}

impl Runtime {
    /// docker or podman, whichever answers; `KIND_EXPERIMENTAL_PROVIDER` decides where it is set.
    pub async fn find(options: &assets::Options) -> Result<Self, String> {
        let asked = LastCommand::new("kind", ["version"]);
        let wanted = asked.environment.get(PROVIDER);
        let mut said = Vec::new();
        for name in ["docker", "podman"] {
            if wanted.is_some_and(|wanted| wanted != name) {
                continue;
            }
            let Some(program) = on_path(&options.search_path, name) else {
                said.push(format!("there is no program `{name}` in PATH"));
                continue;
            };
            let runtime = Self { name, program };
            match runtime.run(["ps", "--quiet"], ANSWERS_WITHIN).await {
                Ok(_) => return Ok(runtime),
                Err(error) => said.push(error),
            }
        }
        Err(format!("no container daemon answers ({}): start docker or podman", said.join("; ")))
    }

    /// Runs it, and gives what it prints.
    pub(super) async fn run(
        &self,
        arguments: impl IntoIterator<Item = impl Into<String>>,
        limit: Duration,
    ) -> Result<String, String> {
        LastCommand::new(&self.program, arguments).run(limit).await
    }
}
