//! A control plane of its own for a test, where its programs are.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use e2e::{
    assets::Programs,
    cluster::{
        Timings,
        local::control_plane::{ControlPlane, Plan},
    },
    guard::Guard,
    ports::Ports,
    process::Processes,
};

/// `None`, with the reason printed, where they are not.
pub(crate) fn programs() -> Option<Programs> {
    let Some(assets) = std::env::var_os("E2E_ASSETS") else {
        eprintln!("skipped: E2E_ASSETS names no folder with the programs of a control plane");
        return None;
    };
    let assets = PathBuf::from(assets);
    let bin = if assets.join("etcd").is_file() { assets } else { assets.join("bin") };
    let programs = Programs {
        etcd: bin.join("etcd"),
        kube_apiserver: bin.join("kube-apiserver"),
        kube_controller_manager: bin.join("kube-controller-manager"),
        kube_scheduler: bin.join("kube-scheduler"),
        kwok: bin.join("kwok"),
        kubectl: None,
        nginx: PathBuf::from("/usr/sbin/nginx"),
    };
    let missing = [&programs.etcd, &programs.kube_apiserver, &programs.kwok]
        .into_iter()
        .find(|path| !path.is_file());
    if let Some(missing) = missing {
        eprintln!("skipped: there is no {}", missing.display());
        return None;
    }
    Some(programs)
}

/// A guarded folder for one test.
pub(crate) struct Run {
    pub(crate) guard: Guard,
    pub(crate) processes: Processes,
    pub(crate) folder: PathBuf,
    _scratch: tempfile::TempDir,
}

/// Starts the guard.
pub(crate) async fn run() -> Run {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("dca-e2e-test");
    std::fs::create_dir(&folder).unwrap();
    let mut guard = Guard::start(Path::new(env!("CARGO_BIN_EXE_e2e"))).await.unwrap();
    guard.remove_at_the_end(&folder).unwrap();
    let processes = Processes::new(guard.group(), folder.join("logs")).unwrap();
    Run { guard, processes, folder, _scratch: scratch }
}

/// Another one for each run: two with the same choices take each other's ports between the moment
/// in which a port is released and that in which the program listens.
fn seed() -> u64 {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 32 | RUNS.fetch_add(1, Ordering::Relaxed)
}

impl Run {
    /// Starts the control plane.
    pub(crate) async fn start(&self, programs: &Programs) -> anyhow::Result<ControlPlane> {
        let plan = Plan {
            programs,
            processes: &self.processes,
            folder: &self.folder,
            ports: &mut Ports::new(seed()),
            timings: Timings::FAST,
        };
        ControlPlane::start(plan).await
    }
}
