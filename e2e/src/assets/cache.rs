//! The folder where programs stay between runs.
//!
//! ```text
//! <root>/kubernetes-1.37.2-etcd-3.7.3-kwok-0.8.0-linux-x86_64/bin/   the programs
//! <root>/kubernetes-1.37.2-etcd-3.7.3-kwok-0.8.0-linux-x86_64/sha256/  of each, see sum.rs
//! <root>/checked.json                                               stamps, see check.rs
//! <root>/tmp/<pid>-XXXXXX/                                           work in progress
//! ```
//!
//! A file gets into `bin` by a rename only, complete and checked, so that two runs at the same
//! time, or one that is killed, cannot leave half a program there.

use std::{
    env::consts,
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process,
};

use tempfile::TempDir;

use crate::assets::{
    error::Error,
    program::{ETCD, KUBERNETES, KWOK, Program},
    sum,
};

#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
    bin: PathBuf,
}

impl Cache {
    /// Names the folders; makes none.
    pub(crate) fn new(root: &Path) -> Self {
        let (os, arch) = (consts::OS, consts::ARCH);
        let versions = format!("kubernetes-{KUBERNETES}-etcd-{ETCD}-kwok-{KWOK}-{os}-{arch}");
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self { bin: root.join(versions).join("bin"), root }
    }

    pub(crate) fn bin(&self) -> &Path {
        &self.bin
    }

    pub(crate) fn stamps_file(&self) -> PathBuf {
        self.root.join("checked.json")
    }

    /// A new folder for work in progress, on the same file system as `bin`; removed on drop.
    ///
    /// What a run that was killed left there is removed first.
    pub(crate) fn workspace(&self) -> Result<TempDir, Error> {
        let tmp = self.root.join("tmp");
        let make = || {
            fs::create_dir_all(&tmp)?;
            fs::create_dir_all(&self.bin)?;
            sweep(&tmp)?;
            tempfile::Builder::new().prefix(&format!("{}-", process::id())).tempdir_in(&tmp)
        };
        make().map_err(|source| Error::Cache { path: self.root.clone(), source })
    }

    /// Makes `file` (in a workspace) executable and moves it to `bin` under the program's name.
    pub(crate) fn install(&self, file: &Path, program: Program) -> io::Result<PathBuf> {
        self.install_as(file, program.name())
    }

    /// As [`Cache::install`], for a file that is several programs: each becomes a link to it.
    pub(crate) fn install_shared(
        &self,
        file: &Path,
        name: &str,
        programs: &[Program],
    ) -> io::Result<Vec<PathBuf>> {
        self.install_as(file, name)?;
        let link = |program: &Program| {
            let (made, target) =
                (file.with_file_name(program.name()), self.bin.join(program.name()));
            symlink(name, &made)?;
            fs::rename(made, &target)?;
            Ok(target)
        };
        programs.iter().map(link).collect()
    }

    fn install_as(&self, file: &Path, name: &str) -> io::Result<PathBuf> {
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
        let target = self.bin.join(name);
        fs::rename(file, &target)?;
        sum::record(&target)?;
        Ok(target)
    }
}

/// Removes the workspaces of processes that are no more. Where there is no `/proc`, removes none.
fn sweep(tmp: &Path) -> io::Result<()> {
    if !Path::new("/proc/self").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.split_once('-')).map(|(pid, _)| pid);
        let owner = pid.and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // Another run may be sweeping too.
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_of_a_dead_process_is_swept_and_that_of_a_living_one_is_not() {
        let root = tempfile::tempdir().unwrap();
        let tmp = root.path().join("tmp");
        // Linux counts process ids to at most 2^22.
        for name in ["4194305-dead", "1-alive", "notes"] {
            fs::create_dir_all(tmp.join(name).join("inner")).unwrap();
        }

        let workspace = Cache::new(root.path()).workspace().unwrap();

        assert!(workspace.path().exists());
        assert!(!tmp.join("4194305-dead").exists());
        assert!(tmp.join("1-alive").exists());
        assert!(tmp.join("notes").exists());
    }
}
