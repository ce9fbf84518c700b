//! Nothing is left of a run, however it ends. Each test starts a real runner (this test program once
//! more, see `acts_the_runner`) with a real nginx, and looks at what is left by process id and start
//! time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use e2e::{
    guard::{self, Guard, LastCommand, State},
    interrupt,
    process::{
        Launch, Processes,
        identity::{Identity, group_members},
    },
};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(30);
/// Tells `acts_the_runner` where to work.
const SCRATCH: &str = "E2E_TEST_RUNNER_SCRATCH";
/// Tells it how to end: `never`, `panic`, `keep`, `finish`.
const ENDING: &str = "E2E_TEST_RUNNER_ENDING";
const WORKERS: usize = 2;

/// What the runner tells the test.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    guard: Identity,
    /// nginx, its workers, and a shell that ignores SIGTERM.
    others: Vec<Identity>,
    folder: PathBuf,
}

#[tokio::test]
#[ignore = "started by the other tests"]
async fn acts_the_runner() {
    let Some(scratch) = std::env::var_os(SCRATCH).map(PathBuf::from) else { return };
    let ending = std::env::var_os(ENDING).unwrap();
    let folder = scratch.join("dca-e2e-test");
    fs::create_dir(&folder).unwrap();
    let mut guard = Guard::start(Path::new(env!("CARGO_BIN_EXE_e2e"))).await.unwrap();
    guard.remove_at_the_end(&folder).unwrap();
    let group = guard.group();
    let processes = Processes::new(group, folder.join("logs")).unwrap();
    processes.spawn(nginx(&folder)).unwrap();
    // In a folder that keeps being written to until the very end.
    let deaf = "trap '' TERM; while :; do echo x >> busy; sleep 0.01; done";
    processes.spawn(Launch::new("deaf", "/bin/sh").args(["-c", deaf])).unwrap();

    let leader = Identity::of(group.id()).unwrap();
    // Master, workers, the shell; its `sleep` comes and goes.
    let members = until("nginx and its workers run", || {
        let mut members = group_members(group.id()).unwrap();
        members.retain(|member| *member != leader);
        let nginx = members.iter().filter(|member| program(**member) == "nginx").count();
        (nginx == 1 + WORKERS).then_some(members)
    })
    .await;
    let told = Told { guard: leader, others: members, folder: folder.clone() };
    let draft = scratch.join("draft");
    fs::write(&draft, serde_json::to_string(&told).unwrap()).unwrap();
    fs::rename(draft, scratch.join("told")).unwrap();

    match ending.to_str().unwrap() {
        "panic" => panic!("as asked for"),
        "finish" => guard.finish().await.unwrap(),
        "keep" => {
            let kubeconfig = folder.join("kubeconfig");
            State::capture(&folder, &kubeconfig, group, &processes.started())
                .unwrap()
                .write()
                .unwrap();
            guard.detach().await.unwrap();
        }
        _ => {
            // As the harness does: where a shell started us in the background, SIGINT is ignored,
            // and only a handler of our own hears it.
            let stop = CancellationToken::new();
            interrupt::cancel_on_signal(stop.clone()).unwrap();
            stop.cancelled().await;
        }
    }
}

fn nginx(folder: &Path) -> Launch {
    let conf = format!(
        "daemon off; worker_processes {WORKERS}; pid {0}/nginx.pid; error_log stderr;\n\
         events {{}}\nhttp {{ access_log off; client_body_temp_path {0}/t; proxy_temp_path {0}/t;\n\
         fastcgi_temp_path {0}/t; uwsgi_temp_path {0}/t; scgi_temp_path {0}/t;\n\
         server {{ listen unix:{0}/socket; }} }}\n",
        folder.display()
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, conf).unwrap();
    Launch::new("nginx", nginx_program().unwrap()).arg("-c").arg(file).arg("-e").arg("stderr")
}

fn nginx_program() -> Option<PathBuf> {
    let usual = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"].map(PathBuf::from);
    usual.into_iter().find(|path| path.is_file())
}

fn program(process: Identity) -> String {
    e2e::process::identity::program_name(process.pid()).unwrap_or_default()
}

