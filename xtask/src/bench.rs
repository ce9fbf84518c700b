//! Runs the benchmarks of the fake: the parts by criterion, then the whole under load.

use std::process::ExitCode;

use anyhow::Context;
use xshell::Shell;

use crate::project;

/// `cargo xtask bench`: `--help` shows the load's own options.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only fill the fake and ask it, without the benchmarks of its parts
    #[arg(long)]
    load_only: bool,

    /// Options of the load, such as `--rate 4000 --seconds 60`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    let bench =
        |name: &'static str| ["bench", "--quiet", "--package=fake-datadog", "--bench", name];
    if !args.load_only {
        project::cargo(&shell, &bench("store"))
            .run()
            .context("the benchmark of the store failed")?;
    }
    let load = project::cargo(&shell, &bench("load")).arg("--").args(&args.options);
    load.run().context("the load failed")?;
    Ok(ExitCode::SUCCESS)
}
