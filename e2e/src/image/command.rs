//! `e2e image`, which `cargo xtask image` runs when the binaries are built.

#![allow(clippy::print_stdout, reason = "the command prints its result")]

use std::{
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, bail, ensure};
use indicatif::DecimalBytes;
use jiff::Timestamp;

use crate::image::{
    Image, Origin, Platform, Product, Program, docker_archive, load, oci_archive, sbom,
};

/// From this size on the provider's image is too large, in bytes that a registry would send.
const PROVIDER_LIMIT: u64 = 15_000_000;

/// What xtask tells.
#[derive(Debug, clap::Args)]
#[group(id = "image")]
pub struct Args {
    /// Which images
    #[arg(long = "only", value_name = "NAME", num_args = 1.., default_values = ["cluster-agent", "fake-datadog", "e2e"])]
    products: Vec<Product>,
    /// Where static binaries are, by platform and target
    #[arg(long, value_name = "PLATFORM:TARGET=DIR", required = true)]
    binaries: Vec<Binaries>,
    /// Where the archives go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The commit
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
    /// When that was, in seconds since 1970
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    created: Timestamp,
    /// Load the images into docker, or podman
    #[arg(long)]
    docker: bool,
    /// Load the images into this kind cluster
    #[arg(long, value_name = "CLUSTER")]
    kind: Option<String>,
}

/// A folder with the binaries for a platform.
#[derive(Debug, Clone)]
struct Binaries {
    platform: Platform,
    triple: String,
    folder: PathBuf,
}

impl FromStr for Binaries {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts =
            text.split_once('=').and_then(|(what, folder)| Some((what.split_once(':')?, folder)));
        let ((platform, triple), folder) =
            parts.ok_or_else(|| format!("{text} is not PLATFORM:TARGET=DIR"))?;
        Ok(Self { platform: platform.parse()?, triple: triple.to_owned(), folder: folder.into() })
    }
}

fn seconds(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse().map_err(|error| format!("{text} is no time: {error}"))?;
    Timestamp::from_second(seconds).map_err(|error| error.to_string())
}

/// Packs the images, writes their archives, and loads them where that is wanted.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let Args { products, mut binaries, out, revision, created, docker, kind } = args;
    let origin = Origin { revision, created };
    binaries.sort_by_key(|binaries| binaries.platform);
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    for &product in &products {
        pack(product, &binaries, &origin, &out).await?;
    }
    let archives: Vec<_> = products.iter().map(|product| out.join(product.archive())).collect();
    if docker {
        load::into_docker(&archives).await?;
    }
    if let Some(cluster) = kind {
        load::into_kind(&cluster, &archives).await?;
    }
    Ok(())
}

async fn pack(
    product: Product,
    binaries: &[Binaries],
    origin: &Origin,
    out: &Path,
) -> anyhow::Result<()> {
    let mut images = Vec::new();
    for Binaries { platform, triple, folder } in binaries {
        let path = folder.join(product.program());
        let binary = fs::read(&path).with_context(|| {
            format!(
                "there is no {}: start with `cargo xtask image`, which builds it",
                path.display()
            )
        })?;
        let sbom = sbom::sbom(product, triple, &binary, origin.created).await?;
        let architecture = platform.architecture();
        write(&out.join(format!("{}.{architecture}.cdx.json", product.name())), &sbom)?;
        let image = Image::new(product, *platform, Program { binary, sbom }, origin)?;
        let size = image.compressed_size();
        print(product.reference(), &platform.to_string(), &image.digest(), size);
        ensure!(
            product != Product::ClusterAgent || size < PROVIDER_LIMIT,
            "the image {} for {platform} has {}, it must stay below {}: `cargo tree -p provider` and \
             cargo-bloat show what grew",
            product.reference(),
            DecimalBytes(size),
            DecimalBytes(PROVIDER_LIMIT)
        );
        images.push(image);
    }
    // A machine loads what it can run; without such an image the first.
    let here = Platform::of_this_machine();
    let loaded = images.iter().find(|image| Some(image.platform) == here).or(images.first());
    let Some(loaded) = loaded else { bail!("no platform was given for {}", product.reference()) };
    write(&out.join(product.archive()), &docker_archive(loaded)?)?;
    let (archive, digest) = oci_archive(&images)?;
    if images.len() > 1 {
        print(product.reference(), "all", &digest, images.iter().map(Image::compressed_size).sum());
    }
    write(&out.join(product.oci_archive()), &archive)
}

fn print(reference: &str, platform: &str, digest: &str, size: u64) {
    println!("{reference:<45}{platform:<13}{digest}  {}", DecimalBytes(size));
}

/// Complete or not at all: someone may be reading the one before.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    fs::write(&fresh, bytes)
        .and_then(|()| fs::rename(&fresh, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
