//! Has actionlint look at the workflows.

use std::{
    env,
    path::{Path, PathBuf},
};

use xshell::{Shell, cmd};

use crate::project;

/// The version that CI and `.ci/run` install.
pub(crate) const INSTALL: &str = "go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12";

/// Fails where actionlint finds something; `false` when there is no actionlint.
pub(crate) fn lint(shell: &Shell) -> anyhow::Result<bool> {
    let Some(actionlint) = find() else { return Ok(false) };
    let folder = project::root()?.join(".github/workflows");
    let files: Vec<_> = shell.read_dir(folder)?.into_iter().filter(|file| is_yaml(file)).collect();
    cmd!(shell, "{actionlint} {files...}").quiet().run()?;
    Ok(true)
}

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

/// On the `PATH`, else where `go install` puts it.
fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::home_dir().map(|home| home.join("go/bin"));
    let go_path = env::var_os("GOPATH").map(|folder| PathBuf::from(folder).join("bin"));
    let folders = env::split_paths(&path)
        .chain(env::var_os("GOBIN").map(PathBuf::from))
        .chain(go_path)
        .chain(home);
    folders.map(|folder| folder.join("actionlint")).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One version for everybody: a newer one finds more.
    #[test]
    fn everybody_installs_the_same_version() {
        let root = project::root().unwrap();
        for file in [".ci/run", ".github/actions/setup/action.yml"] {
            let text = std::fs::read_to_string(root.join(file)).unwrap();
            assert!(text.contains(INSTALL), "{file} does not say `{INSTALL}`");
        }
    }
}
