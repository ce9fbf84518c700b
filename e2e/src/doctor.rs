//! Says in advance what will work on this machine, and what to do about the rest.
//!
//! ```text
//! gather ─▶ Facts ─▶ local, kind, existing, building ─▶ Diagnosis ─▶ print
//! I/O       data     pure: a line for each thing,      lines and    text for people,
//!                    with the remedy                   verdicts     JSON for programs
//! ```
//!
//! Nothing is downloaded, built, installed or changed. The choice of a backend for
//! `--cluster auto` asks [`kind_ready`], which decides as the verdict printed here does.

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use crate::{
    assets::{self, Options},
    cluster::kind::node_image,
    report::Colour,
};

mod building;
mod diagnosis;
mod existing;
mod facts;
#[cfg(test)]
mod fixtures;
mod gather;
mod kind;
mod local;
mod print;
mod ready;

pub use ready::{ContainerProgram, KindReady, NodeImage};

/// Says what will work on this machine and what to do about the rest
///
/// Exit code: 0 when at least one backend will work, else 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For programs: the same as JSON
    #[arg(long)]
    json: bool,
    /// The image that kind's nodes would be made from [default: as for a run]
    #[arg(long, env = "E2E_NODE_IMAGE", value_name = "IMAGE")]
    node_image: Option<String>,
    /// <https://no-color.org>: no colours when it is not empty.
    #[arg(long, env = "NO_COLOR", hide = true, num_args = 0..=1, default_missing_value = "1")]
    no_color: Option<String>,
    #[command(flatten)]
    assets: assets::Args,
}

/// Looks at the machine and prints the diagnosis.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { json, node_image, no_color, assets } = args;
    let options = assets.options()?;
    let node_image = match node_image {
        Some(image) => image,
        None => node_image::choose(&options, None).await,
    };
    let facts = gather::gather(&options, &node_image).await;
    let diagnosis = diagnosis::Diagnosis::of(&facts);
    let plain = no_color.is_some_and(|value| !value.is_empty()) || !io::stdout().is_terminal();
    let mut out = io::stdout().lock();
    if json {
        print::json(&diagnosis, &mut out)?;
    } else {
        print::text(&diagnosis, if plain { Colour::Off } else { Colour::On }, &mut out)?;
    }
    Ok(if diagnosis.something_works() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether a kind cluster can be made here: docker or podman answers, the kind program is found (in the
/// assets, else on the search path), and the node image is there or can be pulled. Else one line that
/// says why not and what to do.
///
/// An image that is not there counts as one that can be pulled when its registry, or a mirror of it that
/// the docker daemon is set up with, answers from here as a registry does; a daemon with a
/// proxy of its own is trusted to pull. Nothing is pulled. It takes about a tenth of a second
/// when the image is there, and never longer than some seconds: whatever does not answer is given up.
pub async fn kind_ready(options: &Options, node_image: &str) -> Result<KindReady, String> {
    ready::decide(&gather::kind(options, node_image).await)
}
