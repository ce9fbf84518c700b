//! The load proof: the real program, filled over its real intake, asked over real HTTP.
//!
//! ```text
//! start the program ─▶ fill: series × points in the order of time ─▶ memory
//!                                                                ─▶ queries, open loop ─▶ latency
//! ```
//!
//! `cargo xtask bench` runs it; `docs/benchmarks.md` has figures. Everything is on loopback and
//! bounded in time; the program is ended with this one.

#![expect(clippy::print_stdout, reason = "a benchmark prints its report")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod fill;
mod program;
mod queries;

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;

use crate::{
    fill::Fill,
    program::{Memory, Program},
    queries::{Kind, Latencies},
};

/// Fill a fake with series and ask it.
#[derive(Debug, Parser)]
struct Args {
    /// Number of series, all of one metric.
    #[arg(long, default_value_t = 50_000)]
    series: usize,

    /// Number of points of each series, one every 10 s.
    #[arg(long, default_value_t = 360)]
    points: usize,

    /// Queries a second.
    #[arg(long, default_value_t = 2000)]
    rate: u32,

    /// How long to ask each kind of query, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,

    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let Args { series, points, rate, seconds, bench: _ } = Args::parse();
    ensure!(series <= 100_000 && points <= 360, "at most 100,000 series of 360 points");
    ensure!(rate <= 20_000 && seconds <= 300, "at most 20,000 queries a second for 300 s");
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(
        async {
            let program = Program::start()?;
            fill(&program, &Fill::new(series, points)).await?;
            for kind in [Kind::Host, Kind::Service, Kind::Mixed] {
                let duration = Duration::from_secs(seconds.into());
                let latencies = queries::ask(&program, kind, series, rate, duration).await?;
                report(kind, rate, &latencies);
            }
            println!("memory of the program after the queries: {}", program.memory()?);
            Ok(())
        },
    )
}

/// Fills the program and says what that took.
async fn fill(program: &Program, fill: &Fill) -> anyhow::Result<()> {
    let started = tokio::time::Instant::now();
    let empty = program.memory()?;
    fill.first_points(program).await?;
    let one_each = program.memory()?;
    fill.other_points(program).await?;
    let filled = program.memory()?;
    let took = started.elapsed().as_secs_f64();

    let held = program.health().await.context("no health after the fill")?;
    let expected = fill.series * fill.points;
    ensure!(held.points == expected, "{} of {expected} points are held", held.points);
    let per = |from: Memory, to: Memory, count: usize| {
        (to.resident.saturating_sub(from.resident)) as f64 / count as f64
    };
    println!("{} series, {} points, filled in {took:.1} s", held.series, held.points);
    println!("memory of the program, empty: {empty}");
    println!("memory of the program, full: {filled}");
    println!("bytes a series with one point: {:.0}", per(empty, one_each, fill.series));
    println!("bytes a further point: {:.2}", per(one_each, filled, expected - fill.series));
    println!("bytes a point, all told: {:.2}", per(empty, filled, expected));
    Ok(())
}

fn report(kind: Kind, rate: u32, latencies: &Latencies) {
    let Latencies { times, failed, took } = latencies;
    let milliseconds = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1e6;
    println!(
        "{kind}: asked for {rate}/s, answered {:.0}/s, failed {failed}; \
         p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
        times.len() as f64 / took.as_secs_f64(),
        milliseconds(0.5),
        milliseconds(0.9),
        milliseconds(0.99),
        milliseconds(0.999),
        times.max() as f64 / 1e6,
    );
}
