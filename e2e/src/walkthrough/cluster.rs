//! The cluster that the page's commands are run on: one prepared for it, and no other.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use crate::walkthrough::shell::{self, Shell};

/// What marks a prepared cluster: the page's commands must not be let loose on another.
const STAND_IN: &str = "kubectl --namespace datadog-fake get deployment fake-datadog";

/// Why the page cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no kubectl.
    #[error("there is no kubectl in E2E_ASSETS nor on the PATH, put one there")]
    NoKubectl,
    /// A cluster that is somebody's own, or cannot be reached.
    #[error(
        "{} is not for this: `{STAND_IN}` says {said:?}, name a cluster that was prepared for the page",
        kubeconfig.display()
    )]
    NotPrepared {
        /// The file that names it.
        kubeconfig: PathBuf,
        /// What kubectl said.
        said: String,
    },
    /// Bash could not be asked.
    #[error(transparent)]
    Shell(#[from] shell::Error),
}

/// The environment of the page's commands: a reader's, with nothing that is of this machine only.
pub(crate) fn environment(
    kubeconfig: &Path,
    assets: Option<&Path>,
    search_path: &OsStr,
    home: Option<&OsStr>,
) -> Result<Vec<(OsString, OsString)>, Error> {
    let ours = assets.into_iter().flat_map(|assets| [assets.to_owned(), assets.join("bin")]);
    let folders: Vec<PathBuf> = ours.chain(std::env::split_paths(search_path)).collect();
    if !folders.iter().any(|folder| folder.join("kubectl").is_file()) {
        return Err(Error::NoKubectl);
    }
    // A folder with a `:` in its name cannot be on a PATH, so it was not searched by bash either.
    let path = std::env::join_paths(&folders).unwrap_or_else(|_| search_path.to_owned());
    let mut environment = vec![
        ("PATH".into(), path),
        ("KUBECONFIG".into(), kubeconfig.into()),
        ("LC_ALL".into(), "C.UTF-8".into()),
    ];
    environment.extend(home.map(|home| ("HOME".into(), home.to_owned())));
    Ok(environment)
}

/// Fails unless the cluster was made for this.
pub(crate) async fn ensure_prepared(shell: &Shell, kubeconfig: &Path) -> Result<(), Error> {
    let asked = shell.run(STAND_IN).await?;
    if asked.code == 0 {
        return Ok(());
    }
    let said = asked.output.lines().last().unwrap_or_default().to_owned();
    Err(Error::NotPrepared { kubeconfig: kubeconfig.to_owned(), said })
}
