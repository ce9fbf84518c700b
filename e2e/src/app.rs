//! Runs what the command line asks for.

#![allow(clippy::print_stdout, reason = "the commands print their results")]

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, SystemTime},
};

use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;

use crate::{
    args::{Args, Command, Run},
    assets,
    cluster::existing::undo,
    doctor, forward, guard, image, interrupt, load,
    outcome::{Outcome, Verdict},
    parity::Decisions,
    report::{self, Colour, View},
    scenario::{Scenario, Settings},
    sweep, walkthrough,
    world::{Keep, World},
};

/// Time limit of a scenario: several times what one takes; and where all periods are the defaults.
const TIMEOUT: Duration = Duration::from_secs(300);
const REAL_TIME_TIMEOUT: Duration = Duration::from_secs(3600);

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
        Some(Command::Down(args)) => {
            removed(&sweep::down(&args.options()?).await?, "nothing was kept");
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Sweep(args)) => {
            removed(&sweep::sweep(&args.options()?).await?, "nothing was left behind");
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Undo { file }) => undo::run_file(&file).await.map(|()| ExitCode::SUCCESS),
        Some(Command::Doctor(args)) => doctor::run(*args).await,
        Some(Command::Load(args)) => {
            interrupt::cancel_on_signal(stop.clone())?;
            load::run(args, stop).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Walkthrough(args)) => {
            interrupt::cancel_on_signal(stop.clone())?;
            let places = walkthrough::Places {
                root: repository()?,
                ours: beside_us()?,
                images: target_folder().join("images"),
                artifacts: target_folder().join("e2e"),
            };
            walkthrough::run(*args, places, stop).await
        }
        Some(Command::Guard) => Ok(guard::run()),
        Some(Command::Forward(args)) => {
            interrupt::cancel_on_signal(stop.clone())?;
            forward::run(args, stop).await.map(|()| ExitCode::SUCCESS)
        }
        Some(Command::Image(args)) => image::run(args).await.map(|()| ExitCode::SUCCESS),
    }
}

async fn run_scenarios(args: Run) -> anyhow::Result<ExitCode> {
    let options = args.assets.clone().options()?;
    let mut backends = Vec::new();
    for backend in args.backends() {
        backends.push(backend.resolve(&options, &args.backend).await);
    }
    if args.which_cluster {
        for (backend, why) in backends {
            println!("{}: {}", backend.name(), why.as_deref().unwrap_or("asked for"));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let stop = CancellationToken::new();
    interrupt::cancel_on_signal(stop.clone())?;
    let view = View::of(&args);
    let scenarios = args.scenario.clone();
    let scenarios = if scenarios.is_empty() { vec![Scenario::Walkthrough] } else { scenarios };
    for line in sweep::sweep(&options).await? {
        println!("left behind by an earlier run: {line}");
    }
    let compare = args.parity.is_some();
    let mut world = world(args, options, &view, &stop)?;
    let mut outcomes = Vec::new();
    let mut equal = true;
    for scenario in scenarios {
        let first = outcomes.len();
        for (backend, why) in &backends {
            if let Some(why) = why {
                println!("cluster: {}, because {why}", backend.name());
            }
            let outcome = world.run(scenario, *backend).await?;
            report::text(&outcome, view.colour, &mut io::stdout())?;
            outcomes.push(outcome);
            if stop.is_cancelled() {
                break;
            }
            world.seed = world.seed.wrapping_add(1);
        }
        if compare {
            equal &= print_parity(&outcomes[first..]);
        }
        if stop.is_cancelled() {
            break;
        }
    }
    if outcomes.len() > 1 {
        println!();
        report::summary(&outcomes, view.colour, &mut io::stdout())?;
    }
    let verdict = Verdict::worst(outcomes.iter().map(|outcome| outcome.verdict));
    let verdict = if equal { verdict } else { Verdict::worst([verdict, Verdict::Failed]) };
    Ok(verdict.exit_code().into())
}

fn world(
    args: Run,
    options: assets::Options,
    view: &Display,
    stop: &CancellationToken,
) -> anyhow::Result<World> {
    let ours = beside_us()?;
    let provider = args.provider.unwrap_or_else(|| ours.join("datadog-cluster-agent"));
    ensure!(
        provider.is_file(),
        "there is no provider at {}: start with `cargo xtask e2e`, which builds it, or name one \
         with --provider",
        provider.display()
    );
    let usual = if args.backend.real_time { REAL_TIME_TIMEOUT } else { TIMEOUT };
    Ok(World {
        options,
        provider,
        ours,
        root: repository()?,
        settings: Settings { rate_per_s: args.rate, fault_for: args.fault_for },
        seed: args.seed.unwrap_or_else(random_seed),
        // A rate limit's period must begin, pass, and be over.
        timeout: args.timeout.unwrap_or(usual + args.fault_for.unwrap_or_default() * 3),
        images: args.backend.images.clone().unwrap_or_else(|| target_folder().join("images")),
        backend: args.backend,
        artifacts: args.artifacts.unwrap_or_else(|| target_folder().join("e2e")),
        keep: if args.keep { Keep::Running } else { Keep::Nothing },
        view: view.kind,
        colour: view.colour,
        stop: stop.clone(),
    })
}

/// Compares the runs of one scenario with the first of them; whether all came to the same.
fn print_parity(outcomes: &[Outcome]) -> bool {
    let Some((first, others)) = outcomes.split_first() else { return false };
    let decisions = Decisions::of(first);
    let mut equal = !others.is_empty();
    println!();
    for other in others {
        let differences = decisions.differences(&Decisions::of(other));
        let both = format!("{} on {} and {}", first.scenario, first.cluster, other.cluster);
        if differences.is_empty() {
            let count = decisions.assertions.len();
            println!("✓ {both}: same decisions ({}; {count} assertions)", decisions.path());
            continue;
        }
        equal = false;
        println!("✗ {both}: different decisions");
        for line in differences {
            println!("    {line}");
        }
    }
    equal
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

fn removed(lines: &[String], nothing: &str) {
    if lines.is_empty() {
        println!("{nothing}");
    }
    for line in lines {
        println!("{line}");
    }
}

fn init_log(verbose: u8) {
    let level = match verbose {
        // What the client makes of a 503 is an observation of the run, not trouble of the harness.
        0 => "warn,kube_client=off",
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
/// the one that xtask names. The place of the build is not baked in: builds elsewhere give the same
/// binary.
fn repository() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("current folder")?;
    let named = std::env::var_os("E2E_ROOT").map(PathBuf::from);
    here.ancestors()
        .chain(named.as_deref())
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
