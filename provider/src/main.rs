//! `datadog-cluster-agent`: parses, runs, and turns the result into an exit code.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    // The one TLS provider of the process; the only error is that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match provider::app::run(provider::args::Args::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("datadog-cluster-agent: {}", provider::app::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
