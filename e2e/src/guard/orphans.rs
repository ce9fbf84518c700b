//! Runs whose runner and guard were both killed: what they left, and how it is found and ended.
//!
//! A run's folder says who its runner and its guard are, and has a line for each process that was
//! started. Both are by id and start time, so nothing is ended that is not the run's.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    guard::{Error, Group, Report, STATE_FILE, kept, sweep},
    process::identity::Identity,
};

/// In the folder of a run: who runs it.
const OWNER_FILE: &str = "owner.json";
/// In the folder of a run's logs: a line for each process.
const PROCESSES_FILE: &str = "processes.jsonl";
/// The folder of the logs, in that of the run.
const LOGS: &str = "logs";

#[derive(Debug, Serialize, Deserialize)]
struct Owner {
    runner: Identity,
    guard: Identity,
}

/// Writes down that this process runs what is in `folder`.
pub(super) fn sign(folder: &Path, group: Group) -> io::Result<()> {
    let us = Identity::of_child(std::process::id());
    let runner = us.ok_or_else(|| io::Error::other("this process is not in /proc"))?;
    let text = serde_json::to_string(&Owner { runner, guard: group.guard })?;
    let path = folder.join(OWNER_FILE);
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Adds a process to those of the run whose logs are in `logs`.
pub(crate) fn note(logs: &Path, name: &str, identity: Identity) -> io::Result<()> {
    let mut line = serde_json::to_string(&kept::Kept { name: name.to_owned(), identity })?;
    line.push('\n');
    let path = logs.join(PROCESSES_FILE);
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

/// Ends what is left of runs below `folder`, the system's folder for temporary files, whose runner and
/// guard are gone and that were not kept; removes their folders.
pub fn end_orphans(folder: &Path) -> Result<Vec<Report>, Error> {
    let error = |source| Error::File { attempt: "read", path: folder.to_owned(), source };
    let mut reports = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        if is_orphan(&path) {
            reports.push(kept::end_run(&path, &processes(&path), &[])?);
        }
    }
    Ok(reports)
}

fn is_orphan(folder: &Path) -> bool {
    if !sweep::is_run_folder(folder)
        || !kept::is_our_folder(folder)
        || folder.join(STATE_FILE).exists()
    {
        return false;
    }
    let owner = fs::read_to_string(folder.join(OWNER_FILE)).unwrap_or_default();
    // Without an owner it is one that was just made, or nobody's that we know.
    serde_json::from_str::<Owner>(&owner)
        .is_ok_and(|owner| !owner.runner.is_alive() && !owner.guard.is_alive())
}

fn processes(folder: &Path) -> Vec<kept::Kept> {
    let path: PathBuf = folder.join(LOGS).join(PROCESSES_FILE);
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
