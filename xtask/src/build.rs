//! What ships is built here, and once: `cargo xtask e2e` tests the very binary that is in the image.
//!
//! Static, so that an image needs nothing else; and free of the names of folders, so that the same
//! commit gives the same bytes in another checkout.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::project;

/// An architecture that images are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// 64-bit x86.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

/// How to build static binaries for an architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    triple: String,
    /// Where rustc's own choice would be for this machine.
    linker: Option<String>,
}

impl Target {
    /// As rustc calls it.
    pub(crate) fn triple(&self) -> &str {
        &self.triple
    }
}

impl Architecture {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// That of this machine.
    pub(crate) fn of_this_machine() -> Option<Self> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == std::env::consts::ARCH)
    }

    /// As images call it.
    pub(crate) fn platform(self) -> &'static str {
        match self {
            Self::X86_64 => "linux/amd64",
            Self::Aarch64 => "linux/arm64",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// musl where it is installed, as it is made for static programs; else a static glibc. An error
    /// says what is missing and how to get it.
    pub(crate) fn target(self, shell: &Shell) -> anyhow::Result<Target> {
        let name = self.name();
        let ours = cfg!(target_os = "linux") && std::env::consts::ARCH == name;
        let cross = |compiler: String| (!ours).then_some(compiler);

        let triple = format!("{name}-unknown-linux-musl");
        let compilers = [format!("{name}-linux-musl-gcc"), "musl-gcc".to_owned()];
        let compilers = if ours { &compilers[..] } else { &compilers[..1] };
        if let Some(compiler) = compilers.iter().find(|compiler| runs(compiler))
            && has_std(shell, &triple)
        {
            return Ok(Target { triple, linker: cross(compiler.clone()) });
        }
        let triple = format!("{name}-unknown-linux-gnu");
        let compiler = if ours { "cc".to_owned() } else { format!("{name}-linux-gnu-gcc") };
        if has_std(shell, &triple) && has_static_libc(shell, &compiler) {
            return Ok(Target { triple, linker: cross(compiler) });
        }
        bail!(
            "no static program can be built for {}: `rustup target add {name}-unknown-linux-musl` \
             and install {name}-linux-musl-gcc, or {compiler} with its libc.a",
            self.platform()
        )
    }
}

/// The provider as it ships: the image's binary, on Linux; elsewhere one that this machine can run.
pub(crate) fn provider(shell: &Shell) -> anyhow::Result<PathBuf> {
    let root = project::root()?;
    if cfg!(target_os = "linux") {
        let architecture = Architecture::of_this_machine();
        match architecture.map(|architecture| architecture.target(shell)) {
            Some(Ok(target)) => {
                return Ok(build(shell, &target, PROVIDER)?.join(PROVIDER.binaries[0]));
            }
            Some(Err(error)) => eprintln!("testing a provider that is not static: {error:#}"),
            None => {}
        }
    }
    let result =
        project::cargo(shell, &["build", "--quiet", "--release", "--package=provider"]).run();
    result.context("the provider does not build, see above")?;
    Ok(project::target(&root).join("release").join(PROVIDER.binaries[0]))
}

/// When a file was written; `None`, which is before all times, when it is not there.
pub(crate) fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|it| it.modified()).ok()
}

/// The folder that the programs of images are put into.
pub(crate) fn programs(target: &Target) -> anyhow::Result<PathBuf> {
    Ok(project::target(&project::root()?).join(&target.triple).join("programs"))
}

/// The programs of the images `products`; returns the folder that they were put into.
pub(crate) fn images(
    shell: &Shell,
    target: &Target,
    products: &[String],
) -> anyhow::Result<PathBuf> {
    let folder = programs(target)?;
    shell.create_dir(&folder)?;
    for set in [PROVIDER, TEST_PROGRAMS] {
        if set.products.iter().any(|product| products.iter().any(|wanted| wanted == product)) {
            let built = build(shell, target, set)?;
            for binary in set.binaries {
                let (from, to) = (built.join(binary), folder.join(binary));
                // A program that is the same keeps its time, by which old images are known.
                if modified(&to) <= modified(&from) {
                    shell.copy_file(from, to)?;
                }
            }
        }
    }
    Ok(folder)
}

/// Packages that are built together, which share the features of what they depend on. The provider
/// is alone, so that its features are the same whoever asks for it, and it is built once. The others
/// have a profile that builds quickly: their image is made anew after every change of the harness.
#[derive(Clone, Copy)]
struct Set {
    profile: &'static str,
    products: &'static [&'static str],
    packages: &'static [&'static str],
    binaries: &'static [&'static str],
}

const PROVIDER: Set = Set {
    profile: "release",
    products: &["cluster-agent"],
    packages: &["provider"],
    binaries: &["datadog-cluster-agent"],
};

const TEST_PROGRAMS: Set = Set {
    profile: "tools",
    products: &["fake-datadog", "e2e"],
    packages: &["fake-datadog", "e2e"],
    binaries: &["fake-datadog", "e2e"],
};

fn build(shell: &Shell, target: &Target, set: Set) -> anyhow::Result<PathBuf> {
    let root = project::root()?;
    let Target { triple, linker } = target;
    let profile = set.profile;
    let mut cargo = project::cargo(shell, &["build", "--quiet", "--target", triple])
        .args(["--profile", profile])
        .env("CARGO_ENCODED_RUSTFLAGS", flags(shell, &root)?.join("\x1f"));
    if let Some(linker) = linker {
        let name = triple.to_uppercase().replace('-', "_");
        cargo = cargo.env(format!("CARGO_TARGET_{name}_LINKER"), linker);
    }
    for package in set.packages {
        cargo = cargo.args(["--package", package]);
    }
    for binary in set.binaries {
        cargo = cargo.args(["--bin", binary]);
    }
    cargo.run().with_context(|| {
        format!("{} does not build for {triple}, see above", set.packages.join(" or "))
    })?;
    Ok(project::target(&root).join(triple).join(profile))
}

/// What rustc is told beyond the profile. These take the place of the caller's RUSTFLAGS: what ships
/// does not depend on who builds it.
fn flags(shell: &Shell, root: &Path) -> anyhow::Result<Vec<String>> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = cmd!(shell, "{rustc} --print sysroot").quiet().read()?;
    let version = cmd!(shell, "{rustc} -vV").quiet().read()?;
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: "));
    let commit = commit.with_context(|| format!("rustc does not tell its commit: {version}"))?;
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .context("there is no home folder for cargo: set CARGO_HOME")?;
    // Of two that fit the later one wins.
    let remapped = [
        (root.to_owned(), "/project".to_owned()),
        (project::target(root), "/project/target".to_owned()),
        (cargo_home, "/cargo".to_owned()),
        // As the standard library names its own files where its sources are not installed.
        (Path::new(&sysroot).join("lib/rustlib/src/rust"), format!("/rustc/{commit}")),
    ];
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    flags.extend(remapped.map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
    Ok(flags)
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn has_std(shell: &Shell, triple: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let folder = cmd!(shell, "{rustc} --print target-libdir --target {triple}").quiet();
    let Ok(folder) = folder.ignore_stderr().read() else { return false };
    let Ok(files) = std::fs::read_dir(folder) else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

fn has_static_libc(shell: &Shell, compiler: &str) -> bool {
    // The compiler repeats the name of a file that it does not have.
    let found = cmd!(shell, "{compiler} -print-file-name=libc.a").quiet().ignore_stderr().read();
    found.is_ok_and(|found| Path::new(&found).is_absolute())
}