async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        time::sleep(Duration::from_millis(10)).await;
    }
}

struct Runner {
    process: Child,
    told: Told,
    scratch: tempfile::TempDir,
}

/// `None`, with the reason printed, where there is no nginx.
async fn runner(ending: &str) -> Option<Runner> {
    if nginx_program().is_none() {
        eprintln!("skipped: nginx is not installed");
        return None;
    }
    let scratch = tempfile::tempdir().unwrap();
    let process = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "acts_the_runner"])
        .env(SCRATCH, scratch.path())
        .env(ENDING, ending)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0) // as a shell does, so that a Ctrl-C can be acted
        .spawn()
        .unwrap();
    let told = until("the runner says what runs", || {
        serde_json::from_slice(&fs::read(scratch.path().join("told")).ok()?).ok()
    })
    .await;
    Some(Runner { process, told, scratch })
}

impl Runner {
    /// By id and start time; also of what is started in the group after it was listed.
    async fn leaves_nothing(&mut self) {
        until("the runner has ended", || self.process.try_wait().unwrap()).await;
        let group = self.told.guard.pid();
        until("every process has ended", || {
            let listed = self.told.others.iter().chain([&self.told.guard]);
            let left = listed.filter(|process| process.is_alive()).count();
            (left == 0 && group_members(group).unwrap().is_empty()).then_some(())
        })
        .await;
        assert!(!self.told.folder.exists(), "the folder is left");
    }
}

#[tokio::test]
async fn kill_9_of_the_runner_leaves_nothing() {
    let Some(mut runner) = runner("never").await else { return };
    assert!(runner.told.others.len() >= 2 + WORKERS);
    assert!(runner.told.others.iter().filter(|process| process.is_alive()).count() > WORKERS);
    runner.process.kill().unwrap();
    runner.leaves_nothing().await;
}

#[tokio::test]
async fn what_a_killed_guard_leaves_is_found_when_its_runner_is_gone_too() {
    let Some(mut runner) = runner("never").await else { return };
    assert!(runner.told.guard.signal(Signal::KILL).unwrap());
    let guard = runner.told.guard;
    until("the guard has gone", || (!guard.is_alive()).then_some(())).await;
    let orphans = guard::end_orphans(runner.scratch.path()).unwrap();
    assert!(orphans.is_empty(), "the runner still runs: {orphans:?}");

    runner.process.kill().unwrap();
    runner.process.wait().unwrap();
    let orphans = guard::end_orphans(runner.scratch.path()).unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].ended, ["nginx", "deaf"]);
    runner.leaves_nothing().await;
}

#[tokio::test]
async fn the_guard_runs_commands_at_the_end_unless_they_are_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, forgotten) in [("wanted", false), ("forgotten", true)] {
        let file = folder.path().join(name);
        let mut guard = Guard::start(Path::new(env!("CARGO_BIN_EXE_e2e"))).await.unwrap();
        let command = LastCommand::new("touch", [file.to_string_lossy()]);
        guard.run_at_the_end(&command).unwrap();
        if forgotten {
            guard.forget_commands().unwrap();
        }
        guard.finish().await.unwrap();
        assert_eq!(file.exists(), !forgotten, "{name}");
    }
}

#[tokio::test]
async fn a_command_that_fails_is_told_with_its_last_words() {
    let script = "echo first >&2; echo second >&2; exit 3";
    let error = LastCommand::new("/bin/sh", ["-c", script]).run(LIMIT).await.unwrap_err();
    assert!(error.ends_with("failed (exit status: 3): second"), "{error}");
    let error = LastCommand::new("/nowhere/kind", ["x"]).run(LIMIT).await.unwrap_err();
    assert!(error.starts_with("cannot run `/nowhere/kind x`: "), "{error}");
}

#[tokio::test]
async fn a_panic_of_the_runner_leaves_nothing() {
    let Some(mut runner) = runner("panic").await else { return };
    runner.leaves_nothing().await;
}

#[tokio::test]
async fn a_run_that_ends_by_itself_leaves_nothing() {
    let Some(mut runner) = runner("finish").await else { return };
    runner.leaves_nothing().await;
}

