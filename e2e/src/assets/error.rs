//! What can go wrong on the way to the programs, each with its remedy.

use std::{collections::BTreeMap, fmt, io, path::PathBuf};

use crate::assets::program::{KUBERNETES, Program};

/// Why there are no programs to run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program in the assets is there, but cannot be used.
    #[error(
        "{program} at {} {said}, wanted `{wanted}` (or another version from {oldest} on): put such \
         a file there, or leave it out of the assets and it is downloaded or built",
        path.display()
    )]
    Unusable {
        /// Its name.
        program: String,
        /// Where it was found.
        path: PathBuf,
        /// What happened when it was run.
        said: String,
        /// What `--version` should have printed.
        wanted: String,
        /// The oldest version that will do.
        oldest: String,
    },
    /// The three Kubernetes programs were found, but not of one minor version.
    #[error(
        "the Kubernetes programs are of different minor versions ({found}): put all three of one \
         version into the assets, or none and v{KUBERNETES} is downloaded or built"
    )]
    MixedVersions {
        /// Each program with its version and path.
        found: String,
    },
    /// The cache folder cannot be written.
    #[error(
        "cannot write the cache {}: {source}; name another folder with --cache-dir",
        path.display()
    )]
    Cache {
        /// Its root.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Neither flag nor environment say where the cache is.
    #[error(
        "no cache folder: --cache-dir, XDG_CACHE_HOME and HOME are all unset; give --cache-dir"
    )]
    NoCacheFolder,
    /// None of the four ways led to some of the programs.
    #[error("{0}")]
    Missing(Missing),
    /// There is no nginx, and it cannot be installed here.
    #[error(
        "no nginx in {looked_in}, and {install}: install it (on Debian: apt-get install \
         nginx-light), or put it into the folder given with --assets"
    )]
    NoNginx {
        /// The folders searched.
        looked_in: String,
        /// Why it was not installed.
        install: String,
    },
    /// An nginx was found that cannot serve the status page.
    #[error(
        "nginx at {} {said}, wanted one built --with-http_stub_status_module: install nginx-light, \
         or put such an nginx into the folder given with --assets",
        path.display()
    )]
    UnusableNginx {
        /// Where it was found.
        path: PathBuf,
        /// What happened when `nginx -V` was run.
        said: String,
    },
}

/// One of the four ways to a program, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Assets,
    Cache,
    Download,
    GoBuild,
}

/// Programs that are nowhere to be had, and what each way said about each of them.
#[derive(Debug, Default)]
pub struct Missing {
    programs: Vec<Program>,
    said: BTreeMap<Way, Vec<(Program, String)>>,
}

// === impl Missing ===

impl Missing {
    /// Keeps of `attempts` what is about `programs`.
    pub(crate) fn new(programs: Vec<Program>, attempts: Vec<(Way, Program, String)>) -> Self {
        let mut said: BTreeMap<Way, Vec<_>> = BTreeMap::new();
        for (way, program, reason) in attempts {
            if programs.contains(&program) {
                said.entry(way).or_default().push((program, reason));
            }
        }
        Self { programs, said }
    }
}

impl fmt::Display for Missing {
    /// The first line says it all; the indented ones below have the details, way by way.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no {} to be had: give a folder that holds them with --assets DIR (or E2E_ASSETS), make \
             one of the ways below work, or use --cluster kind",
            names(&self.programs)
        )?;
        for (way, said) in &self.said {
            for (programs, reason) in grouped(said) {
                write!(f, "\n  {way}: ")?;
                if programs.len() < self.programs.len() {
                    write!(f, "{}: ", names(&programs))?;
                }
                f.write_str(reason)?;
            }
        }
        Ok(())
    }
}

/// Programs about which the same was said, together; in the order of first mention.
pub(crate) fn grouped(said: &[(Program, String)]) -> Vec<(Vec<Program>, &str)> {
    let mut groups: Vec<(Vec<Program>, &str)> = Vec::new();
    for (program, reason) in said {
        match groups.iter_mut().find(|(_, known)| known == reason) {
            Some((programs, _)) => programs.push(*program),
            None => groups.push((vec![*program], reason)),
        }
    }
    groups
}

/// `a, b and c`.
pub(crate) fn names(programs: &[Program]) -> String {
    let names: Vec<_> = programs.iter().map(|program| program.name()).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// An error and its causes on one line, without repeating what a cause's text already holds.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

// === impl Way ===

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assets => "assets",
            Self::Cache => "cache",
            Self::Download => "download",
            Self::GoBuild => "go build",
        })
    }
}
