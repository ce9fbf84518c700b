//! Nothing is left running when a run is gone, however it went: by itself, by Ctrl-C, by a panic, by
//! `kill -9`.
//!
//! ```text
//! runner ──pipe──▶ guard, the leader of a process group of its own
//!    └─ starts every child straight into that group: etcd, kube-apiserver, nginx and its workers …
//! ```
//!
//! The pipe closes when the runner is gone, for whatever reason; the guard then ends the group and
//! removes the run's folder. A child is in the group before its program runs at all, and cannot be
//! put there when the group is gone: there is no moment in which a child is unguarded. The guard
//! itself is in no terminal's foreground group, so Ctrl-C does not reach it, and it ignores the
//! signals that end processes; only `kill -9` ends it, which [`crate::process::Processes`] and the
//! drop of [`Guard`] notice. Where both are killed, the next run finds what they left.

use std::{
    io::{self, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitCode, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{self, Instant};

use crate::process::identity::Identity;

mod kept;
mod last;
mod orphans;
mod sweep;
mod watch;

pub use kept::{Report, STATE_FILE, State, down, list_kept};
pub use last::LastCommand;
pub use orphans::end_orphans;
pub(crate) use orphans::note;

/// What the name of every run's folder begins with. Nothing else is ever removed.
pub const RUN_FOLDER_PREFIX: &str = "dca-e2e-";

/// What the guard says on its standard output as soon as signals cannot end it any more.
const READY: &str = "guarding";
/// Lines on the pipe: end without ending anything; remove a folder at the end;
const DETACH: &str = "detach";
const REMOVE: &str = "remove ";
/// Run a command at the end; or no command any more.
const RUN: &str = "run ";
const FORGET: &str = "forget";

/// How long the guard may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Longer than the guard's own limits together.
const END_LIMIT: Duration = Duration::from_secs(10 + last::LIMIT.as_secs());

/// Why a run cannot be guarded, or why what a run has left cannot be removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program with the guard in it does not start or is another one.
    #[error("cannot start the guard of the run: {} guard", program.display())]
    Start {
        /// The harness's own program.
        program: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The guard has ended, so what runs must be ended by hand.
    #[error("the guard of the run does not listen any more")]
    Gone(#[source] io::Error),
    /// The guard still runs although its pipe is closed.
    #[error(
        "the guard of the run, process {pid}, did not end within {}",
        humantime::format_duration(END_LIMIT)
    )]
    Hangs {
        /// Its process id.
        pid: u32,
    },
    /// A folder that is not one of a run must not be removed.
    #[error("{} is no folder of a run: its name must begin with {RUN_FOLDER_PREFIX}", .0.display())]
    NotOurs(PathBuf),
    /// A file about a run that was kept.
    #[error("cannot {attempt} {}", path.display())]
    File {
        /// What was attempted: `read`, `write`, `remove`.
        attempt: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The state of a run that was kept is damaged.
    #[error("{} does not describe a run: end its processes by hand and remove its folder", path.display())]
    State {
        /// The state file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// What removes the rest of a run did not work.
    #[error("{0}")]
    Command(String),
    /// A process of a kept run could not be ended.
    #[error("cannot end {name}, process {pid}")]
    Process {
        /// Its name in the run.
        name: String,
        /// Its process id.
        pid: i32,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A process group and who ends it.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    pub(crate) id: i32,
    pub(crate) guard: Identity,
}

impl Group {
    /// The id of the group, as for `setpgid`.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Whether the guard runs.
    pub fn is_guarded(&self) -> bool {
        self.guard.is_alive()
    }
}

/// The runner's hold on its guard. Dropping it is the same as the death of the runner: the guard
/// ends the group and removes the folder, without being waited for.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    /// Closed by dropping. Rust opens it close-on-exec, so no child keeps it open.
    pipe: Option<ChildStdin>,
    group: Group,
}

impl Guard {
    /// Starts `PROGRAM guard` and waits until it guards. `program` is the harness itself: a run
    /// passes `current_exe`, a test `CARGO_BIN_EXE_e2e`.
    pub async fn start(program: &Path) -> Result<Self, Error> {
        let error = |source| Error::Start { program: program.to_owned(), source };
        let mut child = Command::new(program)
            .arg("guard")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // the terminal may be gone when the guard is needed
            .process_group(0)
            .spawn()
            .map_err(error)?;
        let pipe = child.stdin.take();
        let stdout = child.stdout.take();
        let identity = Identity::of_child(child.id());
        let (Some(stdout), Some(guard)) = (stdout, identity) else {
            return Err(error(io::ErrorKind::BrokenPipe.into()));
        };
        let group = Group { id: guard.pid(), guard };
        let started = Self { child, pipe, group };
        let hello = tokio::task::spawn_blocking(move || hear_hello(stdout));
        match time::timeout(START_LIMIT, hello).await {
            Ok(Ok(Ok(()))) => Ok(started),
            Ok(Ok(Err(source))) => Err(error(source)),
            Ok(Err(panic)) => Err(error(io::Error::other(panic))),
            Err(_) => Err(error(io::ErrorKind::TimedOut.into())),
        }
    }

    /// The group into which every child is started.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Has `folder` removed when the group has ended. Its name begins with [`RUN_FOLDER_PREFIX`].
    pub fn remove_at_the_end(&mut self, folder: &Path) -> Result<(), Error> {
        let not_ours = || Error::NotOurs(folder.to_owned());
        if !sweep::is_run_folder(folder) {
            return Err(not_ours());
        }
        let path = folder.to_str().filter(|path| !path.contains('\n')).ok_or_else(not_ours)?;
        orphans::sign(folder, self.group).map_err(|source| Error::File {
            attempt: "write into",
            path: folder.to_owned(),
            source,
        })?;
        self.say(&format!("{REMOVE}{path}"))
    }

    /// Has a command run when the group has ended, before the folder is removed: for what is no process
    /// of ours, such as the containers of a kind cluster.
    pub fn run_at_the_end(&mut self, command: &LastCommand) -> Result<(), Error> {
        let line = serde_json::to_string(command).map_err(|error| Error::Gone(error.into()))?;
        self.say(&format!("{RUN}{line}"))
    }

    /// Takes the commands back: what they were for was done.
    pub fn forget_commands(&mut self) -> Result<(), Error> {
        self.say(FORGET)
    }

    /// Ends what is left of the group, removes the folder, and waits for both.
    pub async fn finish(mut self) -> Result<(), Error> {
        if self.kill_unguarded() {
            return Err(Error::Gone(io::ErrorKind::BrokenPipe.into()));
        }
        drop(self.pipe.take());
        self.wait().await
    }

    /// Sends the guard away without ending anything, for a run that is kept. Write its
    /// [`State`] first.
    pub async fn detach(mut self) -> Result<(), Error> {
        self.say(DETACH)?;
        drop(self.pipe.take());
        self.wait().await
    }

    fn say(&mut self, line: &str) -> Result<(), Error> {
        let pipe =
            self.pipe.as_mut().ok_or_else(|| Error::Gone(io::ErrorKind::BrokenPipe.into()))?;
        writeln!(pipe, "{line}").map_err(Error::Gone)
    }

    /// When somebody has killed the guard, its group is ours to end; `true` when that was so. As long
    /// as the guard is not waited for, no other group can have its id.
    fn kill_unguarded(&self) -> bool {
        let unguarded = !self.group.is_guarded();
        if let Some(group) = Pid::from_raw(self.group.id).filter(|_| unguarded) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        unguarded
    }

    /// Its exit status does not matter: it ends by its own SIGKILL when others had to.
    async fn wait(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + END_LIMIT;
        while self.child.try_wait().map_err(Error::Gone)?.is_none() {
            if Instant::now() > deadline {
                return Err(Error::Hangs { pid: self.child.id() });
            }
            time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Otherwise the guard was sent away, or has ended the group.
        if self.pipe.is_some() {
            self.kill_unguarded();
        }
    }
}

fn hear_hello(mut stdout: impl Read) -> io::Result<()> {
    let mut said = vec![0; READY.len()];
    stdout.read_exact(&mut said)?;
    if said == READY.as_bytes() {
        return Ok(());
    }
    Err(io::Error::other(format!("it said {:?} and not {READY:?}", String::from_utf8_lossy(&said))))
}

/// The guard itself, the hidden subcommand `guard`: waits until the pipe on its standard input
/// closes, then ends its process group.
pub fn run() -> ExitCode {
    match on_own_runtime(watch::watch()).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody reads what a guard writes, except somebody who started it by hand.
        Err(error) => {
            let _ = writeln!(io::stderr(), "guard: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs `work` to its end, also when the caller is inside of another runtime, which it blocks.
fn on_own_runtime<T: Send>(work: impl Future<Output = T> + Send) -> io::Result<T> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(work))
    };
    thread::scope(|scope| scope.spawn(run).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}
