//! `datadog-cluster-agent`: does what its command line says.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // The one TLS provider of the process; the only error is that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    provider::cli::main(std::env::args_os()).await
}
