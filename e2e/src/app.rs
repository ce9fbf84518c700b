//! Runs what the command line asks for.

#![allow(clippy::print_stdout, reason = "the commands print their results")]

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Args, Backend, Command, Run},
    forward, guard, interrupt, load,
    outcome::Verdict,
    report::{self, Colour, View},
    scenario::{Scenario, Settings},
    walkthrough,
    world::{Keep, World},
};

/// Runs the command of `args`; an error is one that left the harness unable to decide.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    match args.command {
        None => {
            init_log(args.run.verbose);
            run_scenarios(args.run).await
        }
        Some(Command::List) => {
            for scenario in Scenario::ALL {
                println!("{:<22}{}", scenario.name(), scenario.description());
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Down) => down(),
        Some(Command::Load(args)) => {
            interrupt::cancel_on_signal(stop.clone())?;
            load::run(args, stop).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Walkthrough(args)) => {
            interrupt::cancel_on_signal(stop.clone())?;
            walkthrough::run(args, &repository()?, stop).await
        }
        Some(Command::Guard) => Ok(guard::run()),
        Some(Command::Forward(args)) => {
            interrupt::cancel_on_signal(stop.clone())?;
            forward::run(args, stop).await.map(|()| ExitCode::SUCCESS)
        }
    }
}

async fn run_scenarios(args: Run) -> anyhow::Result<ExitCode> {
    let (Backend::Auto | Backend::Local) = args.cluster;
    let stop = CancellationToken::new();
    interrupt::cancel_on_signal(stop.clone())?;
    let view = View::of(&args);
    let scenarios =
        if args.scenario.is_empty() { vec![Scenario::Walkthrough] } else { args.scenario };
    let ours = beside_us()?;
    let provider = args.provider.unwrap_or_else(|| ours.join("datadog-cluster-agent"));
    ensure!(
        provider.is_file(),
        "there is no provider at {}: start with `cargo xtask e2e`, which builds it, or name one \
         with --provider",
        provider.display()
    );
    let mut world = World {
        options: args.assets.options()?,
        provider,
        ours,
        root: repository()?,
        settings: Settings { rate_per_s: args.rate },
        seed: args.seed.unwrap_or_else(random_seed),
        timeout: args.timeout,
        artifacts: args.artifacts.unwrap_or_else(|| target_folder().join("e2e")),
        keep: if args.keep { Keep::Running } else { Keep::Nothing },
        view: view.kind,
        colour: view.colour,
        stop: stop.clone(),
    };
    let mut outcomes = Vec::new();
    for scenario in scenarios {
        let outcome = world.run(scenario).await?;
        report::text(&outcome, view.colour, &mut io::stdout())?;
        outcomes.push(outcome);
        if stop.is_cancelled() {
            break;
        }
        world.seed = world.seed.wrapping_add(1);
    }
    if outcomes.len() > 1 {
        println!();
        report::summary(&outcomes, view.colour, &mut io::stdout())?;
    }
    Ok(Verdict::worst(outcomes.iter().map(|outcome| outcome.verdict)).exit_code().into())
}

struct Display {
    kind: View,
    colour: Colour,
}

impl View {
    fn of(args: &Run) -> Display {
        let terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Display {
            // The live view and a log would write over each other.
            kind: if terminal && args.verbose == 0 { View::Live } else { View::Plain },
            colour: if terminal && !no_colour { Colour::On } else { Colour::Off },
        }
    }
}

fn down() -> anyhow::Result<ExitCode> {
    let kept = guard::list_kept(&std::env::temp_dir())?;
    if kept.is_empty() {
        println!("nothing was kept");
    }
    for state in kept {
        println!("{}", guard::down(&state)?);
    }
    Ok(ExitCode::SUCCESS)
}

fn init_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "e2e=debug,warn",
        _ => "e2e=trace,info",
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
}

/// The folder of this program: provider and fake are built into the same one.
fn beside_us() -> anyhow::Result<PathBuf> {
    let us = std::env::current_exe().context("where this program is")?;
    us.parent().map(Path::to_owned).context("this program is in no folder")
}

/// The checkout, for its manifests: the current folder or the first above it that has them, else
/// where this program was built.
fn repository() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("current folder")?;
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .chain(built.ancestors())
        .find(|folder| folder.join("manifests/cluster-agent").is_dir())
        .map(Path::to_owned)
        .with_context(|| {
            format!("no folder `manifests` in {} or above it: run in the checkout", here.display())
        })
}

fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 32)
}
