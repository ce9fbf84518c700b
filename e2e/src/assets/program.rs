//! Which programs, in which versions, and how each of them says its version. All pure.

use std::{fmt, str::FromStr};

/// Pinned; `go/kubernetes/go.mod` says the same (a test compares them).
pub(crate) const KUBERNETES: Version = Version::new(1, 37, 2);
/// Pinned; `go/etcd/go.mod` says the same.
pub(crate) const ETCD: Version = Version::new(3, 7, 3);
/// Pinned; `go/kwok/go.mod` says the same.
pub(crate) const KWOK: Version = Version::new(0, 8, 0);

/// A program without which the `local` backend cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeScheduler,
    Kwok,
}

/// `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

// === impl Program ===

impl Program {
    pub(crate) const ALL: [Self; 5] = [
        Self::Etcd,
        Self::KubeApiserver,
        Self::KubeControllerManager,
        Self::KubeScheduler,
        Self::Kwok,
    ];

    /// File name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::KubeApiserver => "kube-apiserver",
            Self::KubeControllerManager => "kube-controller-manager",
            Self::KubeScheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }

    pub(crate) const fn is_kubernetes(self) -> bool {
        matches!(self, Self::KubeApiserver | Self::KubeControllerManager | Self::KubeScheduler)
    }

    /// The version that is downloaded or built, and that the harness is tested with.
    pub(crate) const fn pinned(self) -> Version {
        match self {
            Self::Etcd => ETCD,
            Self::Kwok => KWOK,
            _ => KUBERNETES,
        }
    }

    /// The oldest version that is taken from `--assets`.
    pub(crate) const fn oldest(self) -> Version {
        match self {
            // The first with --unsafe-no-fsync that is still maintained.
            Self::Etcd => Version::new(3, 5, 0),
            // Stages in v1alpha1 as they still are.
            Self::Kwok => Version::new(0, 6, 0),
            // The oldest release whose HPA controller has every field that the scenarios set.
            _ => Version::new(1, 31, 0),
        }
    }

    /// What stands before the version in the line that `--version` prints.
    const fn banner(self) -> &'static str {
        match self {
            Self::Etcd => "etcd Version: ",
            Self::Kwok => "kwok version ",
            _ => "Kubernetes v",
        }
    }

    /// The line that `--version` should print, for messages.
    pub(crate) fn wanted(self) -> String {
        let v = if self == Self::Kwok { "v" } else { "" };
        format!("{}{v}{}", self.banner(), self.pinned())
    }

    /// Reads the version out of what `--version` printed, `None` when it is something else.
    pub(crate) fn read_version(self, output: &str) -> Option<Version> {
        let line = output.lines().find_map(|line| line.strip_prefix(self.banner()))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Version ===

impl Version {
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    pub(crate) const fn major(self) -> u32 {
        self.major
    }

    pub(crate) const fn minor(self) -> u32 {
        self.minor
    }

    /// Kubernetes promises nothing across minor versions, and everything within one.
    pub(crate) const fn same_minor(self, other: Self) -> bool {
        self.major == other.major && self.minor == other.minor
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ();

    /// Takes a leading `v`, and ignores what follows `-` or `+` (as in `v1.37.2-eks-abc`).
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let core = text.split(['-', '+']).next().unwrap_or_default();
        let mut parts = core.split('.').map(|part| part.parse().map_err(drop));
        let mut next = || parts.next().unwrap_or(Err(()));
        let version = Self::new(next()?, next()?, next()?);
        if parts.next().is_some() { Err(()) } else { Ok(version) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(program: Program, output: &str, expected: Option<&str>) {
        let version = program.read_version(output).map(|version| version.to_string());
        assert_eq!(version.as_deref(), expected, "{program}: {output:?}");
    }

    #[test]
    fn each_program_says_its_version_in_its_own_way() {
        check(Program::KubeApiserver, "Kubernetes v1.37.2\n", Some("1.37.2"));
        check(Program::KubeScheduler, "Kubernetes v1.31.14-eks-3abbec1\n", Some("1.31.14"));
        check(
            Program::Etcd,
            "etcd Version: 3.7.3\nGit SHA: abc\nGo Version: go1.26.8\n",
            Some("3.7.3"),
        );
        check(Program::Kwok, "kwok version v0.8.0 go1.26.8 (linux/amd64)\n", Some("0.8.0"));
        check(Program::Kwok, "kwok version 0.8.0 go1.26.8 (linux/amd64)\n", Some("0.8.0"));
        check(Program::Kwok, "kwokctl version v0.8.0\n", None);
        check(Program::KubeApiserver, "", None);
        check(Program::KubeApiserver, "Kubernetes v0.0.0-master+$Format:%H$", Some("0.0.0"));
        check(Program::KubeApiserver, "Kubernetes v1.37", None);
        check(Program::Etcd, "etcd Version: 3.7.3.4", None);
    }

    #[test]
    fn what_is_wanted_is_what_would_be_accepted() {
        for program in Program::ALL {
            assert_eq!(program.read_version(&program.wanted()), Some(program.pinned()));
            assert!(program.pinned() >= program.oldest());
        }
    }

    #[test]
    fn the_go_modules_pin_the_same_versions() {
        for (go_mod, pin) in [
            (
                include_str!("../../go/kubernetes/go.mod"),
                format!("k8s.io/kubernetes v{KUBERNETES}"),
            ),
            (include_str!("../../go/etcd/go.mod"), format!("go.etcd.io/etcd/server/v3 v{ETCD}")),
            (include_str!("../../go/kwok/go.mod"), format!("sigs.k8s.io/kwok v{KWOK}")),
        ] {
            assert!(go_mod.contains(&pin), "{pin}");
        }
    }
}
