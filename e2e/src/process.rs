//! Child processes of a run: started into the guard's group, logged to a file, watched, stopped.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    process::{Child, Command},
    sync::watch,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::guard::{self, Group};

pub mod identity;
mod signals;

use identity::Identity;

/// How often readiness is asked for: a start is measured in tenths of a second.
const PROBE_INTERVAL: Duration = Duration::from_millis(20);
/// Lines of its log that an error about a process shows.
const TAIL_LINES: usize = 12;
/// A log's last bytes among which its last lines are looked for.
const TAIL_BYTES: u64 = 64 * 1024;

/// Why a process could not be started or is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is missing, not executable, or for another kind of machine.
    #[error("cannot start {name}: {}", program.display())]
    Start {
        /// The process's name in this run.
        name: String,
        /// The program file.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log file could not be made.
    #[error("cannot write the log of a process to {}", path.display())]
    Log {
        /// The log file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no guard that would end the process when this run is gone.
    #[error("{name} was not started: the guard of this run has ended, so nothing would end it")]
    Unguarded {
        /// The process's name in this run.
        name: String,
    },
    /// The process ended although it should serve until it is stopped.
    #[error("{name} ended by itself ({status}); its log {} ends with:\n{tail}", log.display())]
    Ended {
        /// The process's name in this run.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// Its whole output.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
    /// The process runs, but its probe did not succeed in time.
    #[error(
        "{name} was not ready within {}: {reason}; its log {} ends with:\n{tail}",
        humantime::format_duration(*limit),
        log.display()
    )]
    NotReady {
        /// The process's name in this run.
        name: String,
        /// How long was waited.
        limit: Duration,
        /// What the last probe said.
        reason: String,
        /// Its whole output.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

impl Launch {
    /// `name` is unique in the run and names the log file; `program` is a path (`PATH` is not
    /// searched).
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            folder: None,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more variable. There are no others: what happens to be set on a machine (proxies,
    /// kubeconfigs, Datadog's keys) must not change what a run sees.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Where it runs; by default in the folder of the logs.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }
}

/// Starts the processes of a run.
#[derive(Debug)]
pub struct Processes {
    group: Group,
    logs: PathBuf,
    /// A std lock: held for a push or a clone only, never across an await.
    started: Mutex<Vec<Process>>,
}

impl Processes {
    /// Everything will be started into `group`, with its output in `logs`, which is made.
    pub fn new(group: Group, logs: impl Into<PathBuf>) -> Result<Self, Error> {
        let logs = logs.into();
        fs::create_dir_all(&logs).map_err(|source| Error::Log { path: logs.clone(), source })?;
        Ok(Self { group, logs, started: Mutex::default() })
    }

    /// The folder with one `NAME.log` for each process.
    pub fn logs(&self) -> &Path {
        &self.logs
    }

    /// Every process that was started, in that order, also those that have ended.
    pub fn started(&self) -> Vec<Process> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts a process. It outlives the returned handle: it ends by [`Process::stop`], by itself,
    /// or when the guard ends the group. Needs a tokio runtime.
    pub fn spawn(&self, launch: Launch) -> Result<Process, Error> {
        let log = self.logs.join(format!("{}.log", launch.name));
        let child = self.start(&launch, &log)?;
        let identity = child.id().and_then(Identity::of_child);
        // Asked after the start: a guard that is alive now has the new process in its group.
        let (Some(identity), true) = (identity, self.group.is_guarded()) else {
            drop(abandon(child));
            return Err(Error::Unguarded { name: launch.name });
        };
        if let Err(source) = guard::note(&self.logs, &launch.name, identity) {
            drop(abandon(child));
            return Err(Error::Log { path: self.logs.clone(), source });
        }
        let (sender, exit) = watch::channel(None);
        tokio::spawn(reap(child, sender));
        let process = Process {
            name: launch.name.into(),
            identity,
            started: Instant::now(),
            log,
            exit,
            told_to_end: CancellationToken::new(),
        };
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(process.clone());
        Ok(process)
    }

    fn start(&self, launch: &Launch, log: &Path) -> Result<Child, Error> {
        let (stdout, stderr) =
            open_log(log).map_err(|source| Error::Log { path: log.to_owned(), source })?;
        Command::new(&launch.program)
            .args(&launch.args)
            .env_clear()
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .current_dir(launch.folder.as_ref().unwrap_or(&self.logs))
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(self.group.id())
            .spawn()
            .map_err(|source| Error::Start {
                name: launch.name.clone(),
                program: launch.program.clone(),
                source,
            })
    }
}

/// Appends, so that a process that is started again continues the log of its predecessor.
fn open_log(path: &Path) -> io::Result<(File, File)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    Ok((file.try_clone()?, file))
}

/// Waits for the child, so that it does not stay a zombie, and tells how it ended.
async fn reap(mut child: Child, exit: watch::Sender<Option<ExitStatus>>) {
    match child.wait().await {
        Ok(status) => drop(exit.send_replace(Some(status))),
        Err(error) => tracing::error!(%error, "cannot wait for a child process"),
    }
}

/// Ends a child that must not be left running.
fn abandon(mut child: Child) -> io::Result<()> {
    child.start_kill()
}

// === impl Process ===

/// A process of the run. Cloning it is cheap; dropping it leaves the process running.
#[derive(Debug, Clone)]
pub struct Process {
    name: Arc<str>,
    identity: Identity,
    started: Instant,
    log: PathBuf,
    exit: watch::Receiver<Option<ExitStatus>>,
    told_to_end: CancellationToken,
}

impl Process {
    /// Its name in this run.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id and start time.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The file with its output.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Waits until it has ended, by itself or by [`Process::stop`].
    pub async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|status| *status);
        match ended {
            Some(status) => status,
            // The task that waits is gone, so the runtime is about to end.
            None => std::future::pending().await,
        }
    }

    /// Waits until it has ended and says so as an error, for a process that should not end.
    pub async fn ended(&self) -> Error {
        let status = self.wait().await;
        Error::Ended {
            name: self.name.to_string(),
            status,
            log: self.log.clone(),
            tail: self.log_tail(TAIL_LINES),
        }
    }

    /// As [`Process::ended`], but for an end that was asked for: that is waited for in vain.
    pub async fn broken(&self) -> Error {
        let error = self.ended().await;
        if self.told_to_end.is_cancelled() {
            return std::future::pending().await;
        }
        error
    }

    /// Asks `probe` every 20 ms until it succeeds and gives the time since the start of the process.
    /// Fails at once when the process ends, and after `limit` with what the probe said last.
    pub async fn ready<P, F>(&self, limit: Duration, mut probe: P) -> Result<Duration, Error>
    where
        P: FnMut() -> F,
        F: Future<Output = Result<(), String>>,
    {
        let mut reason = "it was not asked".to_owned();
        let asking = async {
            while let Err(error) = probe().await {
                reason = error;
                time::sleep(PROBE_INTERVAL).await;
            }
        };
        tokio::select! {
            ended = self.ended() => return Err(ended),
            asked = time::timeout(limit, asking) => if asked.is_ok() {
                return Ok(self.started.elapsed());
            }
        }
        Err(Error::NotReady {
            name: self.name.to_string(),
            limit,
            reason,
            log: self.log.clone(),
            tail: self.log_tail(TAIL_LINES),
        })
    }

    /// The last `lines` lines of its output; the reason when the file cannot be read.
    pub fn log_tail(&self, lines: usize) -> String {
        tail(&self.log, lines).unwrap_or_else(|error| format!("(cannot be read: {error})"))
    }

    /// The most resident memory that it ever had, in bytes; `None` once it has ended.
    /// Source: `VmHWM` of proc(5), the status file.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.identity.pid())).ok()?;
        self.identity.is_alive().then(|| peak_memory(&status)).flatten()
    }

    /// Sends a signal; `false` when the process has ended already.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        self.identity.signal(signal)
    }

    /// Ends it: SIGTERM, and SIGKILL when it still runs after `grace`.
    pub async fn stop(&self, grace: Duration) -> io::Result<ExitStatus> {
        self.told_to_end.cancel();
        self.signal(Signal::TERM)?;
        if let Ok(status) = time::timeout(grace, self.wait()).await {
            return Ok(status);
        }
        self.signal(Signal::KILL)?;
        Ok(self.wait().await)
    }
}

/// Out of the status file of a process (proc(5)), in bytes.
pub(crate) fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The last line of a program's output that is not blank: what it had to say about its end.
pub(crate) fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    text.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

fn tail(path: &Path, lines: usize) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut last: Vec<&str> = text.lines().rev().take(lines).collect();
    last.reverse();
    Ok(last.join("\n"))
}

#[cfg(test)]
mod tests;
