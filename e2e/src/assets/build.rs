//! The fourth way: `go build` from the pinned modules in `go/`, which this program carries.
//!
//! Go verifies every module against `go.sum`, so what is compiled is what was pinned. Sources
//! and module cache are Go's own business (GOPROXY, GOFLAGS, GOMODCACHE … count as always).

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use indicatif::DecimalBytes;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
    time::Instant,
};

use crate::assets::{
    cache::Cache,
    error::names,
    program::{KUBERNETES, KWOK, Program},
    search::{Results, on_path},
    ui::Ui,
};

/// Runs "$@" and ends with its exit code. Standard input is a pipe that nobody writes to:
/// when it closes, because whoever holds its other end gave up or was killed, the whole process
/// group is ended, compilers included.
const LIFELINE: &str = r#"
exec 3<&0
(cat <&3; kill -KILL 0) >/dev/null 2>&1 &
"$@" 3<&- </dev/null
"#;

/// A Go module, and how to make programs of it.
struct Module {
    name: &'static str,
    programs: &'static [Program],
    package: &'static str,
    files: &'static [(&'static str, &'static str)],
    tags: &'static str,
    ldflags: fn() -> String,
    /// From empty caches on two cores.
    expected: &'static str,
}

const MODULES: [Module; 3] = [
    Module {
        name: "etcd",
        programs: &[Program::Etcd],
        package: ".",
        files: &[
            ("go.mod", include_str!("../../go/etcd/go.mod")),
            ("go.sum", include_str!("../../go/etcd/go.sum")),
            ("main.go", include_str!("../../go/etcd/main.go")),
        ],
        tags: "",
        ldflags: String::new,
        expected: "1 min",
    },
    Module {
        name: "kwok",
        programs: &[Program::Kwok],
        package: "sigs.k8s.io/kwok/cmd/kwok",
        files: &[
            ("go.mod", include_str!("../../go/kwok/go.mod")),
            ("go.sum", include_str!("../../go/kwok/go.sum")),
        ],
        tags: "",
        ldflags: || format!("-X sigs.k8s.io/kwok/pkg/consts.Version=v{KWOK}"),
        expected: "2 min",
    },
    Module {
        name: "kubernetes",
        programs: &[Program::KubeApiserver, Program::KubeControllerManager, Program::KubeScheduler],
        package: ".",
        files: &[
            ("go.mod", include_str!("../../go/kubernetes/go.mod")),
            ("go.sum", include_str!("../../go/kubernetes/go.sum")),
            ("main.go", include_str!("../../go/kubernetes/main.go")),
        ],
        // As upstream's hack/lib/golang.sh.
        tags: "selinux,notest,grpcnotrace",
        ldflags: kubernetes_version,
        expected: "10 min",
    },
];

