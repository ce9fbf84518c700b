//! Builds the programs that the images are made of, then lets the harness pack them.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use xshell::{Cmd, Shell, cmd};

use crate::{
    build::{self, Architecture},
    e2e, project,
};

/// `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which images
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = PRODUCTS, default_values = PRODUCTS)]
    only: Vec<String>,
    /// Where the archives go [default: target/images]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// For which machines [default: this one, and the others that can be built for]
    #[arg(long, num_args = 1.., value_parser = architecture, value_name = "PLATFORM")]
    platform: Vec<Architecture>,
    /// Load the images into docker, or podman
    #[arg(long)]
    docker: bool,
    /// Load the images into this kind cluster
    #[arg(long, value_name = "CLUSTER")]
    kind: Option<String>,
}

const PRODUCTS: [&str; 3] = ["cluster-agent", "fake-datadog", "e2e"];

/// Tells the harness where the images are.
pub(crate) const IMAGES: &str = "E2E_IMAGES";

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    let out = args.out.clone().map_or_else(folder, Ok)?;
    let mut pack = pack(&shell, &targets(&shell, &args.platform)?, &args.only, &out)?;
    if args.docker {
        pack = pack.arg("--docker");
    }
    if let Some(cluster) = &args.kind {
        pack = pack.args(["--kind", cluster]);
    }
    // What went wrong was said by the harness, in one line.
    Ok(if pack.run().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes all images for this machine, and says nothing; returns the folder that holds them, which the
/// harness is told in [`IMAGES`].
pub(crate) fn build(shell: &Shell) -> anyhow::Result<PathBuf> {
    let out = folder()?;
    let ours = Architecture::of_this_machine().context("no image runs on this machine")?;
    let targets = [(ours, ours.target(shell)?)];
    let programs = build::programs(&targets[0].1)?;
    let pack = pack(shell, &targets, &PRODUCTS.map(str::to_owned), &out)?;
    if !is_fresh(shell, &out, &programs)? {
        pack.ignore_stdout().run()?;
    }
    Ok(out)
}

/// Whether every archive is newer than all programs, which were built just now: to compress them again
/// takes as long as a cluster takes to start.
fn is_fresh(shell: &Shell, out: &Path, programs: &Path) -> anyhow::Result<bool> {
    let archives = PRODUCTS.map(|name| build::modified(&out.join(format!("{name}.docker.tar"))));
    let programs = shell.read_dir(programs)?;
    let newest = programs.iter().map(|program| build::modified(program)).max().flatten();
    Ok(newest.is_some() && archives.iter().all(|archive| newest < *archive))
}

type Targets = [(Architecture, build::Target)];

/// The command that packs the programs, which are built before it returns.
fn pack<'a>(
    shell: &'a Shell,
    targets: &Targets,
    products: &[String],
    out: &PathBuf,
) -> anyhow::Result<Cmd<'a>> {
    let harness = e2e::harness(shell)?;
    let origin = Origin::of_checkout(shell)?;
    let created = origin.created;
    let mut pack = cmd!(shell, "{harness} image --out {out} --created {created}").quiet();
    if let Some(revision) = origin.revision {
        pack = pack.args(["--revision", &revision]);
    }
    for (architecture, target) in targets {
        let binaries = build::images(shell, target, products)?;
        let (platform, triple) = (architecture.platform(), target.triple());
        pack = pack.arg("--binaries").arg(format!("{platform}:{triple}={}", binaries.display()));
    }
    Ok(pack.arg("--only").args(products))
}

/// What is asked for must be possible; of what is not asked for, what is possible.
fn targets(
    shell: &Shell,
    asked: &[Architecture],
) -> anyhow::Result<Vec<(Architecture, build::Target)>> {
    let mut targets = Vec::new();
    for architecture in Architecture::ALL {
        if !asked.is_empty() && !asked.contains(&architecture) {
            continue;
        }
        let needed = !asked.is_empty() || Some(architecture) == Architecture::of_this_machine();
        match architecture.target(shell) {
            Ok(target) => targets.push((architecture, target)),
            Err(error) if needed => return Err(error),
            Err(error) => println!("skipped: {error:#}"),
        }
    }
    if targets.is_empty() {
        bail!("no image can be built here: name a platform with --platform");
    }
    Ok(targets)
}

/// What the images say about where they come from.
struct Origin {
    revision: Option<String>,
    created: String,
}

impl Origin {
    /// <https://reproducible-builds.org/docs/source-date-epoch/>; without it the commit's time, and
    /// without a commit the first second of all.
    fn of_checkout(shell: &Shell) -> anyhow::Result<Self> {
        let git =
            |words: &[&str]| cmd!(shell, "git {words...}").quiet().ignore_stderr().read().ok();
        let changed = git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty());
        let revision = git(&["rev-parse", "HEAD"])
            .map(|commit| if changed { format!("{commit}-dirty") } else { commit });
        let created = match std::env::var_os("SOURCE_DATE_EPOCH") {
            Some(seconds) => seconds
                .into_string()
                .ok()
                .context("SOURCE_DATE_EPOCH is not a number of seconds")?,
            None => git(&["log", "-1", "--format=%ct"]).unwrap_or_else(|| "0".to_owned()),
        };
        Ok(Self { revision, created })
    }
}

fn folder() -> anyhow::Result<PathBuf> {
    Ok(project::target(&project::root()?).join("images"))
}

fn architecture(text: &str) -> Result<Architecture, String> {
    let found = Architecture::ALL.into_iter().find(|known| known.platform() == text);
    found.ok_or_else(|| "choose linux/amd64 or linux/arm64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_called_as_images_call_them() {
        for known in Architecture::ALL {
            assert_eq!(architecture(known.platform()), Ok(known));
        }
        assert_eq!(architecture("x86_64"), Err("choose linux/amd64 or linux/arm64".to_owned()));
    }
}
