//! The third way: official release files, each compared with the SHA-256 published for it.
//!
//! On a mirror that SHA-256 comes from the mirror too, and then guards against damage
//! only: whoever names a mirror trusts it.

use std::{
    collections::BTreeMap,
    env::consts,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use futures::future;
use indicatif::DecimalBytes;
use reqwest::Client;
use tempfile::TempDir;
use tokio::{task, time::Instant};

use crate::assets::{
    Mirrors,
    cache::Cache,
    error::{grouped, names},
    fetch::{self, FetchError},
    program::Program,
    release::{Release, release},
    search::Results,
    ui::Ui,
};

/// Everything that the downloads share.
struct Downloads<'a> {
    client: Client,
    cache: &'a Cache,
    workspace: &'a TempDir,
    ui: &'a Ui<'a>,
}

/// Why a program could not be downloaded.
#[derive(Debug, thiserror::Error)]
enum DownloadError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("cannot unpack {member} from {url}: {source}")]
    Archive { member: String, url: String, source: io::Error },
    #[error("cannot put {program} into the cache: {source}")]
    Install { program: Program, source: io::Error },
}

/// Downloads `programs` into the cache, at once.
///
/// Where a host cannot be reached at all, it is tried once, not once for each file.
pub(crate) async fn all(
    programs: &[Program],
    mirrors: &Mirrors,
    cache: &Cache,
    workspace: &TempDir,
    ui: &Ui<'_>,
) -> Results {
    if programs.is_empty() {
        return Vec::new();
    }
    let results = match (arch(), fetch::client()) {
        (Err(said), _) => for_all(programs, &said),
        (_, Err(error)) => for_all(programs, &error.to_string()),
        (Ok(arch), Ok(client)) => {
            let downloads = Downloads { client, cache, workspace, ui };
            let mut by_base: BTreeMap<&str, Vec<(Program, Release)>> = BTreeMap::new();
            for &program in programs {
                let base = match program {
                    Program::Etcd => &mirrors.etcd,
                    Program::Kwok => &mirrors.kwok,
                    _ => &mirrors.kubernetes,
                };
                let file = (program, release(program, mirrors, arch));
                by_base.entry(base.as_str()).or_default().push(file);
            }
            let groups = by_base.into_values().map(|files| downloads.group(files));
            future::join_all(groups).await.concat()
        }
    };
    let failures = results
        .iter()
        .filter_map(|(program, result)| result.as_ref().err().map(|said| (*program, said.clone())));
    for (programs, said) in grouped(&failures.collect::<Vec<_>>()) {
        ui.line(&format!("download: no {}, going on: {said}", names(&programs)));
    }
    results
}

impl Downloads<'_> {
    /// Files below one base URL: the first tells whether it can be reached.
    async fn group(&self, files: Vec<(Program, Release)>) -> Results {
        let mut files = files.into_iter();
        let Some((program, release)) = files.next() else { return Vec::new() };
        let digest = fetch::digest(&self.client, &release.digest).await;
        if let Err(error) = &digest
            && error.is_unreachable()
        {
            let programs: Vec<_> =
                [program].into_iter().chain(files.map(|(program, _)| program)).collect();
            return for_all(&programs, &error.to_string());
        }
        let first = async {
            let result = self.install(program, &release, digest).await;
            (program, result.map_err(|error| error.to_string()))
        };
        let rest = future::join_all(files.map(|(program, release)| async move {
            let digest = fetch::digest(&self.client, &release.digest).await;
            let result = self.install(program, &release, digest).await;
            (program, result.map_err(|error| error.to_string()))
        }));
        let (first, mut results) = future::join(first, rest).await;
        results.insert(0, first);
        results
    }

    async fn install(
        &self,
        program: Program,
        release: &Release,
        digest: Result<String, FetchError>,
    ) -> Result<PathBuf, DownloadError> {
        let digest = digest?;
        let (url, version) = (&release.url, program.pinned());
        self.ui.line(&format!("download: {program} {version} from {url}"));
        let started = Instant::now();
        let mut file = self.workspace.path().join(format!("{program}.part"));
        let length = fetch::file(&self.client, url, &digest, &file, self.ui).await?;
        if let Some(member) = &release.member {
            file = unpack(&file, member, url).await?;
        }
        let path = self
            .cache
            .install(&file, program)
            .map_err(|source| DownloadError::Install { program, source })?;
        self.ui.line(&format!(
            "download: {program} is here, {} in {:.1} s, SHA-256 as published",
            DecimalBytes(length),
            started.elapsed().as_secs_f64()
        ));
        Ok(path)
    }
}

/// Go's name for the machine that this runs on.
fn arch() -> Result<&'static str, String> {
    match (consts::OS, consts::ARCH) {
        ("linux", "x86_64") => Ok("amd64"),
        ("linux", "aarch64") => Ok("arm64"),
        (os, arch) => {
            Err(format!("there are no official files of all programs for {os} on {arch}"))
        }
    }
}

fn for_all(programs: &[Program], said: &str) -> Results {
    programs.iter().map(|program| (*program, Err(said.to_owned()))).collect()
}

/// Takes one file out of a `.tar.gz`, and puts it beside that.
async fn unpack(archive: &Path, member: &str, url: &str) -> Result<PathBuf, DownloadError> {
    let (from, to, wanted) =
        (archive.to_owned(), archive.with_extension("unpacked"), member.to_owned());
    let blocking = task::spawn_blocking(move || {
        let mut archive = tar::Archive::new(GzDecoder::new(File::open(from)?));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.path()?.as_ref() == Path::new(&wanted) {
                io::copy(&mut entry, &mut File::create(&to)?)?;
                return Ok(to);
            }
        }
        Err(io::Error::new(io::ErrorKind::NotFound, "the archive has no such file"))
    });
    blocking.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|source| {
        DownloadError::Archive { member: member.to_owned(), url: url.to_owned(), source }
    })
}
