//! Looks at the machine: thin I/O that fills [`Facts`]. Whatever cannot be found out is said so there;
//! nothing here fails.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures::future;
use kube::config::{Kubeconfig, KubeconfigError};
use reqwest::StatusCode;
use rustix::{fs::statvfs, process::geteuid};
use tokio::{process::Command, time};

use crate::{
    assets::{self, Found, Options, Program, Survey, on_path, tool},
    cluster::kind::tool,
    doctor::facts::{Building, Disk, Existing, Facts, Kernel, Kind, Local, Machine},
    doctor::ready::ContainerProgram,
    guard::{self, LastCommand},
    ports::Ports,
    process::{identity::Identity, last_line},
};

mod engine;

/// For a program that only prints something: longer, and something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a host to answer. One that is there does so within tenths of a second.
const ANSWER: Duration = Duration::from_millis(800);
/// A run listens on about a dozen.
const PORTS: usize = 16;

/// Looks at everything, at the same time where that is possible.
pub(crate) async fn gather(options: &Options, node_image: &str) -> Facts {
    // On the heap: together they are larger than a stack frame should be.
    let (local, kind, building) = tokio::join!(
        Box::pin(local(options)),
        Box::pin(kind(options, node_image)),
        Box::pin(building(&options.search_path))
    );
    Facts { machine: machine(), local, kind, existing: existing(), building }
}

/// Only what decides whether kind can be used, and what is told with it.
pub(crate) async fn kind(options: &Options, node_image: &str) -> Kind {
    let program = async {
        let path = tool(options, "kind")?;
        let said = read(&path, ["version"]).await.map(|said| said.trim().to_owned());
        Some((path, said))
    };
    let engine = |name| engine::look(name, &options.search_path, node_image);
    let (program, docker, podman) =
        tokio::join!(program, engine(ContainerProgram::Docker), engine(ContainerProgram::Podman));
    let mut engines = vec![(ContainerProgram::Docker, docker), (ContainerProgram::Podman, podman)];
    let asked = LastCommand::new("kind", ["version"]);
    if let Some(wanted) = asked.environment.get(tool::PROVIDER) {
        engines.retain(|(program, _)| program.name() == wanted);
    }
    Kind { node_image: node_image.to_owned(), program, engines, kernel: kernel() }
}

async fn local(options: &Options) -> Local {
    let survey = assets::survey(options).await;
    let downloads = downloads(options, &survey).await;
    let process = i32::try_from(std::process::id()).ok().and_then(Identity::of);
    let mut ports = Ports::new(u64::from(std::process::id()));
    let reserved: Result<Vec<_>, _> = (0..PORTS).map(|_| ports.reserve()).collect();
    let kept = guard::list_kept(&env::temp_dir()).unwrap_or_default();
    Local {
        survey,
        proc: process.map(drop).ok_or_else(|| "this process is not in it".to_owned()),
        ports: reserved.map(drop).map_err(|error| error.to_string()),
        downloads,
        apt_get: on_path(&options.search_path, "apt-get").is_some(),
        kept: kept.into_iter().map(|state| state.folder).collect(),
    }
}

/// Whether the hosts answer that programs which are not there would come from.
async fn downloads(options: &Options, survey: &Survey) -> Vec<(String, Result<(), String>)> {
    let missing = survey.programs.iter().filter(|(_, found)| !matches!(found, Found::Good { .. }));
    let mut bases: Vec<_> = missing
        .map(|(program, _)| match program {
            Program::Etcd => options.mirrors.etcd.as_str(),
            Program::Kwok => options.mirrors.kwok.as_str(),
            _ => options.mirrors.kubernetes.as_str(),
        })
        .collect();
    bases.dedup();
    let ask = |base| async move {
        let answer = answer(base).await.map(drop);
        (String::from(base), answer)
    };
    future::join_all(bases.into_iter().map(ask)).await
}

