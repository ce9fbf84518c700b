//! What is measured: the poll loop as `app` starts it, without Kubernetes and without an API.

use std::{fs, sync::Arc, time::Duration};

use anyhow::Context;
use provider::{
    datadog::{Client, batch::Limits, client::Keys},
    demand::{Autoscaler, Builder, Demand, Kind, MetricKey, Source},
    poll::{Config, Poll},
    query::{Aggregator, Defaults, Overrides},
    store::Snapshot,
};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{Report, fleet};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The fake's address
    url: Url,

    /// Number of metrics
    metrics: usize,

    /// Calls in flight
    #[arg(long)]
    parallel: usize,

    /// Ask for what differs in one tag's value at once
    #[arg(long)]
    coalesce: bool,
}

const SECOND: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(300);

/// Refreshes once and prints a report.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let (demand, demand_receiver) = watch::channel(None);
    let (store_sender, store) = watch::channel(Arc::default());
    let poll = Poll::new(client(&args.url)?, config(args), Arc::default(), store_sender);
    let polling = tokio::spawn(poll.run(demand_receiver, CancellationToken::new()));
    let wanted = Arc::new(wanted(args.metrics));

    let (started, cpu) = (Instant::now(), cpu()?);
    demand.send_replace(Some(wanted));
    tokio::time::timeout(DEADLINE, all_sampled(store, args.metrics))
        .await
        .context("not all metrics have a sample in time")??;
    let took = started.elapsed();
    let report = Report { took, cpu: self::cpu()?.saturating_sub(cpu), peak: peak()? };
    println!("{}", report.line());
    polling.abort();
    Ok(())
}

fn client(url: &Url) -> anyhow::Result<Client> {
    let keys = Keys {
        api: fake_datadog::keys::DEFAULT_API_KEY.into(),
        app: fake_datadog::keys::DEFAULT_APP_KEY.into(),
    };
    Ok(Client::new(url, keys, 10 * SECOND)?)
}

fn config(args: &Args) -> Config {
    Config {
        // Longer than it takes: no second refresh mixes with the first.
        refresh_period: 3600 * SECOND,
        defaults: Defaults {
            aggregator: Aggregator::Avg,
            rollup: 30 * SECOND,
            max_age: 120 * SECOND,
            window: 300 * SECOND,
            max_window: 86_400 * SECOND,
        },
        batch: Limits::DATADOG,
        max_parallel: args.parallel,
        coalesce: args.coalesce,
    }
}

/// One HPA for each metric.
fn wanted(metrics: usize) -> Demand {
    let mut demand = Builder::default();
    for (number, metric) in fleet::metrics(metrics).enumerate() {
        let key = MetricKey::new("shop", &metric.name, metric.selector());
        let by = Autoscaler {
            kind: Kind::Hpa,
            namespace: "shop".to_owned(),
            name: format!("worker-{number}"),
            uid: format!("6b1d1a4e-0f3c-4f6e-9c5d-{number:012}"),
            created: None,
        };
        demand.add(key, metric.name, Source::Selector, Overrides::default(), by);
    }
    demand.build()
}

/// Waits until all have a sample. Looks at each metric about once, so as not to be what is measured.
async fn all_sampled(
    mut store: watch::Receiver<Arc<Snapshot>>,
    metrics: usize,
) -> anyhow::Result<()> {
    let mut sampled = 0;
    let whole = |snapshot: &Arc<Snapshot>| {
        while snapshot.at(sampled).is_some_and(|entry| entry.sample.is_some()) {
            sampled += 1;
        }
        sampled == metrics
    };
    store.wait_for(whole).await.context("the poll loop ended")?;
    Ok(())
}

/// CPU time of this process so far, user and system, to a hundredth of a second.
fn cpu() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the name in parentheses, from the state on, `utime` and `stime` are the fields 11 and 12,
    // in ticks, of which Linux gives a hundred a second (proc(5)).
    let fields = stat.rsplit_once(')').context("/proc/self/stat has no name")?.1;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

/// Largest resident memory of this process so far, in bytes.
fn peak() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kibibytes.context("/proc/self/status has no VmHWM")?.parse::<u64>()? * 1024)
}
