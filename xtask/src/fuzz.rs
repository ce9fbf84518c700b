//! Runs the fuzz targets of `fuzz/`.

use std::process::ExitCode;

use anyhow::bail;
use xshell::{Shell, cmd};

use crate::project;

/// What it takes.
const INSTALL: &str = "`rustup toolchain install nightly --profile minimal` and \
                       `cargo install --locked cargo-fuzz`";

/// `cargo xtask fuzz`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One target; all of them, one after another, when not given
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60, value_name = "N")]
    seconds: u32,
}

/// Fails at the first input on which a target panics; cargo-fuzz says where it is.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    // The toolchain that runs us is the stable one; nightly has to be asked for by name.
    let listed = cmd!(shell, "rustup run nightly cargo fuzz list").quiet().ignore_stderr().read();
    let Ok(listed) = listed else { bail!("fuzzing needs {INSTALL}") };
    let targets = match &args.target {
        Some(target) => vec![target.as_str()],
        None => listed.lines().collect(),
    };
    let limit = format!("-max_total_time={}", args.seconds);
    for target in targets {
        cmd!(shell, "rustup run nightly cargo fuzz run {target} -- {limit}").run()?;
    }
    Ok(ExitCode::SUCCESS)
}
