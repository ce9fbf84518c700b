use std::{future, path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, getpgrp};
use tempfile::TempDir;

use crate::{
    guard::Group,
    process::{Error, Launch, Process, Processes, identity::Identity, peak_memory},
};

/// Long enough for a machine under load; nothing waits that long when all is well.
const LIMIT: Duration = Duration::from_secs(20);

struct Fixture {
    processes: Processes,
    _folder: TempDir,
}

fn this_process() -> Identity {
    Identity::of_child(std::process::id()).unwrap()
}

/// The group of the test itself, as if `guard` guarded it.
fn our_group(guard: Identity) -> Group {
    Group { id: Pid::as_raw(Some(getpgrp())), guard }
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let processes = Processes::new(our_group(this_process()), folder.path().join("logs")).unwrap();
    Fixture { processes, _folder: folder }
}

impl Fixture {
    fn shell(&self, script: &str) -> Process {
        self.processes.spawn(Launch::new("shell", "/bin/sh").args(["-c", script])).unwrap()
    }
}

async fn never() -> Result<(), String> {
    Err("still 503".to_owned())
}

#[tokio::test]
async fn a_process_that_ends_early_is_an_error_with_its_last_words() {
    let fixture = fixture();
    let process = fixture.shell("echo first; echo 'flag --x is unknown' >&2; exit 7");
    let error = process.ready(LIMIT, never).await.unwrap_err();
    let message = error.to_string();
    for part in ["shell ended by itself", "exit status: 7", "flag --x is unknown", "shell.log"] {
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}

#[tokio::test]
async fn a_process_that_is_never_ready_is_an_error_with_the_last_answer() {
    let fixture = fixture();
    let process = fixture.shell("echo waiting; exec sleep 60");
    let error = process.ready(Duration::from_millis(200), never).await.unwrap_err();
    assert!(matches!(&error, Error::NotReady { reason, .. } if reason == "still 503"), "{error}");
    process.stop(LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_missing_program_is_an_error_that_names_it() {
    let fixture = fixture();
    let missing = PathBuf::from("/nowhere/etcd");
    let error = fixture.processes.spawn(Launch::new("etcd", &missing)).unwrap_err();
    assert_eq!(error.to_string(), "cannot start etcd: /nowhere/etcd");
}

#[tokio::test]
async fn stop_kills_what_does_not_listen_to_sigterm() {
    let fixture = fixture();
    let process = fixture.shell("trap '' TERM; echo deaf; while :; do sleep 1; done");
    let deaf = || {
        future::ready(match process.log_tail(1).as_str() {
            "deaf" => Ok(()),
            other => Err(other.to_owned()),
        })
    };
    process.ready(LIMIT, deaf).await.unwrap();
    let status = process.stop(Duration::from_millis(100)).await.unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    assert!(!process.identity().is_alive());
    assert_eq!(process.peak_memory(), None);
}

#[tokio::test]
async fn the_environment_is_only_what_was_given() {
    let fixture = fixture();
    let launch = Launch::new("env", "/usr/bin/env").env("GIVEN", "1");
    let process = fixture.processes.spawn(launch).unwrap();
    assert!(process.wait().await.success());
    assert_eq!(process.log_tail(10), "GIVEN=1");
}

#[tokio::test]
async fn the_peak_memory_of_a_running_process_is_known() {
    let fixture = fixture();
    let process = fixture.shell("exec sleep 60");
    let peak = process.peak_memory().unwrap();
    assert!((1024..1 << 30).contains(&peak), "{peak}");
    process.stop(LIMIT).await.unwrap();
}

#[tokio::test]
async fn nothing_is_started_without_a_guard() {
    let folder = tempfile::tempdir().unwrap();
    let mut ended = std::process::Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    let guard = Identity::of_child(ended.id()).unwrap();
    ended.wait().unwrap();
    let processes = Processes::new(our_group(guard), folder.path()).unwrap();
    let error = processes.spawn(Launch::new("x", "/bin/sh").args(["-c", "sleep 60"])).unwrap_err();
    assert!(matches!(error, Error::Unguarded { .. }), "{error}");
    assert!(processes.started().is_empty());
}

#[test]
fn peak_memory_is_read_in_kibibytes() {
    assert_eq!(peak_memory("Name:\tx\nVmHWM:\t   302344 kB\nVmRSS:\t 1 kB\n"), Some(309_600_256));
    assert_eq!(peak_memory("Name:\tx\n"), None);
}
