//! What an answer of the API costs: the provider's serving stack in a process of its own, and the
//! sample adapter of the Go library in another, asked by the same client in turns.
//!
//! ```text
//! this program ─▶ itself as the server, once for each number of metrics ─▶ a fake kube-apiserver,
//!   (client)   ─▶ the sample adapter, where Go is on the machine        ─▶ one for each of them
//! ```
//!
//! `cargo xtask bench api` runs it; `docs/benchmarks.md` has figures. Everything is on loopback and
//! bounded in time.

#![expect(clippy::print_stdout, reason = "a benchmark prints its report")]

mod fleet;
mod kube;
mod load;
mod pki;
mod report;
mod sample;
mod server;
mod stack;

use std::{path::Path, process::Command, time::Duration};

use anyhow::ensure;
use clap::{Parser, Subcommand};

use crate::{
    kube::Kube,
    load::{Case, Format, Identity, Protocol},
    pki::FrontProxy,
    report::{Measured, Report, Row},
    server::{Memory, Server},
};

/// Ask the API as fast as it answers and say what that takes
#[derive(Debug, Parser)]
#[command(name = "api")]
struct Args {
    /// Numbers of stored metrics
    #[arg(long, value_delimiter = ',', default_value = "100,10000")]
    metrics: Vec<usize>,

    /// Numbers of connections
    #[arg(long, value_delimiter = ',', default_value = "1,16,64")]
    connections: Vec<usize>,

    /// How long each server is asked in each way
    #[arg(long, default_value_t = 3)]
    seconds: u64,

    /// How often each server is started; the last one is asked
    #[arg(long, default_value_t = 5)]
    starts: usize,

    /// Print JSON
    #[arg(long)]
    json: bool,

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
    /// The server, until it is killed
    Serve(stack::Args),
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    if let Some(Role::Serve(serve)) = &args.role {
        return runtime.block_on(stack::run(serve));
    }
    let report = runtime.block_on(compare(&args))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

async fn compare(args: &Args) -> anyhow::Result<Report> {
    ensure!(
        args.metrics.iter().all(|metrics| (1..=100_000).contains(metrics)),
        "1 to 100,000 metrics"
    );
    ensure!(
        args.connections.iter().all(|number| (1..=256).contains(number)),
        "1 to 256 connections"
    );
    ensure!((1..=60).contains(&args.seconds), "1 to 60 seconds");
    ensure!((1..=20).contains(&args.starts), "1 to 20 starts");
    let folder = tempfile::tempdir()?;
    let front_proxy = FrontProxy::new()?;
    let bench =
        Bench { args, identity: Identity::new(&front_proxy)?, front_proxy, folder: folder.path() };
    let mut all = Vec::new();
    for &metrics in &args.metrics {
        all.push(bench.provider(metrics).await?);
    }
    let skipped = match sample::build() {
        Ok(program) => {
            all.push(bench.sample_adapter(&program).await?);
            None
        }
        Err(why) => Some(why.to_string()),
    };
    let rows = bench.load(&all).await?;
    let servers = all.into_iter().map(Under::measured).collect::<Result<_, _>>()?;
    Ok(Report { servers, rows, skipped })
}

struct Bench<'a> {
    args: &'a Args,
    front_proxy: FrontProxy,
    identity: Identity,
    folder: &'a Path,
}

/// A server under measurement.
struct Under {
    name: String,
    kube: Kube,
    server: Server,
    first_answers: Vec<f64>,
    idle: Memory,
}

impl Bench<'_> {
    async fn provider(&self, metrics: usize) -> anyhow::Result<Under> {
        let program = std::env::current_exe()?;
        let command = |port: u16, kubeconfig: &Path| {
            let mut command = Command::new(&program);
            command.args(["serve", &metrics.to_string(), &format!("--port={port}")]);
            command.arg("--kubeconfig").arg(kubeconfig);
            command
        };
        let paths: Vec<_> = fleet::paths(metrics).collect();
        self.start(format!("provider, {metrics} metrics"), &paths, command).await
    }

    async fn sample_adapter(&self, program: &Path) -> anyhow::Result<Under> {
        let command =
            |port: u16, kubeconfig: &Path| sample::command(program, port, kubeconfig, self.folder);
        self.start("sample adapter".to_owned(), &[sample::PATH.to_owned()], command).await
    }

    async fn start(
        &self,
        name: String,
        paths: &[String],
        command: impl Fn(u16, &Path) -> Command,
    ) -> anyhow::Result<Under> {
        let kube = Kube::start(&self.front_proxy.ca).await?;
        let kubeconfig = kube.kubeconfig(self.folder)?;
        let log = self.folder.join(format!("{name}.log"));
        let start =
            || Server::start(|port| command(port, &kubeconfig), &self.identity, paths, &log);
        let mut server = start().await?;
        let mut first_answers = vec![milliseconds(server.first_answer)];
        for _ in 1..self.args.starts {
            drop(server);
            server = start().await?;
            first_answers.push(milliseconds(server.first_answer));
        }
        first_answers.sort_by(f64::total_cmp);
        let idle = server.memory()?;
        Ok(Under { name, kube, server, first_answers, idle })
    }

    /// In turns, so that what else the machine does comes to all alike.
    async fn load(&self, all: &[Under]) -> anyhow::Result<Vec<Row>> {
        for under in all {
            load::warm_up(&under.server.target).await?;
        }
        let mut rows = Vec::new();
        for case in self.cases() {
            for (position, under) in all.iter().enumerate() {
                rows.push(self.row(position, &under.server, case).await?);
            }
        }
        Ok(rows)
    }

    async fn row(&self, position: usize, server: &Server, case: Case) -> anyhow::Result<Row> {
        let during = Duration::from_secs(self.args.seconds);
        let cpu = server.cpu()?;
        let figures = load::measure(&server.target, case, during).await?;
        let cpu = server.cpu()?.saturating_sub(cpu).as_secs_f64() * 1e6 / figures.requests;
        Ok(Row { server: position, case, figures, cpu })
    }

    fn cases(&self) -> impl Iterator<Item = Case> + '_ {
        let protocols = [Protocol::Http1, Protocol::Http2].into_iter();
        let formats = [Format::Json, Format::Protobuf];
        let kinds =
            protocols.flat_map(move |protocol| formats.map(move |format| (protocol, format)));
        kinds.flat_map(|(protocol, format)| {
            let case = move |&connections: &usize| Case { protocol, format, connections };
            self.args.connections.iter().map(case)
        })
    }
}

impl Under {
    fn measured(self) -> anyhow::Result<Measured> {
        Ok(Measured {
            loaded: self.server.memory()?,
            reviews: self.kube.reviews(),
            name: self.name,
            first_answers: self.first_answers,
            idle: self.idle,
        })
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
