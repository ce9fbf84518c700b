//! Keeps `docs/walkthrough.md` true: runs every command of it on a real cluster and writes what they
//! print into the page, or says where page and run differ.
//!
//! ```text
//! page ─parse─▶ commands ─shell─▶ outputs ─normalise─▶ page of this run ─▶ write it, or diff it
//! ```

#![allow(clippy::print_stdout, reason = "the command prints its report")]

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use tokio_util::sync::CancellationToken;

pub mod page;
pub mod parse;

pub mod about;
pub mod directive;

pub mod cluster;
pub mod runner;
pub mod shell;

pub mod diff;
pub mod normalise;

use crate::walkthrough::{
    normalise::Normaliser,
    page::{Page, Step},
    runner::{Broken, Run, Seen},
    shell::Shell,
};

/// The page, from the root of the checkout.
const PAGE: &str = "docs/walkthrough.md";

/// Run every command of docs/walkthrough.md, and write what they print into the page.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write nothing; fail where the page and the run differ
    #[arg(long)]
    check: bool,
    /// Start a cluster with the stand-ins, and leave it to you, to follow the page on it
    #[arg(long, conflicts_with_all = ["check", "kubeconfig"])]
    prepare: bool,
    /// Kubeconfig of a cluster with the stand-ins for Datadog and its node agent, and no provider
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Folder that holds kubectl, itself or in its `bin` [default: the PATH]
    #[arg(long, env = "E2E_ASSETS", value_name = "DIR")]
    assets: Option<PathBuf>,
    #[arg(long, env = "PATH", hide = true, default_value = "")]
    search_path: OsString,
    #[arg(long, env = "HOME", hide = true)]
    home: Option<OsString>,
}

/// Runs the page of the checkout at `root`. Exit code: 0 it is true (or was rewritten), 1 it is not.
pub async fn run(args: Args, root: &Path, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let Args { check, prepare, kubeconfig, assets, search_path, home } = args;
    anyhow::ensure!(!prepare, "--prepare needs the kind backend, which is not there yet");
    let kubeconfig = kubeconfig.ok_or(cluster::Error::NoCluster)?;
    let kubeconfig = std::path::absolute(kubeconfig).context("current folder")?;
    let file = root.join(PAGE);
    let source = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let page: Page = source.parse().with_context(|| PAGE.to_owned())?;
    let assets = assets.as_deref();
    let env = cluster::environment(&kubeconfig, assets, &search_path, home.as_deref())?;
    let shell = Shell::new(root, env.clone(), stop)?;
    cluster::ensure_prepared(&shell, &kubeconfig).await?;

    // A run that was killed may have left something.
    runner::clean_up(&page, &shell).await?;
    println!("{PAGE} on {}", kubeconfig.display());
    let ran = runner::run(&page, &shell, Normaliser::new(page.pods())?, print_step).await;
    runner::clean_up(&page, &shell.unstoppable()).await?;

    let Run { page: ran, broken } = ran?;
    if let Some(broken) = broken {
        print_broken(&broken);
        return Ok(ExitCode::FAILURE);
    }
    finish(&file, &source, &ran.to_string(), check)
}

fn finish(file: &Path, source: &str, ran: &str, check: bool) -> anyhow::Result<ExitCode> {
    if source == ran {
        println!("✓ {PAGE} is what happens");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", diff::diff(PAGE, source, ran));
    if check {
        println!("✗ {PAGE} is not what happens, rewrite it with `cargo xtask walkthrough`");
        return Ok(ExitCode::FAILURE);
    }
    replace(file, ran).with_context(|| format!("cannot write {}", file.display()))?;
    println!("✓ {PAGE} was rewritten");
    Ok(ExitCode::SUCCESS)
}

/// The page is there, old or new, whatever happens.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_extension("md.new");
    fs::write(&new, text)?;
    fs::rename(&new, file)
}

fn print_step(step: &Step, seen: Seen, took: Duration) {
    let mark = match seen {
        Seen::Same => '✓',
        Seen::Differs => '≠',
        Seen::Broken => '✗',
    };
    let command = step.command.replace("\\\n", "");
    println!("  {mark} {:>4} {:>6.1}s  {command}", step.line, took.as_secs_f64());
}

fn print_broken(broken: &Broken) {
    let Broken { line, command, reason, output } = broken;
    println!("\n✗ {PAGE}:{line}: {reason}\n  $ {command}");
    for line in output {
        println!("  {line}");
    }
}
