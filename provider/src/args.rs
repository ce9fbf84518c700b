//! Flags and their environment variables. Names and defaults are those of Datadog's Cluster Agent;
//! where a default differs, the help says so.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Parser, Subcommand, builder::BoolishValueParser};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{datadog::client::Keys, query::Aggregator, serve::tls::Source, telemetry::Format};

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
    /// Where and how the API is served.
    #[command(flatten)]
    pub serving: Serving,
    /// The log.
    #[command(flatten)]
    pub log: Log,
    /// Kubeconfig file [default: in-cluster, else ~/.kube/config]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE", help_heading = "Kubernetes")]
    pub kubeconfig: Option<PathBuf>,
}

/// Datadog account and endpoint.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Datadog")]
pub struct Datadog {
    /// API key
    #[arg(long, env = "DD_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<SecretString>,
    /// Application key
    #[arg(long, env = "DD_APP_KEY", hide_env_values = true, value_name = "KEY")]
    pub app_key: Option<SecretString>,
    /// API key for metric queries alone, instead of `--api-key`
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_API_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub external_metrics_provider_api_key: Option<SecretString>,
    /// Application key for metric queries alone, instead of `--app-key`
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_APP_KEY",
        hide_env_values = true,
        value_name = "KEY"
    )]
    pub external_metrics_provider_app_key: Option<SecretString>,
    /// Datadog site, such as datadoghq.eu; queries go to api.SITE
    #[arg(long, env = "DD_SITE", default_value = "datadoghq.com")]
    pub site: String,
    /// URL for metric queries, instead of the one that follows from the site
    #[arg(long, env = "DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// URL for metric queries where `--endpoint` is not given
    #[arg(long, env = "DATADOG_HOST", value_name = "URL")]
    pub datadog_host: Option<String>,
    /// Time limit for one query request
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_QUERY_TIMEOUT",
        default_value = "10",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub query_timeout: Duration,
}

/// What is asked and how often.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "External metrics")]
pub struct ExternalMetrics {
    /// Serve external metrics
    #[arg(
        long = "external-metrics-provider-enabled",
        env = "DD_EXTERNAL_METRICS_PROVIDER_ENABLED",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub enabled: bool,
    /// How several series become one at each point in time
    #[arg(long, env = "DD_EXTERNAL_METRICS_AGGREGATOR", default_value = "avg")]
    pub aggregator: Aggregator,
    /// Every metric is asked for once in this time
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_REFRESH_PERIOD",
        default_value = "30",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub refresh_period: Duration,
    /// How far back a query looks
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_BUCKET_SIZE",
        default_value = "300",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub bucket_size: Duration,
    /// How far back a query may look at most
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_MAX_TIME_WINDOW",
        default_value = "86400",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub max_time_window: Duration,
    /// Length of one bucket of a query, whole seconds
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_ROLLUP",
        default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "SECONDS"
    )]
    pub rollup: u32,
    /// Age from which a point is not served any more; at least three times the rollup
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_MAX_AGE",
        default_value = "120",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub max_age: Duration,
    /// Queries in one request, 1 to 35; more are taken as 35, Datadog's limit
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_CHUNK_SIZE",
        default_value_t = 35,
        value_name = "N"
    )]
    pub chunk_size: usize,
    /// Query requests in flight at once, at least 1
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_MAX_PARALLEL_QUERIES",
        default_value_t = 10,
        value_name = "N"
    )]
    pub max_parallel_queries: usize,
}

/// Where and how the API is served.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Serving")]
pub struct Serving {
    /// HTTPS port of the API, of the health endpoints and of /metrics
    #[arg(long, env = "DD_EXTERNAL_METRICS_PROVIDER_PORT", default_value_t = 8443)]
    pub port: u16,
    /// Address to listen on [default: all]
    #[arg(long, env = "DD_EXTERNAL_METRICS_PROVIDER_BIND_ADDRESS", value_name = "IP")]
    pub bind_address: Option<IpAddr>,
    /// Certificate chain, PEM [default: self-signed, made at start]
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_TLS_CERT_FILE",
        requires = "tls_private_key_file",
        value_name = "FILE"
    )]
    pub tls_cert_file: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_TLS_PRIVATE_KEY_FILE",
        requires = "tls_cert_file",
        value_name = "FILE"
    )]
    pub tls_private_key_file: Option<PathBuf>,
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
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Invalid {
    /// Nothing was given.
    #[error("{variable} is not set: {what} is needed to query Datadog")]
    Missing {
        /// Environment variable.
        variable: &'static str,
        /// What it holds.
        what: &'static str,
    },
    /// The manifest was applied without editing it.
    #[error("{variable} still is the placeholder {placeholder}, put your key there")]
    Placeholder {
        /// Environment variable.
        variable: &'static str,
        /// The text that should have been replaced.
        placeholder: &'static str,
    },
    /// A key that no HTTP header can carry.
    #[error("{variable} has characters that no key has, look for quotes and line ends in it")]
    Garbled {
        /// Environment variable.
        variable: &'static str,
    },
    /// The endpoint is no URL.
    #[error(
        "Datadog endpoint {url:?} is no URL ({source}), give one such as https://api.datadoghq.com"
    )]
    Endpoint {
        /// As given.
        url: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
}

