//! The program `fake-datadog`: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use fake_datadog::{app, args::Args};

#[tokio::main]
async fn main() -> ExitCode {
    // An error means that a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    app::run(Args::parse()).await
}
