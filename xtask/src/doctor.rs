//! Builds the harness alone, not what it tests, and has it look at the machine.

use std::process::{Command, ExitCode};

use anyhow::Context;
use xshell::Shell;

use crate::{e2e, project};

/// `cargo xtask doctor`: `--help` shows the harness's own options.
pub(crate) fn run(args: &e2e::Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    let root = project::root()?;
    shell.change_dir(&root);
    let build = ["build", "--quiet", "--bins", "--package=e2e"];
    project::cargo(&shell, &build).run().context("the harness does not build")?;
    let harness = project::target(&root).join("debug/e2e");
    let mut command = Command::new(&harness);
    command.arg("doctor").args(&args.arguments);
    e2e::become_it(command).with_context(|| format!("cannot run {}", harness.display()))
}