/// Why a module was not built.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("cannot write its sources to {}: {source}", path.display())]
    Sources { path: PathBuf, source: io::Error },
    #[error("cannot run {}: {source}", go.display())]
    Run { go: PathBuf, source: io::Error },
    #[error("building {module} ended with {how}: {said}")]
    Failed { module: &'static str, how: String, said: String },
    #[error("cannot put {module} into the cache: {source}")]
    Install { module: &'static str, source: io::Error },
}

/// Builds the modules that hold `programs`, one after the other, into the cache.
pub(crate) async fn all(
    programs: &[Program],
    search_path: &OsStr,
    cache: &Cache,
    workspace: &TempDir,
    ui: &Ui<'_>,
) -> Results {
    if programs.is_empty() {
        return Vec::new();
    }
    let Some(go) = on_path(search_path, "go") else {
        let said = "no go on the PATH; install Go 1.26 or newer (https://go.dev/dl)";
        ui.line(&format!("go build: skipped: {said}"));
        return programs.iter().map(|program| (*program, Err(said.to_owned()))).collect();
    };
    let mut results = Vec::new();
    for module in &MODULES {
        let wanted: Vec<_> =
            module.programs.iter().copied().filter(|program| programs.contains(program)).collect();
        if wanted.is_empty() {
            continue;
        }
        match build(module, &wanted, &go, cache, workspace, ui).await {
            Ok(paths) => results.extend(wanted.into_iter().zip(paths.into_iter().map(Ok))),
            Err(error) => {
                ui.line(&format!("go build: {error}"));
                results.extend(wanted.into_iter().map(|program| (program, Err(error.to_string()))));
            }
        }
    }
    results
}

async fn build(
    module: &Module,
    wanted: &[Program],
    go: &Path,
    cache: &Cache,
    workspace: &TempDir,
    ui: &Ui<'_>,
) -> Result<Vec<PathBuf>, BuildError> {
    ui.line(&format!(
        "go build: {} from source, which takes {} on two cores when Go's caches are empty",
        names(wanted),
        module.expected
    ));
    let started = Instant::now();
    let folder = workspace.path().join(format!("go-{}", module.name));
    module
        .write_to(&folder)
        .map_err(|source| BuildError::Sources { path: folder.clone(), source })?;
    let output = folder.join("built");
    run_go(module, go, &folder, &output, ui).await?;

    let install = || {
        let length = fs::metadata(&output)?.len();
        let paths = match wanted {
            [only] if module.programs.len() == 1 => vec![cache.install(&output, *only)?],
            _ => cache.install_shared(&output, module.name, wanted)?,
        };
        Ok((length, paths))
    };
    let (length, paths) =
        install().map_err(|source| BuildError::Install { module: module.name, source })?;
    ui.line(&format!(
        "go build: {} took {}, {}",
        module.name,
        humantime::format_duration(Duration::from_secs(started.elapsed().as_secs())),
        DecimalBytes(length)
    ));
    Ok(paths)
}

async fn run_go(
    module: &Module,
    go: &Path,
    folder: &Path,
    output: &Path,
    ui: &Ui<'_>,
) -> Result<(), BuildError> {
    let cannot_run = |source| BuildError::Run { go: go.to_owned(), source };
    let mut child = Command::new("/bin/sh")
        .args(["-c", LIFELINE, "go-build"])
        .arg(go)
        .args(["build", "-mod=readonly", "-trimpath", "-buildvcs=false"])
        .args(["-tags", module.tags, "-ldflags", &format!("-s -w {}", (module.ldflags)())])
        .arg("-o")
        .args([output.as_os_str(), OsStr::new(module.package)])
        .current_dir(folder)
        // Static programs, for this machine, from this module alone: whatever the user's
        // environment is set up for.
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        // Go removes its work folder at the end, but not when it is killed; the workspace goes.
        .env("GOTMPDIR", folder.join("tmp"))
        .env_remove("GOOS")
        .env_remove("GOARCH")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(cannot_run)?;
    let lifeline = child.stdin.take();
    let bar = ui.spinner(format!("go build {}", module.name));
    let mut said: Vec<String> = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut lines = BufReader::new(stderr).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            bar.message(&line);
            // Progress, not a reason to fail.
            if !line.starts_with("go: downloading") {
                said.push(line);
            }
        }
    }
    let status = child.wait().await.map_err(cannot_run)?;
    drop(lifeline);
    if status.success() {
        return Ok(());
    }
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    };
    Err(BuildError::Failed { module: module.name, how, said: last(&said) })
}

impl Module {
    fn write_to(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder.join("tmp"))?;
        self.files.iter().try_for_each(|(name, text)| fs::write(folder.join(name), text))
    }
}

/// As upstream's hack/lib/version.sh, without the commit and the date of the build.
fn kubernetes_version() -> String {
    let (major, minor) = (KUBERNETES.major(), KUBERNETES.minor());
    let values = [
        ("gitVersion", format!("v{KUBERNETES}")),
        ("gitMajor", major.to_string()),
        ("gitMinor", minor.to_string()),
        ("gitTreeState", "clean".to_owned()),
    ];
    let packages = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];
    let set = packages.iter().flat_map(|package| {
        values.iter().map(move |(key, value)| format!("-X {package}.{key}={value}"))
    });
    set.collect::<Vec<_>>().join(" ")
}

/// The last three lines, as one.
fn last(said: &[String]) -> String {
    let lines: Vec<_> =
        said.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join("; ")
}
