//! Where and how the API is served.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::Args as ClapArgs;

use crate::{
    args::parse_duration,
    serve::{
        ca::Lifetimes,
        tls::{Source, files::Files},
    },
};

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
    /// Secret in which to keep a CA of our own, whose certificate goes into the APIService
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_TLS_OWN_CA_SECRET",
        conflicts_with = "tls_cert_file",
        value_name = "NAME"
    )]
    pub tls_own_ca_secret: Option<String>,
    /// Life of a certificate of the own CA; it is replaced after two thirds of it
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_TLS_CERT_LIFE",
        default_value = "30d",
        value_parser = parse_duration,
        value_name = "DURATION"
    )]
    pub tls_cert_life: Duration,
    /// Life of the own CA; it is replaced after two thirds of it
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_TLS_CA_LIFE",
        default_value = "365d",
        value_parser = parse_duration,
        value_name = "DURATION"
    )]
    pub tls_ca_life: Duration,
    /// Time from the publication of a new own CA until it signs
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_TLS_CA_MARGIN",
        default_value = "1h",
        value_parser = parse_duration,
        value_name = "DURATION"
    )]
    pub tls_ca_margin: Duration,
    /// Whether a right to read all metrics is reviewed once, for each of them; false where an
    /// authorizer takes rights to single metrics away
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_BROAD_REVIEWS",
        default_value_t = true,
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub broad_reviews: bool,
}

impl Serving {
    /// The given files, else a CA of our own where that is asked for, else a self-signed
    /// certificate.
    pub fn certificate(&self) -> Source {
        if let (Some(certificate), Some(key)) = (&self.tls_cert_file, &self.tls_private_key_file) {
            return Source::Files(Files { certificate: certificate.clone(), key: key.clone() });
        }
        match &self.tls_own_ca_secret {
            Some(secret) if !secret.is_empty() => Source::OwnCa {
                secret: secret.clone(),
                lifetimes: Lifetimes {
                    leaf: self.tls_cert_life,
                    ca: self.tls_ca_life,
                    margin: self.tls_ca_margin,
                },
            },
            _ => Source::SelfSigned,
        }
    }
}
