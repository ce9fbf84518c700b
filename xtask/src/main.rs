//! `cargo xtask`: the project's commands. One file each; what is heavy lives in crates of its own.

#![allow(clippy::print_stdout, reason = "a command prints its report")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build;
mod doctor;
mod e2e;
mod fuzz;
mod image;
mod project;
mod test;
mod tidy;
mod walkthrough;
mod workflows;

/// The project's commands
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring up a cluster, put real load on a real nginx, and assert that the HPA follows
    E2e(e2e::Args),
    /// Measure the fake: its parts, and the whole under load; or, as `bench engine`, the provider
    Bench(bench::Args),
    /// Make the images of provider, fake and load generator, without docker
    Image(image::Args),
    /// Say what will work on this machine, and what to do about the rest
    Doctor(e2e::Args),
    /// Everything that CI checks: format, lints, tests, docs, dependencies, file sizes, e2e
    Test(test::Args),
    /// Hand the fake what it must refuse or understand, until it panics or the time is over
    Fuzz(fuzz::Args),
    /// Check what no compiler checks: file sizes, stray references, pinned actions
    Tidy,
    /// Run every command of docs/walkthrough.md, and write what they print into the page
    Walkthrough(e2e::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::E2e(args) => e2e::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Tidy => tidy::run().map(|()| ExitCode::SUCCESS),
        Command::Walkthrough(args) => walkthrough::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
