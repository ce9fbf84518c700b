//! The program under load.

use std::{
    fmt, fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use fake_datadog::control;
use url::Url;

/// A running fake; ended when this is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) url: Url,
}

/// Bytes, from `/proc/<pid>/status`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) resident: usize,
    peak: usize,
}

impl Program {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fake-datadog"))
            .args(["serve", "--listen=127.0.0.1:0", "--log-level=warn"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the program")?;
        let stdout = child.stdout.as_mut().context("the program has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.strip_prefix("fake-datadog listening on ");
        let url = url.with_context(|| format!("not an address: {line}"))?.trim_end().parse()?;
        Ok(Self { child, url })
    }

    pub(crate) async fn health(&self) -> anyhow::Result<control::Health> {
        Ok(control::Client::new(self.url.clone())?.health().await?)
    }

    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let file = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
            value.with_context(|| format!("{file} has no {name}"))
        };
        Ok(Memory { resident: kibibytes("VmRSS:")? * 1024, peak: kibibytes("VmHWM:")? * 1024 })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        let (resident, peak) = (mebibytes(self.resident), mebibytes(self.peak));
        write!(f, "{resident:.1} MiB resident, {peak:.1} MiB at the peak")
    }
}
