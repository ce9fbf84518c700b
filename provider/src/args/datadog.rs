//! Where Datadog is, and the keys for it.

use std::time::Duration;

use clap::Args as ClapArgs;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{args::parse_duration, datadog::client::Keys};

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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn datadog(arguments: &[&str]) -> Datadog {
        let arguments = ["datadog-cluster-agent", "run"].iter().chain(arguments);
        let Command::Run(run) = Args::try_parse_from(arguments).unwrap().command;
        run.datadog
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
