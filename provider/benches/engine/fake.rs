//! The fake: a series for each metric, and calls that take their time. It sets no budget.

use std::{io, time::Duration};

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Endpoint, Fault},
};
use jiff::Timestamp;

use crate::fleet;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of series
    metrics: usize,

    /// How long each query call takes, in milliseconds
    #[arg(long)]
    delay: u64,
}

/// Points lie this far apart, which is the rollup, in seconds.
const STEP: usize = 30;

/// Serves until standard input ends.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let fake = FakeDatadog::start().await?;
    let now = Timestamp::now().as_second();
    // What is asked: the last five minutes. And the next nine, for the time that it takes.
    let points: Vec<(i64, f64)> =
        (now - 330..now + 540).step_by(STEP).map(|at| (at, 7.0)).collect();
    for metric in fleet::metrics(args.metrics) {
        fake.submit(&metric.name, metric.tags(), &points);
    }
    let slow = Effect::Delay(Duration::from_millis(args.delay).into());
    fake.fault(Fault::new("network", slow).on(Endpoint::Query))?;
    println!("{}", fake.url());
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await??;
    Ok(())
}
