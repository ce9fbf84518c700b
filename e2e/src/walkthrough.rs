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

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;

pub mod page;
pub mod parse;

pub mod about;
pub mod directive;

pub mod cluster;
mod prepare;
pub mod runner;
pub mod shell;

pub mod diff;
pub mod normalise;

use crate::{
    assets::{self, Options},
    cluster::Cluster,
    walkthrough::{
        normalise::Normaliser,
        page::{Page, Step},
        runner::{Broken, Run, Seen},
        shell::Shell,
    },
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
    /// Kubeconfig of a cluster that was prepared before [default: a kind cluster for this run]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The node image of the kind cluster [default: as for a run]
    #[arg(long, env = "E2E_NODE_IMAGE", value_name = "IMAGE")]
    node_image: Option<String>,
    /// Folder with our images [default: target/images]
    #[arg(long, env = "E2E_IMAGES", value_name = "DIR")]
    images: Option<PathBuf>,
    /// Where kind and kubectl are.
    #[command(flatten)]
    assets: assets::Args,
    #[arg(long, env = "HOME", hide = true, id = "home_of_the_commands")]
    home: Option<OsString>,
}

/// Where things of this run are.
#[derive(Debug)]
pub struct Places {
    /// The checkout.
    pub root: PathBuf,
    /// The folder with this program.
    pub ours: PathBuf,
    /// The folder with our images, unless another is given.
    pub images: PathBuf,
    /// Where the logs of nodes go that do not come up.
    pub artifacts: PathBuf,
}

/// Runs the page of the checkout. Exit code: 0 it is true (or was rewritten), 1 it is not.
pub async fn run(args: Args, places: Places, stop: CancellationToken) -> anyhow::Result<ExitCode> {
    let options = args.assets.clone().options()?;
    if let Some(kubeconfig) = &args.kubeconfig {
        let kubeconfig = std::path::absolute(kubeconfig).context("current folder")?;
        return run_page(&args, &options, &places.root, &kubeconfig, stop).await;
    }
    let start = prepare::start(&args, &options, &places);
    let cluster = tokio::select! {
        cluster = Box::pin(start) => cluster?,
        () = stop.cancelled() => bail!("interrupted"),
    };
    if args.prepare {
        for (what, how) in cluster.keep().await? {
            println!("{what}: {how}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let kubeconfig = cluster.kubeconfig().context("the cluster has no kubeconfig")?;
    let ran = run_page(&args, &options, &places.root, &kubeconfig, stop).await;
    Box::pin(cluster.stop()).await?;
    ran
}

async fn run_page(
    args: &Args,
    options: &Options,
    root: &Path,
    kubeconfig: &Path,
    stop: CancellationToken,
) -> anyhow::Result<ExitCode> {
    let file = root.join(PAGE);
    let source = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    let page: Page = source.parse().with_context(|| PAGE.to_owned())?;
    let (assets, home) = (options.assets.as_deref(), args.home.as_deref());
    let env = cluster::environment(kubeconfig, assets, &options.search_path, home)?;
    let shell = Shell::new(root, env.clone(), stop)?;
    cluster::ensure_prepared(&shell, kubeconfig).await?;

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
    finish(&file, &source, &ran.to_string(), args.check)
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
