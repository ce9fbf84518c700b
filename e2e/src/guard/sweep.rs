//! Ending a process group and removing the folder of its run.

use std::{fs, io, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{self, Instant};

use crate::{
    guard::RUN_FOLDER_PREFIX,
    process::identity::{Identity, group_members},
};

/// For what ends in an orderly way: nginx its workers, etcd its files.
const GRACE: Duration = Duration::from_secs(2);
/// For the system to end what got SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(2);
/// Short against the grace, long against a look through `/proc` (about a millisecond).
const POLL: Duration = Duration::from_millis(10);

/// Ends every process of the group that `guard`, the caller, leads.
pub(crate) async fn end_group(guard: i32) {
    let group = Pid::from_raw(guard);
    let _ = group.map(|group| kill_process_group(group, Signal::TERM));
    if !ended(guard, GRACE).await {
        // One by one, since a signal to the group would end the guard before the folders are gone.
        for member in others(guard).unwrap_or_default() {
            let _ = member.signal(Signal::KILL);
        }
        ended(guard, KILL_LIMIT).await;
    }
}

/// Removes the folders, then kills what is left of the group, the guard with it.
pub(crate) fn remove(guard: i32, folders: &[impl AsRef<Path>]) {
    for folder in folders {
        let _ = remove_run_folder(folder.as_ref());
    }
    if !others(guard).is_ok_and(|left| left.is_empty()) {
        let _ = Pid::from_raw(guard).map(|group| kill_process_group(group, Signal::KILL));
    }
}

/// Waits until the guard is alone; `false` when it is not within `limit`.
async fn ended(guard: i32, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    let mut alone = 0;
    while Instant::now() < deadline {
        // Twice in a row: a process that the runner had begun to start, or that forks while
        // `/proc` is read, is not seen the first time.
        alone = if others(guard).is_ok_and(|left| left.is_empty()) { alone + 1 } else { 0 };
        if alone == 2 {
            return true;
        }
        time::sleep(POLL).await;
    }
    false
}

fn others(guard: i32) -> io::Result<Vec<Identity>> {
    let mut members = group_members(guard)?;
    members.retain(|member| member.pid() != guard);
    Ok(members)
}

/// Whether the path is one that a run may have removed.
pub(crate) fn is_run_folder(path: &Path) -> bool {
    let ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(RUN_FOLDER_PREFIX);
    path.is_absolute() && path.file_name().is_some_and(ours)
}

/// Removes the folder of a run; a symbolic link of such a name is left alone.
pub(crate) fn remove_run_folder(path: &Path) -> io::Result<()> {
    if !is_run_folder(path) || !fs::symlink_metadata(path)?.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no folder of a run"));
    }
    fs::remove_dir_all(path)
}
