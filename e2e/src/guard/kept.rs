//! Runs that were kept: what they left, and how it is removed.

use std::{
    fmt, fs, io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::process::{Signal, geteuid};
use serde::{Deserialize, Serialize};
use tokio::time::{self, Instant};

use crate::{
    guard::{Error, Group, LastCommand, last, on_own_runtime, sweep},
    process::{
        Process,
        identity::{Identity, group_members, program_name},
    },
};

/// The file in the folder of a kept run.
pub const STATE_FILE: &str = "state.json";

/// For an orderly end of every process together; the data is disposable.
const GRACE: Duration = Duration::from_secs(3);
/// For the system to end what got SIGKILL.
const KILL_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// What a kept run left running, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The run's folder, which holds the state file.
    pub folder: PathBuf,
    /// When the run was kept.
    pub created_at: Timestamp,
    /// How `kubectl` reaches the cluster.
    pub kubeconfig: PathBuf,
    /// Every process of the run, in the order of their start as far as it is known.
    pub processes: Vec<Kept>,
    /// What removes the rest, such as the containers of a kind cluster.
    #[serde(default)]
    pub commands: Vec<LastCommand>,
}

/// A process that was left running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its name in the run; for a child of such a process, the program's name.
    pub name: String,
    /// Its process id and start time: both must match, or it is not this process any more.
    #[serde(flatten)]
    pub identity: Identity,
}

impl State {
    /// What runs now: the processes that the run started and the other members of its group
    /// (nginx's workers), without the guard.
    pub fn capture(
        folder: &Path,
        kubeconfig: &Path,
        group: Group,
        started: &[Process],
    ) -> io::Result<Self> {
        let named = started
            .iter()
            .filter(|process| process.identity().is_alive())
            .map(|process| Kept { name: process.name().to_owned(), identity: process.identity() });
        let mut processes: Vec<_> = named.collect();
        for identity in group_members(group.id())? {
            let known = processes.iter().any(|kept| kept.identity == identity);
            if !known && identity != group.guard {
                let name = program_name(identity.pid()).unwrap_or_else(|| "unknown".to_owned());
                processes.push(Kept { name, identity });
            }
        }
        let (folder, kubeconfig) = (folder.to_owned(), kubeconfig.to_owned());
        Ok(Self {
            folder,
            created_at: Timestamp::now(),
            kubeconfig,
            processes,
            commands: Vec::new(),
        })
    }

    /// Writes the state file into the run's folder and gives its path.
    pub fn write(&self) -> Result<PathBuf, Error> {
        let path = self.folder.join(STATE_FILE);
        let error =
            |source: io::Error| Error::File { attempt: "write", path: path.clone(), source };
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(error)?;
        serde_json::to_writer_pretty(file, self).map_err(|source| error(source.into()))?;
        Ok(path)
    }

    fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|source| Error::File {
            attempt: "read",
            path: path.to_owned(),
            source,
        })?;
        let state: Self = serde_json::from_str(&text)
            .map_err(|source| Error::State { path: path.to_owned(), source })?;
        if path.parent() != Some(&state.folder) || !sweep::is_run_folder(&state.folder) {
            return Err(Error::NotOurs(state.folder));
        }
        Ok(state)
    }
}

/// What was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The run's folder, which is gone.
    pub folder: PathBuf,
    /// Names of the processes that were ended.
    pub ended: Vec<String>,
    /// Names of those that had ended before, or whose id belongs to another process now.
    pub gone: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folder, ended, gone) = (self.folder.display(), &self.ended, &self.gone);
        write!(f, "removed {folder}; ended {} processes", ended.len())?;
        if !ended.is_empty() {
            write!(f, " ({})", ended.join(", "))?;
        }
        if !gone.is_empty() {
            write!(f, "; had ended before: {}", gone.join(", "))?;
        }
        Ok(())
    }
}

/// The runs that were kept in `folder`, the system's folder for temporary files, oldest first.
/// Folders of other users are not looked at: their state files could name our processes.
pub fn list_kept(folder: &Path) -> Result<Vec<State>, Error> {
    let error = |source| Error::File { attempt: "read", path: folder.to_owned(), source };
    let mut kept = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let state_file = path.join(STATE_FILE);
        if sweep::is_run_folder(&path) && is_our_folder(&path) && state_file.is_file() {
            kept.push(State::read(&state_file)?);
        }
    }
    kept.sort_by_key(|state| state.created_at);
    Ok(kept)
}

pub(super) fn is_our_folder(path: &Path) -> bool {
    // Not following a link: the folder itself must be ours.
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == geteuid().as_raw())
}

/// Ends the processes of a kept run that are still the ones of then (SIGTERM, then SIGKILL), and
/// removes its folder. Blocks for some seconds at most.
pub fn down(state: &State) -> Result<Report, Error> {
    end_run(&state.folder, &state.processes, &state.commands)
}

/// Ends processes, runs commands, and removes the folder of their run.
pub(super) fn end_run(
    folder: &Path,
    processes: &[Kept],
    commands: &[LastCommand],
) -> Result<Report, Error> {
    let io = |source| Error::File { attempt: "remove", path: folder.to_owned(), source };
    let work = async {
        let ended = end(processes).await?;
        for command in commands {
            command.run(last::LIMIT).await.map_err(Error::Command)?;
        }
        Ok(ended)
    };
    let (ended, gone) = on_own_runtime(work).map_err(io)??;
    sweep::remove_run_folder(folder).map_err(io)?;
    Ok(Report { folder: folder.to_owned(), ended, gone })
}

async fn end(processes: &[Kept]) -> Result<(Vec<String>, Vec<String>), Error> {
    let (mut ended, mut gone, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for process in processes {
        // Also a worker that its master has just ended counts as ended here, not as gone before.
        if process.identity.is_alive() {
            left.push(process);
            ended.push(process.name.clone());
        } else {
            gone.push(process.name.clone());
        }
    }
    for (sent, limit) in [(Signal::TERM, GRACE), (Signal::KILL, KILL_LIMIT)] {
        for process in &left {
            process.identity.signal(sent).map_err(|source| process.error(source))?;
        }
        let deadline = Instant::now() + limit;
        while !left.is_empty() && Instant::now() < deadline {
            left.retain(|process| process.identity.is_alive());
            time::sleep(POLL).await;
        }
    }
    match left.first() {
        Some(process) => Err(process.error(io::ErrorKind::TimedOut.into())),
        None => Ok((ended, gone)),
    }
}

impl Kept {
    fn error(&self, source: io::Error) -> Error {
        Error::Process { name: self.name.clone(), pid: self.identity.pid(), source }
    }
}
