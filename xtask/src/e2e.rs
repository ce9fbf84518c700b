//! Builds the harness and what it runs, then becomes it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Context;
use xshell::Shell;

use crate::{build, image, project};

/// What is handed on to the harness as it is; `--help` shows the harness's own options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Options and commands of the harness
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    let built = build(&shell)?;
    let mut command = Command::new(&built.harness);
    command.env(PROVIDER, &built.provider).env(ROOT, project::root()?).args(&args.arguments);
    if needs_images(&built.harness, &args.arguments) && env::var_os(image::IMAGES).is_none() {
        command.env(image::IMAGES, image::build(&shell)?);
    }
    become_it(command).with_context(|| format!("cannot run {}", built.harness.display()))
}

/// Whether the harness would run on a cluster of pods. It knows best what `auto` stands for; where it
/// does not understand its arguments, it will say so itself.
fn needs_images(harness: &Path, arguments: &[OsString]) -> bool {
    let chosen = which_clusters(harness, arguments);
    chosen.iter().any(|(cluster, _)| ["kind", "existing"].contains(&cluster.as_str()))
}

/// On which clusters the harness would run with these arguments, and why on those.
pub(crate) fn which_clusters(harness: &Path, arguments: &[OsString]) -> Vec<(String, String)> {
    let asked = Command::new(harness).arg("--which-cluster").args(arguments).output();
    let answer = asked.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&answer)
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(cluster, why)| (cluster.to_owned(), why.to_owned()))
        .collect()
}

/// The names of all scenarios: each takes some 20 s on `local`.
pub(crate) fn scenarios(harness: &Path) -> anyhow::Result<Vec<String>> {
    let listed = Command::new(harness).arg("list").output();
    let listed = listed.with_context(|| format!("cannot run {}", harness.display()))?;
    let lines = String::from_utf8_lossy(&listed.stdout);
    Ok(lines.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_owned())).collect())
}

/// Tells the harness which provider to test.
pub(crate) const PROVIDER: &str = "E2E_PROVIDER";

/// Tells the harness where the checkout is, for its manifests.
pub(crate) const ROOT: &str = "E2E_ROOT";

/// What was built.
pub(crate) struct Built {
    /// The harness, with the fake beside it.
    pub(crate) harness: PathBuf,
    /// The provider as it ships.
    pub(crate) provider: PathBuf,
}

/// Builds the provider as it ships, harness and fake in the profile that the tests use: what is
/// tested is what ships, and nobody waits for an optimised harness.
pub(crate) fn build(shell: &Shell) -> anyhow::Result<Built> {
    shell.change_dir(project::root()?);
    let harness = harness(shell);
    let provider = build::provider(shell);
    Ok(Built { harness: harness?, provider: provider? })
}

/// Builds harness and fake.
pub(crate) fn harness(shell: &Shell) -> anyhow::Result<PathBuf> {
    let packages = ["--package=fake-datadog", "--package=e2e"];
    let build = project::cargo(shell, &["build", "--quiet", "--bins"]).args(packages);
    build.run().context("the harness does not build, see above")?;
    Ok(project::target(&project::root()?).join("debug/e2e"))
}

/// On Unix the harness takes our place, so that signals and the exit code are its own.
#[cfg(unix)]
pub(crate) fn become_it(mut command: Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
pub(crate) fn become_it(mut command: Command) -> anyhow::Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
