//! Builds the harness and what it runs, then becomes it.

use std::{
    ffi::OsString,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};
use xshell::Shell;

use crate::project;

/// `cargo xtask e2e`: `--help` shows the harness's own options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Options and commands of the harness
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

impl Args {
    pub(crate) fn new(arguments: impl IntoIterator<Item = OsString>) -> Self {
        Self { arguments: arguments.into_iter().collect() }
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    let built = build(&shell)?;
    let mut command = Command::new(&built.harness);
    command.env(PROVIDER, &built.provider).args(&args.arguments);
    become_it(command).with_context(|| format!("cannot run {}", built.harness.display()))
}

/// Tells the harness which provider to test.
pub(crate) const PROVIDER: &str = "E2E_PROVIDER";

/// What was built.
pub(crate) struct Built {
    /// The harness, with the fake beside it.
    pub(crate) harness: PathBuf,
    /// The provider as it ships.
    pub(crate) provider: PathBuf,
}

/// Builds the provider in the release profile, harness and fake in the one that the tests use: what
/// is tested is what ships, and nobody waits for an optimised harness.
pub(crate) fn build(shell: &Shell) -> anyhow::Result<Built> {
    let root = project::root()?;
    shell.change_dir(&root);
    let build = || project::cargo(shell, &["build", "--quiet", "--bins"]);
    let harness = build().args(["--package=fake-datadog", "--package=e2e"]).run();
    let provider = build().args(["--release", "--package=provider"]).run();
    if harness.is_err() || provider.is_err() {
        bail!("the harness or the provider does not build, see above");
    }
    let target = project::target(&root);
    Ok(Built {
        harness: target.join("debug/e2e"),
        provider: target.join("release/datadog-cluster-agent"),
    })
}

/// On Unix the harness takes our place, so that signals and the exit code are its own.
#[cfg(unix)]
fn become_it(mut command: Command) -> anyhow::Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec().into())
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> anyhow::Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
