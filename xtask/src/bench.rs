//! Runs the benchmarks: of the fake, its parts by criterion and then the whole under load; of the
//! provider, what refreshing and what an answer of the API costs.

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
    /// Measure the provider's API: requests per second, latencies, start and memory, beside the
    /// sample adapter of the Go library where Go is on the machine
    Api {
        /// Options of the benchmark, such as `--metrics 100 --connections 1,16 --json`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    match &args.other {
        None => fake(&shell, args)?,
        Some(Other::Engine { options }) => provider(&shell, "engine", options)?,
        Some(Other::Api { options }) => provider(&shell, "api", options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn provider(shell: &Shell, name: &str, options: &[String]) -> anyhow::Result<()> {
    let bench = ["bench", "--quiet", "--package=provider", "--bench", name, "--"];
    let bench = project::cargo(shell, &bench).args(options);
    bench.run().with_context(|| format!("the benchmark of the provider's {name} failed"))
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
