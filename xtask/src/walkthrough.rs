//! Builds the harness and the images, and lets the harness run `docs/walkthrough.md`.

use std::{
    env,
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::Context;
use xshell::Shell;

use crate::{e2e, image, project};

/// `cargo xtask walkthrough`: `--help` shows the harness's own options.
pub(crate) fn run(args: &e2e::Args) -> anyhow::Result<ExitCode> {
    let shell = Shell::new()?;
    shell.change_dir(project::root()?);
    let harness = e2e::harness(&shell)?;
    let mut command = Command::new(&harness);
    command.arg("walkthrough").env(e2e::ROOT, project::root()?).args(&args.arguments);
    let needs_none = |word: &OsString| ["--help", "-h", "--kubeconfig"].iter().any(|it| word == it);
    if !args.arguments.iter().any(needs_none) && env::var_os(image::IMAGES).is_none() {
        command.env(image::IMAGES, image::build(&shell)?);
    }
    e2e::become_it(command).with_context(|| format!("cannot run {}", harness.display()))
}
