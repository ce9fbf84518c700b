//! The command line, the only place where the environment is read.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

use crate::{
    control::Key,
    keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY, Keys},
    node_check, record, replay,
    server::Tls,
};

/// A stand-in for the Datadog metrics API, for tests.
#[derive(Debug, Parser)]
#[command(name = "fake-datadog", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// One of the program's jobs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the Datadog API and the control API under /fake.
    Serve(Box<ServeArgs>),
    /// Read nginx's status page and submit its metrics.
    NodeCheck(Box<node_check::Args>),
    /// Pass requests on to Datadog and write the exchanges down, without their keys.
    Record(record::Args),
    /// Serve what was recorded.
    Replay(replay::Args),
    /// Look at scenario files without serving them; exit code 2 when one of them is bad.
    Check(CheckArgs),
    /// Print the JSON Schema of scenario files.
    Schema,
}

/// How to log.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// Form of the log on stderr.
    #[arg(long, env = "FAKE_DATADOG_LOG_FORMAT", value_enum, default_value_t, global = true)]
    pub log_format: LogFormat,

    /// What to log: a level, or tracing directives such as `warn,fake_datadog=debug`.
    #[arg(
        long,
        env = "FAKE_DATADOG_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        global = true
    )]
    pub log_level: LogFilter,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

/// Directives of [`tracing_subscriber::EnvFilter`] that have been checked.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

/// Options of `serve`.
#[derive(Debug, clap::Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one.
    #[arg(
        long,
        env = "FAKE_DATADOG_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8126"
    )]
    pub listen: SocketAddr,

    /// HTTPS.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// Scenario to serve from the start, in YAML.
    #[arg(long, env = "FAKE_DATADOG_SCENARIO", value_name = "FILE")]
    pub scenario: Option<PathBuf>,

    /// What everything random derives from, in place of the scenario's `seed`.
    #[arg(long, env = "FAKE_DATADOG_SEED", value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// An API key to accept; may be repeated. Keys given go before the scenario's. By default,
    /// fa4e0000000000000000000000000000.
    #[arg(
        long,
        env = "FAKE_DATADOG_API_KEY",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub api_key: Vec<SecretString>,

    /// An application key to accept, beside any of the API keys; may be repeated. By default,
    /// fa4e000000000000000000000000000000000000.
    #[arg(
        long,
        env = "FAKE_DATADOG_APP_KEY",
        value_name = "KEY",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub app_key: Vec<SecretString>,

    /// File to write the port into once it listens; it appears complete or not at all.
    #[arg(long, env = "FAKE_DATADOG_PORT_FILE", value_name = "FILE")]
    pub port_file: Option<PathBuf>,
}

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// Scenario files, in YAML.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Whether and how to serve HTTPS.
#[derive(Debug, clap::Args)]
pub struct TlsArgs {
    /// Serve HTTPS too, with a certificate that is made at the start.
    #[arg(long, env = "FAKE_DATADOG_TLS")]
    pub tls: bool,

    /// Name or address that the certificate made is good for, besides localhost; may be repeated.
    #[arg(long, env = "FAKE_DATADOG_TLS_NAME", value_name = "NAME", value_delimiter = ',')]
    pub tls_name: Vec<String>,

    /// File to write the certificate of the made one's authority into, in PEM.
    #[arg(long, env = "FAKE_DATADOG_TLS_CA_FILE", value_name = "FILE")]
    pub tls_ca_file: Option<PathBuf>,

    /// Serve HTTPS too, with the certificate chain in this PEM file.
    #[arg(
        long,
        env = "FAKE_DATADOG_TLS_CERT",
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with_all = ["tls", "tls_name", "tls_ca_file"]
    )]
    pub tls_cert: Option<PathBuf>,

    /// The private key of the certificate in `--tls-cert`.
    #[arg(long, env = "FAKE_DATADOG_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Address of HTTPS alone; without it, HTTPS is served on the port of HTTP.
    #[arg(long, env = "FAKE_DATADOG_TLS_LISTEN", value_name = "ADDRESS")]
    pub tls_listen: Option<SocketAddr>,
}

impl ServeArgs {
    /// The keys to accept whatever the scenario says; `None` when none are given. Of a kind that
    /// is not given, there is the usual one.
    pub fn keys(&self) -> Option<Keys> {
        if self.api_key.is_empty() && self.app_key.is_empty() {
            return None;
        }
        let or_usual = |given: &[SecretString], usual: &str| {
            if given.is_empty() { vec![usual.into()] } else { given.to_vec() }
        };
        let api = or_usual(&self.api_key, DEFAULT_API_KEY).into_iter().map(Key::api);
        let app = or_usual(&self.app_key, DEFAULT_APP_KEY).into_iter().map(Key::app);
        Some(api.chain(app).collect())
    }
}

impl TlsArgs {
    /// Where the certificate comes from; `None` when there is to be no HTTPS.
    pub fn source(&self) -> Option<Tls> {
        if let (Some(certificate), Some(key)) = (self.tls_cert.clone(), self.tls_key.clone()) {
            return Some(Tls::Files { certificate, key });
        }
        let wanted = self.tls
            || !self.tls_name.is_empty()
            || self.tls_ca_file.is_some()
            || self.tls_listen.is_some();
        wanted.then(|| Tls::made_for(self.tls_name.iter().cloned()))
    }
}

impl LogFilter {
    /// The directives, ready for a subscriber.
    pub fn to_filter(&self) -> tracing_subscriber::EnvFilter {
        tracing_subscriber::EnvFilter::new(&self.0)
    }
}

impl std::str::FromStr for LogFilter {
    type Err = tracing_subscriber::filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        tracing_subscriber::EnvFilter::try_new(text).map(|_| Self(text.to_owned()))
    }
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
    fn keys_do_not_show_in_debug_output() {
        let args = Args::parse_from(["fake-datadog", "serve", "--api-key=hush", "--app-key=hush"]);
        assert!(!format!("{args:?}").contains("hush"));
    }

    #[test]
    fn keys_may_be_many_and_stand_in_for_the_usual_ones() {
        let keys = |args: &[&str]| {
            let args = Args::parse_from(["fake-datadog", "serve"].iter().chain(args));
            let Command::Serve(serve) = args.command else { panic!("another command") };
            serve.keys()
        };
        assert_eq!(keys(&[]), None);
        assert_eq!(keys(&["--app-key=b"]), Some(Keys::new(DEFAULT_API_KEY, "b")));
        let several = Keys::from_iter([Key::api("a"), Key::api("b"), Key::app("c"), Key::app("d")]);
        let given = keys(&["--api-key=a", "--app-key=c,d", "--api-key=b"]);
        assert_eq!(given, Some(several));
    }

    #[test]
    fn the_usual_keys_are_in_the_help() {
        let help = Args::command().find_subcommand_mut("serve").unwrap().render_long_help();
        let help = help.to_string();
        assert!(help.contains(DEFAULT_API_KEY) && help.contains(DEFAULT_APP_KEY), "{help}");
    }

    #[test]
    fn the_help_of_serve_is_as_documented() {
        let mut command = Args::command();
        let serve = command.find_subcommand_mut("serve").unwrap().clone().term_width(100);
        insta::assert_snapshot!(serve.bin_name("fake-datadog serve").render_long_help());
    }
}
