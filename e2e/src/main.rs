//! The harness as a program; `cargo xtask e2e` builds and runs it.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    // The one TLS provider of the process; the only error is that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    e2e::app::run(e2e::args::Args::parse()).await.unwrap_or_else(|error| {
        eprintln!("e2e: {error:#}");
        ExitCode::from(3)
    })
}
