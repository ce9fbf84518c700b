//! Docker for a test, where a daemon answers.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Command, Output},
};

use e2e::image::Product;
use serde_json::{Value, json};
use testcontainers::GenericImage;

/// The folder of the images that were built; `None`, with the reason printed, without docker or
/// without images.
pub(crate) fn images() -> Option<PathBuf> {
    if !answers() {
        return None;
    }
    let Some(folder) = std::env::var_os("E2E_IMAGES").map(PathBuf::from) else {
        eprintln!("skipped: E2E_IMAGES names no folder with images, see `cargo xtask image`");
        return None;
    };
    let missing = Product::ALL.map(|product| folder.join(product.archive()));
    if let Some(missing) = missing.iter().find(|archive| !archive.is_file()) {
        eprintln!("skipped: there is no {}, see `cargo xtask image`", missing.display());
        return None;
    }
    Some(folder)
}

/// Whether a docker daemon does; the reason is printed where not.
pub(crate) fn answers() -> bool {
    match Command::new("docker").arg("version").output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            eprintln!("skipped: docker does not answer: {error}");
            false
        }
        Err(error) => {
            eprintln!("skipped: docker cannot be run: {error}");
            false
        }
    }
}

/// Runs docker, which must succeed.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new("docker").args(arguments).output().expect("docker runs");
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "docker {}: {stderr}", arguments.join(" "));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// An image under a name of its own; removed when dropped.
pub(crate) struct Loaded {
    name: String,
}

const TAG: &str = "test";

impl Loaded {
    /// Loads an image that was built.
    pub(crate) fn built(folder: &std::path::Path, product: Product) -> Self {
        let archive = fs::read(folder.join(product.archive())).unwrap();
        Self::new(product.program(), &archive)
    }

    /// Loads a docker archive under another name: the name in it belongs to those who use this
    /// machine's docker, and another test may load another image of that name.
    pub(crate) fn new(what: &str, archive: &[u8]) -> Self {
        let name = format!("datadog-external-metrics-test-{}/{what}", std::process::id());
        let mut renamed = tempfile::NamedTempFile::new().unwrap();
        renamed.write_all(&rename(archive, &format!("{name}:{TAG}"))).unwrap();
        docker(&["load", "--quiet", "--input", renamed.path().to_str().unwrap()]);
        Self { name }
    }

    pub(crate) fn reference(&self) -> String {
        format!("{}:{TAG}", self.name)
    }

    pub(crate) fn image(&self) -> GenericImage {
        GenericImage::new(self.name.as_str(), TAG)
    }

    /// What docker knows of it.
    pub(crate) fn inspect(&self) -> Value {
        let known = docker(&["image", "inspect", &self.reference()]);
        serde_json::from_str::<Value>(&known).unwrap()[0].clone()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", &self.reference()]).output();
    }
}

fn rename(archive: &[u8], reference: &str) -> Vec<u8> {
    let mut renamed = tar::Builder::new(Vec::new());
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let path = entry.path().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if path.as_os_str() == "manifest.json" {
            let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
            manifest[0]["RepoTags"] = json!([reference]);
            bytes = serde_json::to_vec(&manifest).unwrap();
            header.set_size(bytes.len() as u64);
        }
        renamed.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    renamed.into_inner().unwrap()
}