#[tokio::test]
async fn ctrl_c_ends_the_runner_and_the_guard_ends_the_rest() {
    let Some(mut runner) = runner("never").await else { return };
    let foreground = Pid::from_child(&runner.process);
    kill_process_group(foreground, Signal::INT).unwrap();
    runner.leaves_nothing().await;
}

#[tokio::test]
async fn signals_do_not_end_the_guard_before_its_time() {
    let Some(mut runner) = runner("never").await else { return };
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT] {
        assert!(runner.told.guard.signal(signal).unwrap());
    }
    runner.process.kill().unwrap();
    runner.leaves_nothing().await;
}

#[tokio::test]
async fn a_kept_run_outlives_its_runner_until_it_is_taken_down() {
    let Some(mut runner) = runner("keep").await else { return };
    assert!(runner.process.wait().unwrap().success());
    let guard = runner.told.guard;
    until("the guard has gone", || (!guard.is_alive()).then_some(())).await;
    let kept = guard::list_kept(runner.scratch.path()).unwrap();
    let [state] = &kept[..] else { panic!("{kept:?}") };
    let nginx = state.processes.iter().filter(|kept| kept.name == "nginx");
    let nginx: Vec<_> = nginx.map(|kept| kept.identity).collect();
    assert_eq!(nginx.len(), 1 + WORKERS);
    assert!(nginx.iter().all(|process| process.is_alive()), "the kept nginx has ended");

    let report = guard::down(state).unwrap();
    assert_eq!(report.folder, runner.told.folder);
    assert_eq!(report.ended.iter().filter(|name| *name == "nginx").count(), 1 + WORKERS);
    runner.leaves_nothing().await;
    assert!(guard::list_kept(runner.scratch.path()).unwrap().is_empty());
}

#[test]
fn a_process_that_has_got_the_id_of_a_kept_one_is_left_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("dca-e2e-old");
    fs::create_dir(&folder).unwrap();
    let mut stranger = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    let identity = Identity::of(stranger.id().try_into().unwrap()).unwrap();
    let mut kept = serde_json::to_value(identity).unwrap();
    let started = kept["started"].as_u64().unwrap();
    kept["started"] = (started - 1).into();
    kept["name"] = "etcd".into();
    let state = serde_json::json!({
        "folder": folder, "created_at": "2026-11-24T00:00:00Z", "kubeconfig": folder.join("k"),
        "processes": [kept],
    });
    fs::write(folder.join(guard::STATE_FILE), state.to_string()).unwrap();

    let kept = guard::list_kept(scratch.path()).unwrap();
    let report = guard::down(&kept[0]).unwrap();
    assert_eq!((report.ended.len(), &report.gone[..]), (0, &["etcd".to_owned()][..]));
    assert!(identity.is_alive(), "a stranger was ended");
    assert!(!folder.exists());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn a_state_file_that_names_another_folder_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, victim) = (scratch.path().join("dca-e2e-a"), scratch.path().join("dca-e2e-b"));
    for folder in [&folder, &victim] {
        fs::create_dir(folder).unwrap();
    }
    let state = serde_json::json!({
        "folder": victim, "created_at": "2026-11-24T00:00:00Z", "kubeconfig": "k", "processes": [],
    });
    fs::write(folder.join(guard::STATE_FILE), state.to_string()).unwrap();
    let error = guard::list_kept(scratch.path()).unwrap_err();
    assert!(matches!(&error, guard::Error::NotOurs(path) if *path == victim), "{error}");
}

#[tokio::test]
async fn a_folder_of_another_name_is_not_taken_for_removal() {
    let mut guard = Guard::start(Path::new(env!("CARGO_BIN_EXE_e2e"))).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let error = guard.remove_at_the_end(folder.path()).unwrap_err();
    assert!(matches!(error, guard::Error::NotOurs(_)), "{error}");
    guard.finish().await.unwrap();
    assert!(folder.path().exists());
}

#[tokio::test]
async fn a_program_that_is_no_guard_is_an_error_that_names_it() {
    for program in ["/bin/echo", "/nowhere/e2e"] {
        let error = Guard::start(Path::new(program)).await.unwrap_err();
        assert!(error.to_string().contains(program), "{error}");
    }
}
