//! The command line of the harness. It is shown as `cargo xtask e2e`, which runs it.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, ValueEnum};

use crate::{
    assets,
    backend::{self, Backend},
    doctor, forward, image, load,
    scenario::Scenario,
    walkthrough,
};

/// Bring up a cluster, put real load on a real nginx, and assert that the HPA follows
///
/// Exit code: 0 passed, 1 failed (an assertion said no), 2 misuse, 3 errored (could not decide).
#[derive(Debug, Parser)]
#[command(
    name = "e2e",
    bin_name = "cargo xtask e2e",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
pub struct Args {
    /// What else to do.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A run.
    #[command(flatten)]
    pub run: Run,
}

/// What else the harness does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the scenarios
    List,
    /// Remove everything that runs with --keep and --reuse left behind
    Down(assets::Args),
    /// Remove everything that runs left behind that were killed
    Sweep(assets::Args),
    /// Say what will work on this machine, and what to do about the rest
    Doctor(Box<doctor::Args>),
    /// Put open-loop load on a URL of this machine
    Load(load::Args),
    /// Run every command of docs/walkthrough.md, and write what they print into the page
    Walkthrough(Box<walkthrough::Args>),
    /// (started by a run) ends its processes when the run is gone
    #[command(hide = true)]
    Guard,
    /// (started by a run) plays kube-proxy for the provider's Service
    #[command(hide = true)]
    Forward(forward::Args),
    /// (started by a run) puts an existing cluster back as it was
    #[command(hide = true)]
    Undo {
        /// What a run wrote down
        file: PathBuf,
    },
    /// (started by `cargo xtask image`) packs the images
    #[command(hide = true)]
    Image(image::Args),
}

/// A run of scenarios, one after the other, each on a cluster of its own.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Where to run
    #[arg(long, env = "E2E_CLUSTER", default_value = "auto")]
    pub cluster: Backend,
    /// Run on each of these, and compare the decisions
    #[arg(long, value_name = "CLUSTERS", value_parser = parity)]
    pub parity: Option<Parity>,
    /// Which scenarios, see `list`; may be repeated [default: walkthrough]
    #[arg(long, value_name = "NAME", num_args = 1..)]
    pub scenario: Vec<Scenario>,
    /// Leave the cluster running; says how to use and how to remove it
    #[arg(long)]
    pub keep: bool,
    /// Time limit for each scenario, its cluster included, the search for programs not
    /// [default: 5m, with --real-time 1h]
    #[arg(long, value_parser = humantime::parse_duration, value_name = "TIME")]
    pub timeout: Option<Duration>,
    /// Load in requests per second
    #[arg(long, default_value_t = 25.0, value_parser = rate, value_name = "RATE")]
    pub rate: f64,
    /// How long the fault of a scenario lasts, such as 1m [default: until samples are too old: 10s on
    /// local, 3m with --real-time]
    #[arg(long, value_parser = fault_for, value_name = "TIME")]
    pub fault_for: Option<Duration>,
    /// Repeats the random choices of an earlier run (ports) [default: random]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// The provider to test [default: the one beside this program]
    #[arg(long, env = "E2E_PROVIDER", value_name = "FILE")]
    pub provider: Option<PathBuf>,
    /// Where a run that did not pass leaves events, logs and requests [default: target/e2e]
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// Log what the harness does; twice for more
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say on which clusters this would run, and end.
    #[arg(long, hide = true)]
    pub which_cluster: bool,
    /// Which cluster, and how.
    #[command(flatten)]
    pub backend: backend::Args,
    /// Where the programs come from.
    #[command(flatten)]
    pub assets: assets::Args,
}

impl Run {
    /// Where to run: one place, or those whose decisions are compared.
    pub fn backends(&self) -> Vec<Backend> {
        self.parity.as_ref().map_or_else(|| vec![self.cluster], |parity| parity.0.clone())
    }
}

/// Backends whose decisions are compared: at least two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parity(Vec<Backend>);

fn parity(text: &str) -> Result<Parity, String> {
    let backends: Result<Vec<Backend>, String> =
        text.split(',').map(|name| Backend::from_str(name.trim(), false)).collect();
    match backends {
        Ok(backends) if 2 <= backends.len() && !backends.contains(&Backend::Auto) => {
            Ok(Parity(backends))
        }
        _ => Err("give two or more of kind, local and existing, such as kind,local".to_owned()),
    }
}

/// Asked for here, so that a typo is misuse: the load generator, whose own bounds are wider, would
/// refuse a rate only after the cluster has been started.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=10_000.0).contains(rate));
    rate.ok_or_else(|| "give requests per second, 0.1 to 10000".to_owned())
}

/// Whole seconds: a rate limit's period has no others.
fn fault_for(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    let whole = time.filter(|time| time.subsec_nanos() == 0 && 1 < time.as_secs());
    whole.ok_or_else(|| "give a time in whole seconds, at least 2s, such as 1m".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn help_is_what_the_documentation_shows() {
        // Variables and defaults of the machine that runs the test are hidden.
        let mut command = Args::command().mut_args(|argument| argument.hide_env_values(true));
        insta::assert_snapshot!(command.render_long_help().to_string());
    }

    #[test]
    fn scenarios_may_be_listed_or_repeated() {
        for line in [
            "e2e --scenario walkthrough walkthrough-scripted",
            "e2e --scenario walkthrough --scenario walkthrough-scripted",
        ] {
            let args = Args::try_parse_from(line.split(' ')).unwrap();
            let expected = [Scenario::Walkthrough, Scenario::WalkthroughScripted];
            assert_eq!(args.run.scenario, expected, "{line}");
        }
    }

    #[test]
    fn parity_is_between_clusters() {
        let args = Args::try_parse_from(["e2e", "--parity", "kind,local"]).unwrap();
        assert_eq!(args.run.backends(), [Backend::Kind, Backend::Local]);
        for text in ["kind", "kind,", "kind,auto", "kind local", ""] {
            let error = Args::try_parse_from(["e2e", "--parity", text]).unwrap_err();
            assert!(error.to_string().contains("such as kind,local"), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_unknown_scenario_is_misuse_and_names_the_known_ones() {
        let error = Args::try_parse_from(["e2e", "--scenario", "walktrough"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("choose from walkthrough, walkthrough-scripted"));
    }
}
