//! kubectl, for what kustomize means.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use e2e::deploy::Manifests;

/// `None`, with the reason printed, where it is not.
pub(crate) fn kubectl() -> Option<PathBuf> {
    let assets = std::env::var_os("E2E_ASSETS").map(|assets| PathBuf::from(assets).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = assets.into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join("kubectl")).find(|file| file.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no kubectl in E2E_ASSETS or on the PATH");
    }
    found
}

/// What `kubectl apply -k` would apply.
pub(crate) fn kustomize(kubectl: &Path, directory: &Path) -> Manifests {
    let built = Command::new(kubectl).arg("kustomize").arg(directory).output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{}: {said}", directory.display());
    parsed(&built.stdout)
}

/// Objects as a program prints them.
pub(crate) fn parsed(yaml: &[u8]) -> Manifests {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("built.yaml");
    std::fs::write(&file, yaml).unwrap();
    Manifests::load(&file).unwrap()
}
