//! What CI checks, in the order from quick to slow; it stops at the first failure.

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use xshell::{Cmd, Shell, cmd};

use crate::{e2e, image, project, project::cargo, tidy, workflows};

/// `cargo xtask test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave out the end-to-end scenarios
    #[arg(long)]
    no_e2e: bool,
    /// Folder with the programs of the control plane, for the end-to-end scenarios and for the tests
    /// that need a kube-apiserver (which are skipped without it, and say so)
    #[arg(long, env = "E2E_ASSETS", value_name = "DIR")]
    assets: Option<PathBuf>,
}

/// What became of a step.
enum Done {
    Passed,
    Skipped(String),
}

type Step = fn(&Shell, &Args) -> anyhow::Result<Done>;

const STEPS: [(&str, Step); 9] = [
    ("format", |shell, _| passed(cargo(shell, &["fmt", "--all", "--check"]))),
    ("tidy", |_, _| tidy::run().map(|()| Done::Passed)),
    ("workflows", |shell, _| {
        let linted = workflows::lint(shell)?;
        let skip = || skipped(format!("actionlint is not installed ({})", workflows::INSTALL));
        Ok(if linted { Done::Passed } else { skip() })
    }),
    ("lints", |shell, _| {
        let clippy = cargo(shell, &["clippy", "--workspace", "--all-targets", "--quiet"]);
        passed(clippy.args(["--", "-D", "warnings"]))
    }),
    ("tests", |shell, args| {
        if args.assets.is_none() {
            println!("skipped: tests that need a kube-apiserver, without --assets or E2E_ASSETS");
        }
        // A snapshot that differs fails; it is not written.
        passed(cargo(shell, &["test", "--workspace", "--no-fail-fast"]).env("INSTA_UPDATE", "no"))
    }),
    ("docs", |shell, _| {
        let doc = cargo(shell, &["doc", "--workspace", "--no-deps", "--quiet"]);
        passed(doc.arg("--document-private-items").env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("dependencies", |shell, _| dependencies(shell)),
    ("e2e", end_to_end),
    ("kind", on_kind),
];

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    if let Some(assets) = &args.assets {
        shell.set_var("E2E_ASSETS", assets);
    }
    let mut report = Vec::new();
    for (name, step) in STEPS {
        println!("── {name}");
        #[expect(
            clippy::disallowed_methods,
            reason = "no runtime here whose clock could be paused"
        )]
        let started = Instant::now();
        let done = step(&shell, args).with_context(|| format!("{name} failed"))?;
        report.push((name, done, started.elapsed()));
    }
    print(&report);
    Ok(ExitCode::SUCCESS)
}

fn passed(command: Cmd<'_>) -> anyhow::Result<Done> {
    command.quiet().run()?;
    Ok(Done::Passed)
}

/// Bans, licences and sources fail the step. Advisories are fetched from outside and change by
/// themselves: they have a job of their own in CI.
fn dependencies(shell: &Shell) -> anyhow::Result<Done> {
    if cmd!(shell, "cargo-deny --version").quiet().ignore_stderr().read().is_err() {
        return Ok(skipped("cargo-deny is not installed (cargo install --locked cargo-deny)"));
    }
    passed(cmd!(shell, "cargo-deny --log-level error check bans licenses sources"))
}

fn end_to_end(shell: &Shell, args: &Args) -> anyhow::Result<Done> {
    if args.no_e2e {
        return Ok(skipped("--no-e2e"));
    }
    if !cfg!(target_os = "linux") {
        return Ok(skipped("the local backend is for Linux"));
    }
    let e2e::Built { harness, provider } = e2e::build(shell)?;
    let run = cmd!(shell, "{harness} --cluster local --scenario").args(e2e::scenarios(&harness)?);
    let run = run.env(e2e::PROVIDER, provider).env(e2e::ROOT, project::root()?);
    if run.quiet().run().is_err() {
        bail!("see the verdict above");
    }
    Ok(Done::Passed)
}

/// Where a kind cluster can be had: whether the walkthrough comes to the same decisions there, whether
/// its page is what happens, and whether the images do what they should in docker.
fn on_kind(shell: &Shell, args: &Args) -> anyhow::Result<Done> {
    if args.no_e2e {
        return Ok(skipped("--no-e2e"));
    }
    let e2e::Built { harness, provider } = e2e::build(shell)?;
    match e2e::which_clusters(&harness, &["--cluster=auto".into()]).first() {
        Some((cluster, _)) if cluster == "kind" => {}
        Some((_, why)) => return Ok(skipped(why)),
        None => bail!("the harness does not say on which cluster it would run"),
    }
    let images = image::build(shell)?;
    let run = cmd!(shell, "{harness} --parity kind,local --scenario walkthrough");
    if run.env(e2e::PROVIDER, provider).env(image::IMAGES, &images).quiet().run().is_err() {
        bail!("see the verdict above");
    }
    cmd!(shell, "{harness} walkthrough --check").env(image::IMAGES, &images).quiet().run()?;
    let components = cargo(shell, &["test", "--package=e2e", "--test=images"]);
    passed(components.env(image::IMAGES, images))
}

fn skipped(why: impl Into<String>) -> Done {
    Done::Skipped(why.into())
}

fn print(report: &[(&str, Done, Duration)]) {
    println!();
    for (name, done, took) in report {
        match done {
            Done::Passed => println!("✓ {name:<14}{:>7.1} s", took.as_secs_f64()),
            Done::Skipped(reason) => println!("- {name:<14}skipped: {reason}"),
        }
    }
    println!("all checks passed");
}
