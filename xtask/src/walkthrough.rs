//! Builds the harness, which runs `docs/walkthrough.md`.

use std::{ffi::OsString, process::ExitCode};

use crate::e2e;

/// `cargo xtask walkthrough`: `--help` shows the harness's own options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Options of `e2e walkthrough`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let command = ["walkthrough".into()].into_iter();
    e2e::run(&e2e::Args::new(command.chain(args.arguments.iter().cloned())))
}
