//! The commands: each asks the agent, or nobody, and prints text for people or JSON.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, FromArgMatches};
use serde::Serialize;

use crate::{
    agent::{
        config::{self, Settings},
        flare::VERSION,
        health::Health,
        status::Status,
    },
    app,
    args::{Args, Command, commands},
    cli::{connect::Agent, paint::Paint},
    scrub,
};

mod check;
pub mod connect;
mod explain;
mod flare;
mod forms;
pub mod metamap;
mod number;
pub mod paint;
pub mod status;

/// The name of the program.
const NAME: &str = "datadog-cluster-agent";

/// Does what the command line says, and tells the exit code.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let (args, settings) = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    match run(args, settings).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{NAME}: {}", app::one_line(&error));
            ExitCode::FAILURE
        }
    }
}

/// The command, and the settings that it has.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<(Args, Settings), clap::Error> {
    let mut command = Args::command();
    let matches = command.try_get_matches_from_mut(named(arguments))?;
    let args = Args::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    let sub = matches.subcommand().and_then(|(name, sub)| Some((find(&command, name)?, sub)));
    let settings = sub.map(|(command, matches)| Settings::of(command, matches));
    Ok((args, settings.unwrap_or_default()))
}

fn find<'a>(command: &'a clap::Command, name: &str) -> Option<&'a clap::Command> {
    command.get_subcommands().find(|sub| sub.get_name() == name)
}

/// As `env`, a link in the image, we are the command of that name: there is no other one in it.
fn named(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    let name = arguments.first().and_then(|first| Path::new(first).file_name());
    if name == Some(OsStr::new("env")) {
        arguments.insert(1, "env".into());
    }
    arguments
}

async fn run(args: Args, settings: Settings) -> anyhow::Result<ExitCode> {
    let paint = Paint::of_stdout();
    match args.command {
        Command::Run(run) => {
            app::run(*run, settings).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(ask) => {
            let status: Status = get(&ask, "/status").await?;
            show(ask.json, &status, |status| status::text(status, paint))
        }
        Command::Flare(args) => flare::run(&args, &settings).await,
        Command::Metamap(commands::Metamap { node, ask }) => {
            let path = node.map_or_else(String::new, |node| format!("/{}", forms::segment(&node)));
            let map: metamap::Metamap = get(&ask, &format!("/api/v1/tags/pod{path}")).await?;
            show(ask.json, &map, metamap::text)
        }
        Command::Health(ask) => {
            let health: Health = get(&ask, "/status/health").await?;
            show(ask.json, &health, |health| forms::health(health, paint))?;
            Ok(if health.unhealthy.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Version(args) => {
            show(args.json, &VERSION, |version| format!("{NAME} {}\n", version.version))
        }
        Command::Config(args) => {
            let settings =
                if args.local { local()?.shown } else { get(&args.ask, "/config").await? };
            show(args.ask.json, &settings, |settings| forms::config(settings))
        }
        Command::Env(args) => {
            let scrubber = settings.scrubber(config::environment());
            let shown = scrub::environment(config::environment(), &scrubber);
            let shown = forms::Environment(shown);
            show(args.json, &shown, forms::Environment::text)
        }
        Command::CheckConfig(args) => {
            let findings = check::all(&args).await;
            show(args.json, &findings, |findings| check::text(findings, paint))?;
            Ok(if check::is_good(&findings) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Explain(args) => Box::pin(explain::run(&args)).await,
        Command::Completion(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut script);
            print(&script)
        }
    }
}

async fn get<T: serde::de::DeserializeOwned>(
    ask: &commands::Ask,
    path: &str,
) -> Result<T, connect::Error> {
    Agent::connect(&ask.connect).await?.get(path).await
}

/// What `run` would have with the environment that this process has.
fn local() -> Result<Settings, clap::Error> {
    let (_, settings) = parse([NAME, "run"].map(OsString::from))?;
    Ok(settings)
}

fn show<T: Serialize>(
    json: bool,
    value: &T,
    text: impl FnOnce(&T) -> String,
) -> anyhow::Result<ExitCode> {
    let text = if json { serde_json::to_string_pretty(value)? + "\n" } else { text(value) };
    print(text.as_bytes())
}

/// To standard output. A reader that has read enough, such as `head`, is no error.
fn print(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("standard output cannot be written: {error}"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests;
