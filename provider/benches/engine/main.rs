//! What refreshing costs: the poll loop in a process of its own, with a fake Datadog in another.
//!
//! ```text
//! this program ─▶ itself as the fake: series for all, each query call takes 50 ms
//!              ─▶ itself as what is measured: demand ─▶ Poll ─▶ all have a sample ─▶ time, CPU, memory
//! ```
//!
//! Both are new for each row of the table. `cargo xtask bench engine` runs it;
//! `docs/benchmarks.md` has figures. Everything is on loopback and bounded in time.

#![expect(clippy::print_stdout, reason = "a benchmark prints its report")]

mod fake;
mod fleet;
mod measured;

use std::{
    fmt,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use fake_datadog::control;
use url::Url;

/// Refresh external metrics once and say what that takes
#[derive(Debug, Parser)]
#[command(name = "engine")]
struct Args {
    /// Numbers of external metrics
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000,50000")]
    metrics: Vec<usize>,

    /// How long Datadog takes for each call, in milliseconds
    #[arg(long, default_value_t = 50)]
    delay: u64,

    /// Calls in flight
    #[arg(long, default_value_t = 10)]
    parallel: usize,

    /// Given by `cargo bench`
    #[arg(long, hide = true, global = true)]
    bench: bool,

    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program is when it starts itself.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Role {
    /// The fake, until standard input ends
    Fake(fake::Args),
    /// The poll loop, until all metrics have a sample
    Measured(measured::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.role {
        Some(Role::Fake(args)) => runtime.block_on(fake::run(args)),
        Some(Role::Measured(args)) => runtime.block_on(measured::run(args)),
        None => runtime.block_on(table(&args)),
    }
}

async fn table(args: &Args) -> anyhow::Result<()> {
    let most = fake_datadog::store::MAX_SERIES;
    ensure!(args.metrics.iter().all(|metrics| (1..=most).contains(metrics)), "1 to {most} metrics");
    ensure!(args.delay <= 1000, "at most 1,000 ms a call");
    println!("| metrics | coalesced | calls | one refresh | CPU | resident at the peak |");
    println!("|---|---|---|---|---|---|");
    for &metrics in &args.metrics {
        for coalesce in [false, true] {
            let Row { calls, report } = row(args, metrics, coalesce).await?;
            let coalesced = if coalesce { "yes" } else { "no" };
            println!("| {metrics} | {coalesced} | {calls} | {report} |");
        }
    }
    Ok(())
}

struct Row {
    calls: u64,
    report: Report,
}

/// What the measured process says of itself, on one line.
struct Report {
    /// From the demand until all metrics had a sample.
    took: Duration,
    /// In that time, of all threads, in user and system mode.
    cpu: Duration,
    /// Largest resident memory, bytes.
    peak: u64,
}

async fn row(args: &Args, metrics: usize, coalesce: bool) -> anyhow::Result<Row> {
    let mut fake =
        Process::start("fake", &[metrics.to_string(), format!("--delay={}", args.delay)])?;
    let url: Url = fake.line()?.parse().context("the fake's first line is no address")?;
    let mut arguments =
        vec![url.to_string(), metrics.to_string(), format!("--parallel={}", args.parallel)];
    if coalesce {
        arguments.push("--coalesce".to_owned());
    }
    let report = Process::start("measured", &arguments)?.line()?.parse()?;
    let log = control::Client::new(url)?.requests().await?;
    ensure!(
        log.counts.iter().all(|count| count.path != "/api/v1/query" || count.status == 200),
        "calls failed: {:?}",
        log.counts
    );
    let calls = log.counts.iter().filter(|count| count.path == "/api/v1/query");
    Ok(Row { calls: calls.map(|count| count.count).sum(), report })
}

/// This program in another role; ended when this is dropped.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Its end is the end of the process.
    _input: ChildStdin,
}

impl Process {
    fn start(role: &str, arguments: &[String]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(role)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the process {role}"))?;
        let input = child.stdin.take().context("no input")?;
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, output, _input: input })
    }

    /// Waits for one line.
    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.by_ref().take(1000).read_line(&mut line)?;
        ensure!(!line.is_empty(), "a process ended without a report");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Report ===

impl Report {
    fn line(&self) -> String {
        format!("{} {} {}", self.took.as_micros(), self.cpu.as_micros(), self.peak)
    }
}

impl std::str::FromStr for Report {
    type Err = anyhow::Error;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let numbers: Result<Vec<u64>, _> = line.split(' ').map(str::parse).collect();
        let numbers = numbers.with_context(|| format!("not a report: {line}"))?;
        let [took, cpu, peak] = numbers.try_into().ok().context("not a report of three numbers")?;
        Ok(Self { took: Duration::from_micros(took), cpu: Duration::from_micros(cpu), peak })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (took, cpu) = (self.took.as_secs_f64(), self.cpu.as_secs_f64());
        write!(f, "{took:.2} s | {cpu:.2} s | {} MiB", self.peak.div_ceil(1 << 20))
    }
}
