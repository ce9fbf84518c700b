//! That a program runs and is the right one, asked once for each file.
//!
//! The answer is kept as a stamp with the file's size and time of change: starting six
//! programs of 100 MB only to hear their version would cost every run half a second.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{process::Command, time};

use crate::assets::{
    program::{Program, Version},
    ui::Ui,
};

/// Far more than any of the programs needs to print a line, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What earlier runs were told by programs, by path.
#[derive(Debug)]
pub(crate) struct Stamps {
    file: PathBuf,
    by_path: BTreeMap<String, Stamp>,
    changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    /// Seconds and nanoseconds since the epoch.
    modified: (i64, i64),
    said: String,
}

// === impl Stamps ===

impl Stamps {
    /// A file that is missing or damaged has no stamps: every program is asked again.
    pub(crate) async fn load(file: PathBuf) -> Self {
        let text = tokio::fs::read(&file).await.unwrap_or_default();
        let by_path = serde_json::from_slice(&text).unwrap_or_default();
        Self { file, by_path, changed: false }
    }

    /// Writes what is new. Failing to is worth a line, but no reason to stop.
    pub(crate) async fn save(&mut self, ui: &Ui<'_>) {
        if !self.changed {
            return;
        }
        self.by_path.retain(|path, stamp| stamp.still_holds(Path::new(path)));
        if let Err(error) = self.write().await {
            ui.line(&format!(
                "programs: cannot write {}: {error}; the next run checks all of them again",
                self.file.display()
            ));
        }
    }

    async fn write(&self) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        tokio::fs::create_dir_all(folder).await?;
        let temporary = tempfile::NamedTempFile::new_in(folder)?;
        tokio::fs::write(temporary.path(), serde_json::to_vec_pretty(&self.by_path)?).await?;
        temporary.persist(&self.file)?;
        Ok(())
    }

    fn get(&self, path: &Path) -> Option<&str> {
        let stamp = self.by_path.get(path.to_str()?)?;
        stamp.still_holds(path).then_some(stamp.said.as_str())
    }

    fn put(&mut self, path: &Path, said: String) {
        // Without a path in UTF-8, or when the file is gone again, the next run just asks again.
        if let (Some(key), Ok(stamp)) = (path.to_str(), Stamp::of(path, said)) {
            self.by_path.insert(key.to_owned(), stamp);
            self.changed = true;
        }
    }
}

impl Stamp {
    fn of(path: &Path, said: String) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            said,
        })
    }

    fn still_holds(&self, path: &Path) -> bool {
        Self::of(path, self.said.clone()).is_ok_and(|now| now == *self)
    }
}

/// The program's version, or what it did instead of saying an acceptable one.
pub(crate) async fn version(
    program: Program,
    path: &Path,
    stamps: &mut Stamps,
) -> Result<Version, String> {
    if let Some(version) = stamps.get(path).and_then(|said| program.read_version(said)) {
        return Ok(version);
    }
    let output = run(path, &["--version"]).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = program.read_version(&text).ok_or_else(|| printed(&output))?;
    if version.major() != program.pinned().major() || version < program.oldest() {
        return Err(printed(&output));
    }
    stamps.put(path, text);
    Ok(version)
}

/// `Ok` when `nginx -V` names the status module, with the version if it can be read (forks have other
/// names), else what it did instead.
pub(crate) async fn nginx(path: &Path, stamps: &mut Stamps) -> Result<Option<Version>, String> {
    const MODULE: &str = "--with-http_stub_status_module";
    if let Some(said) = stamps.get(path).filter(|said| said.contains(MODULE)) {
        return Ok(nginx_version(said));
    }
    let output = run(path, &["-V"]).await?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if !text.contains(MODULE) {
        return Err(printed(&output));
    }
    let version = nginx_version(&text);
    stamps.put(path, text);
    Ok(version)
}

/// `nginx version: nginx/1.22.1 (Debian)`
fn nginx_version(said: &str) -> Option<Version> {
    let (_, rest) = said.split_once("nginx/")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// `Ok` when kubectl runs. Any version will do, it is for people only.
pub(crate) async fn kubectl(path: &Path, stamps: &mut Stamps) -> Result<(), String> {
    if stamps.get(path).is_some() {
        return Ok(());
    }
    let output = run(path, &["version", "--client"]).await?;
    if !output.status.success() {
        return Err(printed(&output));
    }
    stamps.put(path, String::from_utf8_lossy(&output.stdout).into_owned());
    Ok(())
}

/// Runs a program that should print something and end; the error continues "PROGRAM at PATH …".
pub(crate) async fn run(path: &Path, args: &[&str]) -> Result<Output, String> {
    let attempt = async {
        loop {
            let mut command = Command::new(path);
            command.args(args).stdin(Stdio::null()).kill_on_drop(true);
            match command.output().await {
                // Another thread of ours forked while this file was still open for writing, and
                // its child has not come to exec yet. Linux tells nobody when that is over.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                    time::sleep(Duration::from_millis(10)).await;
                }
                result => return result,
            }
        }
    };
    match time::timeout(PATIENCE, attempt).await {
        Ok(Ok(output)) => Ok(output),
        Ok(Err(error)) => Err(format!("does not run ({error})")),
        Err(_) => Err(format!("did not end within {PATIENCE:?} when run with {args:?}")),
    }
}

/// The first line that a program printed, cut to a length that fits into a message.
fn printed(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let line = texts.iter().flat_map(|text| text.lines()).find(|line| !line.trim().is_empty());
    match line {
        Some(line) => format!("printed `{}`", line.trim().chars().take(160).collect::<String>()),
        None => format!("printed nothing ({})", output.status),
    }
}
