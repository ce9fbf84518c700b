//! Runs the benchmarks: of the fake, its parts by criterion and then the whole under load; of the
//! provider, what refreshing costs.

use std::process::ExitCode;

use anyhow::Context;
use xshell::Shell;

use crate::project;

/// `cargo xtask bench`: `--help` shows the load's own options.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    other: Option<Other>,

    /// Only fill the fake and ask it, without the benchmarks of its parts
    #[arg(long)]
    load_only: bool,

    /// Options of the load, such as `--rate 4000 --seconds 60`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// What is measured instead of the fake.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Measure the provider: calls, time, CPU and memory of one refresh
    Engine {
        /// Options of the benchmark, such as `--metrics 100,1000`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    match &args.other {
        None => fake(&shell, args)?,
        Some(Other::Engine { options }) => {
            let engine = ["bench", "--quiet", "--package=provider", "--bench", "engine", "--"];
            let engine = project::cargo(&shell, &engine).args(options);
            engine.run().context("the benchmark of the engine failed")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn fake(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let bench =
        |name: &'static str| ["bench", "--quiet", "--package=fake-datadog", "--bench", name];
    if !args.load_only {
        project::cargo(shell, &bench("store"))
            .run()
            .context("the benchmark of the store failed")?;
    }
    let load = project::cargo(shell, &bench("load")).arg("--").args(&args.options);
    load.run().context("the load failed")
}