async fn building(search_path: &OsStr) -> Building {
    let rustc = async {
        let program = on_path(search_path, "rustc").ok_or("not on the PATH")?;
        read(&program, ["--version"]).await.map(|said| first_line(&said))
    };
    let musl = async {
        let program = on_path(search_path, "rustc")?;
        let target = format!("{}-unknown-linux-musl", env::consts::ARCH);
        let folder =
            read(&program, ["--print", "target-libdir", "--target", &target]).await.ok()?;
        Path::new(folder.trim()).is_dir().then_some(())
    };
    let cc = async {
        let program = on_path(search_path, "cc").ok_or("not on the PATH")?;
        read(&program, ["--version"]).await.map(|said| first_line(&said))
    };
    let static_glibc = async {
        let program = on_path(search_path, "cc")?;
        // Without the file it prints the name as it was given.
        let file = read(&program, ["-print-file-name=libc.a"]).await.ok()?;
        Path::new(file.trim()).is_absolute().then_some(())
    };
    let go = async {
        let program = on_path(search_path, "go").ok_or("not on the PATH")?;
        read(&program, ["env", "GOVERSION"]).await.map(|said| first_line(&said))
    };
    let (rustc, musl, cc, static_glibc, go) = tokio::join!(rustc, musl, cc, static_glibc, go);
    let here = disk(env::current_dir().unwrap_or_else(|_| PathBuf::from(".")));
    let (musl, static_glibc) = (musl.is_some(), static_glibc.is_some());
    Building { rustc, cc, musl, static_glibc, go, here }
}

fn existing() -> Existing {
    let read = Kubeconfig::read().map_err(|error| match error {
        KubeconfigError::ReadConfig(error, path) if error.kind() == ErrorKind::NotFound => {
            format!("no kubeconfig at {}", path.display())
        }
        error => error.to_string(),
    });
    let contexts = read.map(|config| {
        let names = config.contexts.into_iter().map(|context| context.name).collect();
        (names, config.current_context)
    });
    Existing { contexts }
}

fn machine() -> Machine {
    // `MemAvailable:   20176832 kB`, proc_meminfo(5)
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = field(&meminfo, "MemAvailable:").and_then(|value| value.parse::<u64>().ok());
    Machine {
        os: env::consts::OS.to_owned(),
        arch: env::consts::ARCH.to_owned(),
        root: geteuid().is_root(),
        memory_available: kilobytes.map(|kilobytes| kilobytes * 1024),
        temp: disk(env::temp_dir()),
    }
}

fn kernel() -> Kernel {
    let number = |name: &str| {
        let text = fs::read_to_string(Path::new("/proc/sys/fs/inotify").join(name)).ok()?;
        text.trim().parse().ok()
    };
    // `CapBnd:  000001ffffffffff`, proc_pid_status(5)
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding_set = field(&status, "CapBnd:").and_then(|set| u64::from_str_radix(set, 16).ok());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    Kernel {
        release: release.map(|text| text.trim().to_owned()),
        bounding_set,
        inotify_watches: number("max_user_watches"),
        inotify_instances: number("max_user_instances"),
    }
}

/// The first word after `name` at the beginning of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

/// Free space at the folder, for who is not root too.
fn disk(path: PathBuf) -> Disk {
    let free = statvfs(&path).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    Disk { path, free }
}

/// What a program prints when it ends well, else why not, in one line.
async fn read<A: AsRef<OsStr>>(
    program: &Path,
    args: impl IntoIterator<Item = A>,
) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    match time::timeout(PATIENCE, command.output()).await {
        Err(_) => Err(format!("no answer in {}", humantime::format_duration(PATIENCE))),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(output)) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(Ok(output)) => {
            Err(last_line(&output.stderr).unwrap_or_else(|| output.status.to_string()))
        }
    }
}

/// The status that a URL answers with, or why it does not.
async fn answer(url: &str) -> Result<StatusCode, String> {
    let client = assets::client().map_err(|error| error.to_string())?;
    let response = client.get(url).timeout(ANSWER).send().await;
    response.map(|response| response.status()).map_err(|error| innermost(&error))
}

/// The cause alone: what it was asked for is said beside it.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
