//! Images become files that others read.

use anyhow::Context;
use oci_spec::image::{
    ANNOTATION_REF_NAME, Descriptor, ImageIndexBuilder, MediaType, OciLayoutBuilder, SCHEMA_VERSION,
};
use serde::Serialize;

use crate::image::{
    Image, Product,
    blob::Blob,
    layer::{Entry, tar},
};

/// One entry of a docker archive's `manifest.json`:
/// <https://github.com/moby/docker-image-spec/blob/v1.3.1/v1.2.md#combined-image-json--filesystem-changeset-format>.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage<'a> {
    config: String,
    repo_tags: [&'a str; 1],
    layers: Vec<String>,
}

/// An archive for `docker load`, `podman load`, `kind load image-archive` and `ctr images import`.
pub fn docker_archive(image: &Image) -> anyhow::Result<Vec<u8>> {
    // All four look into a layer and see that it is compressed.
    let layer_name = |blob: &Blob| format!("{}.tar.gz", blob.hex());
    let config = format!("{}.json", image.config.hex());
    let manifest = DockerImage {
        config: config.clone(),
        repo_tags: [image.product.reference()],
        layers: image.layers.iter().map(|layer| layer_name(&layer.blob)).collect(),
    };
    let mut files = vec![
        Entry::file("manifest.json", 0o644, Blob::json(&[manifest])?.bytes()),
        Entry::file(config, 0o644, image.config.bytes()),
    ];
    for layer in &image.layers {
        files.push(Entry::file(layer_name(&layer.blob), 0o644, layer.blob.bytes()));
    }
    tar(files, 0)
}

/// An OCI image layout, in a tar; an index over the platforms when there are several:
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>. With it comes the
/// digest of what the layout names.
pub fn oci_archive(images: &[Image]) -> anyhow::Result<(Vec<u8>, String)> {
    let first = images.first().context("there is no image to put into an archive")?;
    let mut blobs: Vec<&Blob> = Vec::new();
    for image in images {
        blobs.extend(image.layers.iter().map(|layer| &layer.blob));
        blobs.extend([&image.config, &image.manifest]);
    }
    let index;
    let mut named = if let [image] = images {
        image.descriptor()?
    } else {
        let manifests = images.iter().map(Image::descriptor).collect::<Result<Vec<_>, _>>()?;
        index = Blob::json(&index_of(manifests)?)?;
        blobs.push(&index);
        index.descriptor(MediaType::ImageIndex)
    };
    named.set_annotations(Some(names(first.product)));
    let digest = named.digest().to_string();

    blobs.sort_by(|one, other| one.hex().cmp(other.hex()));
    blobs.dedup();
    let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build()?;
    let mut files = vec![
        Entry::file("oci-layout", 0o644, Blob::json(&layout)?.bytes()),
        Entry::file("index.json", 0o644, Blob::json(&index_of(vec![named])?)?.bytes()),
        Entry::folder("blobs", 0o755),
        Entry::folder("blobs/sha256", 0o755),
    ];
    let blob_files = blobs
        .iter()
        .map(|blob| Entry::file(format!("blobs/sha256/{}", blob.hex()), 0o644, blob.bytes()));
    files.extend(blob_files);
    Ok((tar(files, 0)?, digest))
}

fn index_of(manifests: Vec<Descriptor>) -> anyhow::Result<oci_spec::image::ImageIndex> {
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests);
    Ok(index.build()?)
}

/// What the image is called: the tag for those who follow the specification, the whole reference for
/// containerd, as buildkit does.
fn names(product: Product) -> std::collections::HashMap<String, String> {
    let reference = product.reference();
    let tag = reference.rsplit(':').next().unwrap_or(reference);
    [
        (ANNOTATION_REF_NAME.to_owned(), tag.to_owned()),
        ("io.containerd.image.name".to_owned(), format!("docker.io/{reference}")),
    ]
    .into()
}
