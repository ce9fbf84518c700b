//! Layers become an image: a configuration and a manifest, each known by its digest.

use std::collections::HashMap;

use anyhow::Context;
use jiff::Timestamp;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION,
    ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_VERSION, ConfigBuilder, Descriptor,
    HistoryBuilder, ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Os,
    PlatformBuilder, RootFsBuilder, SCHEMA_VERSION,
};

use crate::image::{
    Platform, Product,
    blob::Blob,
    layer::Layer,
    rootfs::{self, USER},
};

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The commit.
    pub revision: Option<String>,
    /// When that was; never now, so that the same commit gives the same image.
    pub created: Timestamp,
}

/// A program to put into an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// It must need no other file.
    pub binary: Vec<u8>,
    /// What it was linked from, in CycloneDX's JSON.
    pub sbom: Vec<u8>,
}

/// The image of a product for a platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub(crate) product: Product,
    pub(crate) platform: Platform,
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: Blob,
    pub(crate) manifest: Blob,
}

impl Image {
    /// Packs `program`.
    pub fn new(
        product: Product,
        platform: Platform,
        program: Program,
        origin: &Origin,
    ) -> anyhow::Result<Self> {
        let created = u64::try_from(origin.created.as_second()).context("made before 1970")?;
        let layers = vec![
            Layer::new(rootfs::base(), created)?,
            Layer::new(rootfs::program(product, program.binary, program.sbom), created)?,
        ];
        let config = config(product, platform, &layers, origin)?;
        let manifest = manifest(product, &config, &layers, origin)?;
        Ok(Self { product, platform, layers, config, manifest })
    }

    /// What a registry would know the image by.
    pub fn digest(&self) -> String {
        format!("sha256:{}", self.manifest.hex())
    }

    /// What a registry would send.
    pub fn compressed_size(&self) -> u64 {
        let layers: u64 = self.layers.iter().map(|layer| layer.blob.size()).sum();
        layers + self.config.size() + self.manifest.size()
    }

    /// How an index refers to the image.
    pub(crate) fn descriptor(&self) -> anyhow::Result<Descriptor> {
        let mut descriptor = self.manifest.descriptor(MediaType::ImageManifest);
        let platform = PlatformBuilder::default()
            .architecture(self.platform.architecture())
            .os(Os::Linux)
            .build()?;
        descriptor.set_platform(Some(platform));
        Ok(descriptor)
    }
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>
fn config(
    product: Product,
    platform: Platform,
    layers: &[Layer],
    origin: &Origin,
) -> anyhow::Result<Blob> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let config = ConfigBuilder::default()
        .user(format!("{USER}:{USER}"))
        .env(words(&["PATH=/usr/local/bin:/usr/bin:/bin"]))
        .entrypoint(words(&[product.program()]))
        .cmd(words(product.default_arguments()))
        .working_dir("/")
        .labels(labels(product, origin));
    let config = match product.ports() {
        [] => config,
        ports => config.exposed_ports(words(ports)),
    };
    let contents = ["users, certificate authorities, names", product.program()];
    let history = contents.map(|contents| {
        let created = origin.created.to_string();
        HistoryBuilder::default().created(created).created_by("xtask image").comment(contents)
    });
    let diff_ids: Vec<_> = layers.iter().map(|layer| format!("sha256:{}", layer.diff_id)).collect();
    let image = ImageConfigurationBuilder::default()
        .created(origin.created.to_string())
        .architecture(platform.architecture())
        .os(Os::Linux)
        .config(config.build()?)
        .rootfs(RootFsBuilder::default().typ("layers").diff_ids(diff_ids).build()?)
        .history(history.into_iter().map(HistoryBuilder::build).collect::<Result<Vec<_>, _>>()?)
        .build()?;
    Blob::json(&image)
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>
fn manifest(
    product: Product,
    config: &Blob,
    layers: &[Layer],
    origin: &Origin,
) -> anyhow::Result<Blob> {
    let layers: Vec<_> =
        layers.iter().map(|layer| layer.blob.descriptor(MediaType::ImageLayerGzip)).collect();
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(config.descriptor(MediaType::ImageConfig))
        .layers(layers)
        .annotations(labels(product, origin))
        .build()?;
    Blob::json(&manifest)
}

/// Labels of the configuration, which `docker inspect` shows, and annotations of the manifest, which
/// registries show: <https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md>.
fn labels(product: Product, origin: &Origin) -> HashMap<String, String> {
    let source = env!("CARGO_PKG_REPOSITORY");
    let labels = [
        (ANNOTATION_TITLE, Some(product.name().to_owned())),
        (ANNOTATION_DESCRIPTION, Some(product.description().to_owned())),
        (ANNOTATION_VERSION, Some(env!("CARGO_PKG_VERSION").to_owned())),
        (ANNOTATION_LICENSES, Some(env!("CARGO_PKG_LICENSE").to_owned())),
        (ANNOTATION_CREATED, Some(origin.created.to_string())),
        (ANNOTATION_REVISION, origin.revision.clone()),
        (ANNOTATION_SOURCE, Some(source.to_owned()).filter(|source| !source.is_empty())),
    ];
    let known = labels.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    known.collect()
}
