//! What is known about the machine: data only, so that every finding and remedy can be tested.

use std::path::PathBuf;

use crate::{assets::Survey, doctor::ready::ContainerProgram};

/// Everything that the checks look at.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) machine: Machine,
    pub(crate) local: Local,
    pub(crate) kind: Kind,
    pub(crate) existing: Existing,
    pub(crate) building: Building,
}

/// What more than one group asks about. Whatever cannot be found out is `None`.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) os: String,
    pub(crate) arch: String,
    pub(crate) root: bool,
    /// In bytes.
    pub(crate) memory_available: Option<u64>,
    /// The folder for temporary files, where a run keeps its etcd.
    pub(crate) temp: Disk,
}

/// A folder and the space that is free on its file system for who asks, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    pub(crate) free: Option<u64>,
}

/// For the `local` backend.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    pub(crate) survey: Survey,
    /// Why `/proc` cannot be used: by it processes are told apart.
    pub(crate) proc: Result<(), String>,
    /// Why there are no free ports on loopback.
    pub(crate) ports: Result<(), String>,
    /// Where programs that are not there would be downloaded from, and why that host does not answer;
    /// asked only about programs that are not there.
    pub(crate) downloads: Vec<(String, Result<(), String>)>,
    /// Whether `apt-get` is there, to install nginx with.
    pub(crate) apt_get: bool,
    /// Folders of runs that were kept.
    pub(crate) kept: Vec<PathBuf>,
}

/// For the `kind` backend.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) node_image: String,
    /// The program, and what it says its version is.
    pub(crate) program: Option<(PathBuf, Result<String, String>)>,
    /// In the order in which they are tried.
    pub(crate) engines: Vec<(ContainerProgram, Engine)>,
    /// Of this machine, which the engine may not run on.
    pub(crate) kernel: Kernel,
}

/// What the kernel of this machine grants to containers.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// `/proc/sys/kernel/osrelease`.
    pub(crate) release: Option<String>,
    /// Capabilities that no process here can exceed, as a bit set (capabilities(7)).
    pub(crate) bounding_set: Option<u64>,
    /// `fs.inotify.max_user_watches`.
    pub(crate) inotify_watches: Option<u64>,
    /// `fs.inotify.max_user_instances`.
    pub(crate) inotify_instances: Option<u64>,
}

/// docker or podman.
#[derive(Debug, Clone)]
pub(crate) enum Engine {
    /// Its program is not on the search path.
    NotInstalled,
    /// The program is there; what was said instead of an answer.
    Silent { said: String },
    /// It answers.
    Answers(Box<Answers>),
}

/// What docker or podman says about itself.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    pub(crate) program: PathBuf,
    pub(crate) version: String,
    /// `linux`, or `windows` when docker is switched to those containers.
    pub(crate) os: String,
    /// Of the machine that the containers run on.
    pub(crate) kernel: String,
    pub(crate) storage_driver: String,
    pub(crate) image_store: ImageStore,
    pub(crate) cgroup: Option<u8>,
    pub(crate) rootless: bool,
    /// The OCI runtime that containers are started with.
    pub(crate) default_runtime: String,
    /// Where images and containers are; its free space only when that is on this machine.
    pub(crate) root: Disk,
    pub(crate) node_image: NodeImageFact,
    /// Names of the kind clusters that carry our prefix.
    pub(crate) our_clusters: Vec<String>,
}

/// Where docker keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageStore {
    /// In the storage driver's own form.
    Classic,
    /// In containerd (<https://docs.docker.com/engine/storage/containerd/>).
    Containerd,
}

/// What is known about the node image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeImageFact {
    Present,
    /// Not there; its registry answers, by the name given here.
    CanBePulled(String),
    /// Not there, and no registry that has it answers.
    CannotBePulled(String),
}

/// For the `existing` backend.
#[derive(Debug, Clone)]
pub(crate) struct Existing {
    /// Names of the contexts and the current one; or why there is no kubeconfig to read.
    pub(crate) contexts: Result<(Vec<String>, Option<String>), String>,
}

/// For whoever builds the project or its images.
#[derive(Debug, Clone)]
pub(crate) struct Building {
    /// What `rustc --version` prints.
    pub(crate) rustc: Result<String, String>,
    /// What `cc --version` prints first.
    pub(crate) cc: Result<String, String>,
    /// Rust's musl target for this architecture is installed.
    pub(crate) musl: bool,
    /// glibc can be linked statically.
    pub(crate) static_glibc: bool,
    /// What `go env GOVERSION` prints.
    pub(crate) go: Result<String, String>,
    /// The current folder, for `target`.
    pub(crate) here: Disk,
}
