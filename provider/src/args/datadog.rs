//! Where Datadog is, and the keys for it.

use std::time::Duration;

use clap::Args as ClapArgs;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    args::parse_duration,
    datadog::{
        endpoints::Endpoint,
        keys::{KeyRing, Kind, Source, Unusable, Value},
    },
};

mod endpoints;

pub use crate::args::datadog::endpoints::BadEndpoint;

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
    /// File with the API key, instead of `--api-key`; read again when it changes
    #[arg(long, env = "DD_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<String>,
    /// File with the application key, instead of `--app-key`; read again when it changes
    #[arg(long, env = "DD_APP_KEY_FILE", value_name = "FILE")]
    pub app_key_file: Option<String>,
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
    /// More endpoints for metric queries, to be asked when the first one fails: a JSON list of
    /// objects with `site` or `url`, `api_key` or `api_key_file`, `app_key` or `app_key_file`
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS",
        hide_env_values = true,
        value_name = "JSON"
    )]
    pub endpoints: Option<SecretString>,
    /// Time limit for one query request, retries included
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
    #[error("neither {variable} nor {variable}_FILE is set: {kind} is needed to query Datadog")]
    Missing {
        /// Environment variable.
        variable: &'static str,
        /// What it holds.
        kind: Kind,
    },
    /// Two settings for one thing.
    #[error("{variable} and {variable}_FILE are both set, set one of them")]
    Both {
        /// Environment variable.
        variable: &'static str,
    },
    /// A key that cannot be one.
    #[error(transparent)]
    Key(#[from] Unusable),
    /// The endpoint is no URL.
    #[error(
        "Datadog endpoint {:?} is no URL ({source}), give one such as https://api.datadoghq.com",
        crate::scrub::url(url)
    )]
    Endpoint {
        /// As given.
        url: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// One of the further endpoints.
    #[error(transparent)]
    Endpoints(#[from] BadEndpoint),
}

impl Datadog {
    /// Where metric queries go, with the keys for it: the main endpoint, then those of
    /// `--endpoints`. Reads key files.
    pub fn endpoints(&self) -> Result<Vec<Endpoint>, Invalid> {
        let main = Endpoint {
            url: self.query_endpoint()?,
            keys: KeyRing::new(self.source(Kind::Api)?, self.source(Kind::App)?)?,
            setting: self.place().0.to_owned(),
        };
        let others = self.endpoints.as_ref().map_or("", |list| list.expose_secret().trim());
        let mut endpoints = vec![main];
        if !others.is_empty() {
            endpoints.extend(endpoints::parse(others)?);
        }
        Ok(endpoints)
    }

    /// Where metric queries go: the endpoint, else `DATADOG_HOST`, else what follows from the site.
    pub fn query_endpoint(&self) -> Result<Url, Invalid> {
        let (_, url) = self.place();
        Url::parse(&url).map_err(|source| Invalid::Endpoint { url, source })
    }

    /// The setting that says where metric queries go, and the URL that it leads to.
    fn place(&self) -> (&'static str, String) {
        let given = [
            ("DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT", &self.endpoint),
            ("DATADOG_HOST", &self.datadog_host),
        ];
        let given =
            given.into_iter().find_map(|(setting, url)| Some((setting, filled(url.as_ref())?)));
        given.map_or_else(
            || ("DD_SITE", of_site(&self.site)),
            |(setting, url)| (setting, url.to_owned()),
        )
    }

    /// Where a key comes from: the one for metric queries alone, else the general one or its file.
    fn source(&self, kind: Kind) -> Result<Source, Invalid> {
        let (variables, own, general, file) = match kind {
            Kind::Api => (
                ["DD_EXTERNAL_METRICS_PROVIDER_API_KEY", "DD_API_KEY", "DD_API_KEY_FILE"],
                &self.external_metrics_provider_api_key,
                &self.api_key,
                &self.api_key_file,
            ),
            Kind::App => (
                ["DD_EXTERNAL_METRICS_PROVIDER_APP_KEY", "DD_APP_KEY", "DD_APP_KEY_FILE"],
                &self.external_metrics_provider_app_key,
                &self.app_key,
                &self.app_key_file,
            ),
        };
        let [own_variable, variable, file_variable] = variables;
        let (setting, value) =
            match (key(own.as_ref()), key(general.as_ref()), filled(file.as_ref())) {
                (Some(own), ..) => (own_variable, Value::Key(own.clone())),
                (None, Some(_), Some(_)) => return Err(Invalid::Both { variable }),
                (None, Some(general), None) => (variable, Value::Key(general.clone())),
                (None, None, Some(file)) => (file_variable, Value::File(file.into())),
                (None, None, None) => return Err(Invalid::Missing { variable, kind }),
            };
        Ok(Source { kind, setting: setting.to_owned(), value })
    }
}

fn of_site(site: &str) -> String {
    format!("https://api.{}", site.trim())
}

/// What a setting says; a blank one says nothing, as an empty environment variable.
fn filled(setting: Option<&String>) -> Option<&str> {
    setting.map(|it| it.trim()).filter(|it| !it.is_empty())
}

fn key(setting: Option<&SecretString>) -> Option<&SecretString> {
    setting.filter(|key| !key.expose_secret().trim().is_empty())
}

#[cfg(test)]
mod tests;
