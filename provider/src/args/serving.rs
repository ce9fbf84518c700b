//! Where and how the API is served.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args as ClapArgs;

use crate::serve::tls::Source;

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
    /// How long to serve on after SIGTERM, unready, until nobody sends requests here any more
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_SHUTDOWN_DELAY",
        default_value = "3s",
        value_parser = humantime::parse_duration,
        value_name = "TIME"
    )]
    pub shutdown_delay: Duration,
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
