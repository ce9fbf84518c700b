//! Archives into those who run containers.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, bail};
use tokio::process::Command;

/// Programs that load a docker archive with the same words, the better known first.
const ENGINES: [&str; 2] = ["docker", "podman"];

/// Loads `archives` into docker, or into podman where there is no docker.
pub(crate) async fn into_docker(archives: &[PathBuf]) -> anyhow::Result<()> {
    for engine in ENGINES {
        match Command::new(engine).arg("version").stdout(Stdio::null()).status().await {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot run {engine}")),
            Ok(status) if !status.success() => {
                bail!("{engine} is here and its daemon does not answer, see above: start it")
            }
            Ok(_) => {
                for archive in archives {
                    let mut command = Command::new(engine);
                    succeed(command.args(["load", "--quiet", "--input"]).arg(archive), archive)
                        .await?;
                }
                return Ok(());
            }
        }
    }
    bail!("--docker needs docker or podman, neither is on the PATH: install one, or leave it out")
}

/// Loads `archives` into the nodes of the kind cluster `name`.
pub(crate) async fn into_kind(name: &str, archives: &[PathBuf]) -> anyhow::Result<()> {
    for archive in archives {
        let mut command = Command::new("kind");
        command.args(["load", "image-archive", "--name", name]).arg(archive);
        succeed(&mut command, archive).await?;
    }
    Ok(())
}

async fn succeed(command: &mut Command, archive: &Path) -> anyhow::Result<()> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let status = match command.status().await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{program} is not on the PATH: install it, or leave its option out")
        }
        other => other.with_context(|| format!("cannot run {program}"))?,
    };
    if !status.success() {
        bail!("{program} did not load {}, see above", archive.display());
    }
    Ok(())
}
