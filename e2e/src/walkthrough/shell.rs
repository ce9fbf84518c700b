//! Runs one command as a reader of the page would: by bash, in the checkout, after those before it.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncReadExt, process::Command, time};
use tokio_util::sync::CancellationToken;

/// A command that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

/// Gives bash a command (`$1`) with the variables that those before it have exported (in the file
/// `$0`), and remembers which there are after it.
const SCRIPT: &str = r#"exec 2>&1; . "$0"; eval "$1"; code=$?; export -p > "$0"; exit "$code""#;

/// Why a command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no bash, or no file for its variables.
    #[error("cannot run bash")]
    Start(#[source] io::Error),
    /// Its output cannot be read.
    #[error("cannot read the output of a command")]
    Read(#[source] io::Error),
    /// It did not end.
    #[error("the command did not end within {}: {command}", humantime::format_duration(LIMIT))]
    Hangs {
        /// The command.
        command: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Both outputs, as they come on a terminal.
    pub output: String,
    /// The exit code; -1 where a signal ended it.
    pub code: i32,
}

/// Where commands run.
#[derive(Debug)]
pub struct Shell {
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
    exports: tempfile::NamedTempFile,
    stop: CancellationToken,
}

impl Shell {
    /// In `folder`, with no other variables than those of `env`.
    pub fn new(
        folder: impl Into<PathBuf>,
        env: Vec<(OsString, OsString)>,
        stop: CancellationToken,
    ) -> Result<Self, Error> {
        let exports = tempfile::NamedTempFile::new().map_err(Error::Start)?;
        Ok(Self { folder: folder.into(), env, exports, stop })
    }

    /// The same for commands that have to run even when `stop` says no.
    #[must_use]
    pub fn unstoppable(self) -> Self {
        Self { stop: CancellationToken::new(), ..self }
    }

    /// The folder of the commands.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs it to its end. What it leaves in the background ends with it.
    pub async fn run(&self, command: &str) -> Result<Ran, Error> {
        let mut child = Command::new("bash")
            .args([OsStr::new("-c"), OsStr::new(SCRIPT)])
            .args([self.exports.path().as_os_str(), OsStr::new(command)])
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Error::Start)?;
        let _group = Group::of(&child);
        let mut pipe = child.stdout.take();
        let ending = async {
            let mut output = Vec::new();
            if let Some(pipe) = &mut pipe {
                pipe.read_to_end(&mut output).await.map_err(Error::Read)?;
            }
            let status = child.wait().await.map_err(Error::Read)?;
            let output = String::from_utf8_lossy(&output).into_owned();
            Ok(Ran { output, code: status.code().unwrap_or(-1) })
        };
        tokio::select! {
            ran = ending => ran,
            () = time::sleep(LIMIT) => Err(Error::Hangs { command: command.to_owned() }),
            () = self.stop.cancelled() => Err(Error::Interrupted),
        }
    }
}

/// A process group that ends with this value.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // An error says that nobody is left in it.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(stop: CancellationToken) -> Shell {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Shell::new("/", vec![("PATH".into(), path)], stop).unwrap()
    }

    #[tokio::test]
    async fn output_and_exit_code_are_those_of_the_command() {
        let shell = shell(CancellationToken::new());
        let ran = shell.run("echo out; echo err >&2; pwd; (exit 3)").await.unwrap();
        assert_eq!(ran, Ran { output: "out\nerr\n/\n".to_owned(), code: 3 });
    }

    #[tokio::test]
    async fn exported_variables_are_there_for_the_next_command_and_others_are_not() {
        let shell = shell(CancellationToken::new());
        shell.run("export KEY='a b'; OTHER=c").await.unwrap();
        let ran = shell.run("echo \"$KEY,$OTHER,$HOME\"").await.unwrap();
        assert_eq!(ran.output, "a b,,\n");
    }

    #[tokio::test]
    async fn an_interrupted_command_ends_with_all_that_it_started() {
        let stop = CancellationToken::new();
        let shell = shell(stop.clone());
        let file = tempfile::NamedTempFile::new().unwrap();
        let command = format!("sleep 60 & echo $! > {}; sleep 60", file.path().display());
        let interrupt = async {
            while std::fs::read_to_string(file.path()).unwrap().is_empty() {
                time::sleep(Duration::from_millis(10)).await;
            }
            stop.cancel();
        };
        let (ran, ()) = tokio::join!(shell.run(&command), interrupt);
        assert!(matches!(ran, Err(Error::Interrupted)));
        let id = std::fs::read_to_string(file.path()).unwrap();
        let status = format!("/proc/{}/stat", id.trim());
        // Ended, or a zombie until its new parent asks.
        let gone = async || loop {
            match std::fs::read_to_string(&status) {
                Ok(stat) if !stat.contains(") Z") => time::sleep(Duration::from_millis(10)).await,
                _ => return,
            }
        };
        time::timeout(Duration::from_secs(5), gone()).await.unwrap();
    }
}
