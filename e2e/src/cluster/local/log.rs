//! What a program of Kubernetes logs from some moment on, in as much detail as is asked for.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use url::Url;

use crate::{
    cluster::local::direct::identity,
    pki::Pair,
    wait::{self, Probe},
};

const SAID_WITHIN: Duration = Duration::from_secs(70);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A log, read from where it ended at the beginning.
#[derive(Debug)]
pub struct Log {
    file: PathBuf,
    offset: usize,
    http: reqwest::Client,
    url: Url,
}

impl Log {
    /// From the file's end on. The program serves at `url`, where `pair` has all rights.
    pub(super) async fn begin(file: &Path, url: &Url, pair: &Pair) -> anyhow::Result<Self> {
        let length = tokio::fs::metadata(file).await.context("a log")?.len();
        let http = reqwest::Client::builder()
            // It is the cluster's own program on loopback, and gets nothing secret.
            .tls_danger_accept_invalid_certs(true)
            .identity(identity(pair)?)
            .no_proxy()
            .build()?;
        let (file, url) = (file.to_owned(), url.join("debug/flags/v")?);
        Ok(Self { file, offset: usize::try_from(length)?, http, url })
    }

    /// How much is logged from now on (klog's `-v`); 0 is what the program was started with.
    pub async fn set_level(&self, level: u8) -> anyhow::Result<()> {
        let answer = self.http.put(self.url.clone()).body(level.to_string()).send().await?;
        ensure!(answer.status().is_success(), "log level at {}: {}", self.url, answer.status());
        Ok(())
    }

    /// All since the beginning.
    pub async fn read(&self) -> anyhow::Result<String> {
        let bytes = tokio::fs::read(&self.file).await.context("a log")?;
        let bytes = bytes.get(self.offset..).unwrap_or_default();
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// Waits for a line that has all of these words.
    pub async fn says(&self, words: &[&str]) -> Result<String, String> {
        let looked = wait::until("a line of a log", SAID_WITHIN, LOOK_EVERY, async || {
            let text = self.read().await?;
            let said = text.lines().find(|line| words.iter().all(|word| line.contains(word)));
            anyhow::Ok(match said {
                Some(line) => Probe::Ready(line.to_owned()),
                None => Probe::NotYet(format!("{} lines without it", text.lines().count())),
            })
        });
        looked.await.map_err(|timeout| timeout.to_string())
    }
}
