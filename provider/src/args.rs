//! Flags and their environment variables. Names and defaults are those of Datadog's Cluster Agent;
//! where a default differs, the help says so.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::telemetry::Format;

mod agent;
pub mod commands;
mod datadog;
mod external_metrics;
pub mod leader_election;
mod page;
mod serving;

pub use crate::args::{
    agent::{Agent, AgentToken},
    datadog::{BadEndpoint, Datadog, Invalid},
    external_metrics::ExternalMetrics,
    leader_election::LeaderElection,
    page::Page,
    serving::Serving,
};

/// External metrics for Kubernetes' Horizontal Pod Autoscaler, fed by Datadog
#[derive(Debug, Parser)]
#[command(name = "datadog-cluster-agent", version, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the external metrics API until SIGTERM or Ctrl-C
    #[command(alias = "start")]
    Run(Box<Run>),
    /// Show how the agent does: leader, metrics, budget, endpoints
    Status(commands::Ask),
    /// Write all that support needs to know into a zip file, without secrets
    Flare(commands::Flare),
    /// Show which Services lead to which pod
    Metamap(commands::Metamap),
    /// Show what is well and what is not; fails if anything is not
    Health(commands::Ask),
    /// Show the version
    Version(commands::Local),
    /// Show each setting's value and where it comes from
    Config(commands::Config),
    /// Show the environment, of keys and tokens only the length and a fingerprint
    Env(commands::Local),
    /// Say whether `run` could start with these flags and this environment
    CheckConfig(Box<commands::CheckConfig>),
    /// Say why an HPA does or does not scale
    ///
    /// Exits with 0 where nothing is broken, 1 where something is, 2 where there is nothing to look at.
    Explain(Box<commands::Explain>),
    /// Print a script that completes commands and flags in a shell
    Completion(commands::Completion),
}

/// Everything that `run` can be told.
#[derive(Debug, ClapArgs)]
pub struct Run {
    /// Datadog account and endpoint.
    #[command(flatten)]
    pub datadog: Datadog,
    /// What is asked and how often.
    #[command(flatten)]
    pub external_metrics: ExternalMetrics,
    /// Which of several replicas asks.
    #[command(flatten)]
    pub leader_election: LeaderElection,
    /// Where and how the API is served.
    #[command(flatten)]
    pub serving: Serving,
    /// The port for node agents, other replicas and our own commands.
    #[command(flatten)]
    pub agent: Agent,
    /// The status page.
    #[command(flatten)]
    pub page: Page,
    /// The log.
    #[command(flatten)]
    pub log: Log,
    /// Kubeconfig file [default: in-cluster, else ~/.kube/config]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE", help_heading = "Kubernetes")]
    pub kubeconfig: Option<PathBuf>,
}

/// The log.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Log")]
pub struct Log {
    /// error, warn, info, debug, trace, or tracing directives
    #[arg(long, env = "DD_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
    /// Form of a line
    #[arg(long, env = "DD_LOG_FORMAT", default_value = "plain", value_name = "FORMAT")]
    pub log_format: Format,
    /// Collector that gets traces by OTLP over HTTP, such as `http://collector:4318` [default: none]
    #[cfg(feature = "otel")]
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<url::Url>,
}

/// Seconds as a number, as Datadog's variables have them, or a duration with a unit.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => humantime::parse_duration(text)
            .map_err(|_| "give seconds such as 30, or a duration such as 500ms or 2m".to_owned())?,
    };
    if duration.is_zero() {
        return Err("must be longer than zero".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[cfg(not(feature = "otel"))]
    #[test]
    fn help_is_what_the_documentation_shows() {
        let mut command = Args::command();
        let run = command.find_subcommand_mut("run").unwrap();
        // The values are those of whoever runs the test.
        let mut run = run.clone().mut_args(|argument| argument.hide_env_values(true));
        insta::assert_snapshot!(run.render_help().to_string());
    }

    #[test]
    fn durations_are_seconds_or_have_a_unit() {
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(parse_duration("0").is_err() && parse_duration("soon").is_err());
    }
}
