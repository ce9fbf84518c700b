//! Builds the harness alone, not what it tests, and has it look at the machine.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::Context;
use xshell::Shell;

use crate::{e2e, project};

/// `cargo xtask doctor`: `--help` shows the harness's own options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Options of the harness's command `doctor`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
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
