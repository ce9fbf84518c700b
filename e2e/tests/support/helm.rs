//! Helm, of the version that `go/helm` pins, and kubectl.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Built once for all tests of a file, and kept for the next run. `None`, with the reason printed,
/// where Go or its modules are not to be had.
pub(crate) fn helm() -> Option<&'static Path> {
    static HELM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match HELM.get_or_init(build) {
        Ok(helm) => Some(helm),
        Err(why) => {
            eprintln!("skipped: {why}");
            None
        }
    }
}

fn build() -> Result<PathBuf, String> {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("go/helm");
    let pinned = std::fs::read_to_string(module.join("go.mod")).unwrap();
    let line = pinned.lines().find(|line| line.trim().starts_with("helm.sh/helm/v4 v"));
    let version = line.unwrap().split_whitespace().nth(1).unwrap();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("helm-{version}"));
    if program.is_file() {
        return Ok(program);
    }
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.current_dir(&module).args(arguments).env("CGO_ENABLED", "0").env("GOWORK", "off");
        command.output()
    };
    go(&["version"]).map_err(|_| "Go is not installed")?;
    let fetched = go(&["mod", "download"]).unwrap();
    if !fetched.status.success() {
        return Err(format!("no Go modules: {}", String::from_utf8_lossy(&fetched.stderr)));
    }
    eprintln!("building helm {version}, which takes 5 min when Go's cache is empty");
    let unfinished = program.with_extension(std::process::id().to_string());
    let (flags, output) = (["-mod=readonly", "-trimpath", "-buildvcs=false"], unfinished.to_str());
    let built = go(&[
        &["build"],
        &flags[..],
        &["-ldflags", "-s -w", "-o", output.unwrap(), "helm.sh/helm/v4/cmd/helm"],
    ]
    .concat())
    .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::rename(&unfinished, &program).unwrap();
    Ok(program)
}
