//! The folder of a run and the guard that removes it, whatever becomes of the run.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

use crate::{
    guard::{Guard, LastCommand, RUN_FOLDER_PREFIX, State},
    process::Process,
};

/// This program, which is its own guard.
pub(super) const HARNESS: &str = "e2e";

/// A new folder, which from here on is the guard's to remove; the programs of the harness are in `ours`.
pub(super) async fn guarded(ours: &Path) -> anyhow::Result<(Guard, PathBuf)> {
    let folder = TempDir::with_prefix(RUN_FOLDER_PREFIX).context("folder for the run")?;
    let mut guard = Guard::start(&ours.join(HARNESS)).await?;
    guard.remove_at_the_end(folder.path())?;
    Ok((guard, folder.keep()))
}

/// Sends the guard away and leaves a file by which `down` removes what runs: the processes that were
/// started, and whatever `commands` remove.
pub(super) async fn leave(
    guard: Guard,
    folder: &Path,
    kubeconfig: &Path,
    started: &[Process],
    commands: Vec<LastCommand>,
) -> anyhow::Result<()> {
    let state = State::capture(folder, kubeconfig, guard.group(), started).context("what runs")?;
    State { commands, ..state }.write()?;
    Ok(guard.detach().await?)
}

/// How `down` is called, for people.
pub(super) fn how_to_remove() -> (String, String) {
    ("remove it".to_owned(), "cargo xtask e2e down".to_owned())
}