impl Datadog {
    /// The keys for metric queries; blanks around them are dropped, as Datadog's agent does.
    pub fn keys(&self) -> Result<Keys, Invalid> {
        let api = self.external_metrics_provider_api_key.as_ref().or(self.api_key.as_ref());
        let app = self.external_metrics_provider_app_key.as_ref().or(self.app_key.as_ref());
        Ok(Keys {
            api: key(api, "DD_API_KEY", "an API key", "<API_KEY>")?,
            app: key(app, "DD_APP_KEY", "an application key", "<APP_KEY>")?,
        })
    }

    /// Where metric queries go: the endpoint, else `DATADOG_HOST`, else what follows from the site.
    pub fn query_endpoint(&self) -> Result<Url, Invalid> {
        let given = [&self.endpoint, &self.datadog_host];
        let url = given.into_iter().flatten().find(|url| !url.trim().is_empty()).map_or_else(
            || format!("https://api.{}", self.site.trim()),
            |url| url.trim().to_owned(),
        );
        Url::parse(&url).map_err(|source| Invalid::Endpoint { url, source })
    }
}

fn key(
    given: Option<&SecretString>,
    variable: &'static str,
    what: &'static str,
    placeholder: &'static str,
) -> Result<SecretString, Invalid> {
    match given.map_or("", |key| key.expose_secret().trim()) {
        "" => Err(Invalid::Missing { variable, what }),
        key if key == placeholder => Err(Invalid::Placeholder { variable, placeholder }),
        key if !key.chars().all(|c| c.is_ascii_graphic()) => Err(Invalid::Garbled { variable }),
        key => Ok(key.into()),
    }
}

impl Serving {
    /// The given files, or a self-signed certificate for the names by which the Service in
    /// `namespace` is reached.
    pub fn certificate(&self, namespace: &str) -> Source {
        match (&self.tls_cert_file, &self.tls_private_key_file) {
            (Some(certificate), Some(key)) => {
                Source::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ => Source::SelfSigned {
                names: vec![
                    format!("datadog-custom-metrics-server.{namespace}.svc"),
                    format!("datadog-cluster-agent.{namespace}.svc"),
                    "localhost".to_owned(),
                    "127.0.0.1".to_owned(),
                ],
            },
        }
    }
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

    fn datadog(arguments: &[&str]) -> Datadog {
        let arguments = ["datadog-cluster-agent", "run"].iter().chain(arguments);
        let Command::Run(run) = Args::try_parse_from(arguments).unwrap().command;
        run.datadog
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

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

    #[test]
    fn missing_and_placeholder_keys_are_named() {
        let error = |arguments: &[&str]| datadog(arguments).keys().unwrap_err().to_string();
        assert_eq!(
            error(&["--api-key", " ", "--app-key", "b"]),
            "DD_API_KEY is not set: an API key is needed to query Datadog"
        );
        assert_eq!(
            error(&["--api-key", "a", "--app-key", "<APP_KEY>"]),
            "DD_APP_KEY still is the placeholder <APP_KEY>, put your key there"
        );
        assert_eq!(
            error(&["--api-key", "a b", "--app-key", "b"]),
            "DD_API_KEY has characters that no key has, look for quotes and line ends in it"
        );
    }

    #[test]
    fn keys_for_queries_alone_win_and_are_trimmed() {
        let datadog = datadog(&[
            "--api-key=general",
            "--app-key=app",
            "--external-metrics-provider-api-key= own\n",
        ]);
        assert_eq!(datadog.keys().unwrap().api.expose_secret(), "own");
        assert!(!format!("{datadog:?}").contains("general"));
    }

    #[test]
    fn the_endpoint_follows_from_the_site_unless_it_is_given() {
        let url = |arguments: &[&str]| datadog(arguments).query_endpoint().unwrap().to_string();
        assert_eq!(url(&[]), "https://api.datadoghq.com/");
        assert_eq!(url(&["--site", "datadoghq.eu"]), "https://api.datadoghq.eu/");
        assert_eq!(url(&["--datadog-host", "http://h:1"]), "http://h:1/");
        assert_eq!(
            url(&["--datadog-host", "http://h:1", "--endpoint", "http://e:2/x"]),
            "http://e:2/x"
        );
        assert!(datadog(&["--endpoint", "nowhere"]).query_endpoint().is_err());
    }
}
