//! Queries at a fixed rate, whatever became of those before.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::Context;
use fake_datadog::keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY};
use hdrhistogram::Histogram;
use jiff::Timestamp;
use reqwest::{Client, Url};
use tokio::{sync::mpsc, time::Instant};

use crate::{fill::SERIES_PER_SERVICE, program::Program};

/// The one metric.
pub(crate) const METRIC: &str = "load.requests";

/// Length of the window asked for, in seconds: that of a chart, 180 points.
const WINDOW: i64 = 3600;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// One series among all.
    Host,
    /// The sum of a hundred.
    Service,
    /// One of a hundred, for 95 of one.
    Mixed,
}

/// What became of the queries.
pub(crate) struct Latencies {
    /// Nanoseconds from when a query was due to the last byte of its answer.
    pub(crate) times: Histogram<u64>,
    pub(crate) failed: u64,
    pub(crate) took: Duration,
}

/// Asks `rate` queries a second for as long as `duration`.
pub(crate) async fn ask(
    program: &Program,
    kind: Kind,
    series: usize,
    rate: u32,
    duration: Duration,
) -> anyhow::Result<Latencies> {
    let client = Client::builder().pool_max_idle_per_host(256).build()?;
    let url = program.url.join("api/v1/query")?;
    let (due, mut dues) = mpsc::unbounded_channel();
    let started = Instant::now();
    let pacer = std::thread::spawn(move || pace(started, rate, duration, &due));

    let (done, mut answers) = mpsc::unbounded_channel();
    let url = Arc::new(url);
    let asking = tokio::spawn(async move {
        let mut number = 0;
        while let Some(due) = dues.recv().await {
            let (client, done) = (client.clone(), done.clone());
            let url = kind.url(&url, series, number);
            number += 1;
            tokio::spawn(async move {
                let is_good = is_answered(&client, url).await;
                let _ = done.send((due, Instant::now(), is_good));
            });
        }
    });
    let mut times = Histogram::new_with_bounds(1000, 60_000_000_000, 3)?;
    let (mut failed, mut last) = (0, started);
    while let Some((due, answered, is_good)) = answers.recv().await {
        if is_good {
            times.saturating_record(u64::try_from((answered - due).as_nanos())?);
        } else {
            failed += 1;
        }
        last = last.max(answered);
    }
    asking.await?;
    pacer.join().ok().context("the pacer panicked")?;
    Ok(Latencies { times, failed, took: last - started })
}

/// Says when each query is due. A thread, because timers of tokio are a millisecond apart.
#[expect(clippy::disallowed_methods, reason = "a thread of its own, which blocks no runtime")]
fn pace(started: Instant, rate: u32, duration: Duration, due: &mpsc::UnboundedSender<Instant>) {
    let count = u64::from(rate) * duration.as_secs();
    for number in 0..count {
        let at =
            started + Duration::from_secs(1) * u32::try_from(number).unwrap_or(u32::MAX) / rate;
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if due.send(at).is_err() {
            return;
        }
    }
}

async fn is_answered(client: &Client, url: Url) -> bool {
    let request = client
        .get(url)
        .header("DD-API-KEY", DEFAULT_API_KEY)
        .header("DD-APPLICATION-KEY", DEFAULT_APP_KEY);
    let Ok(response) = request.send().await else { return false };
    let is_ok = response.status() == 200;
    let body = response.bytes().await;
    // An answer with a list of values, not with none.
    is_ok && body.is_ok_and(|body| 1000 < body.len())
}

impl Kind {
    fn url(self, url: &Url, series: usize, number: usize) -> Url {
        let is_single = match self {
            Self::Host => true,
            Self::Service => false,
            Self::Mixed => !number.is_multiple_of(20),
        };
        // All series by turns, far apart from one to the next.
        let host = number * 7919 % series;
        let query = if is_single {
            format!("avg:{METRIC}{{host:h{host}}}")
        } else {
            format!("sum:{METRIC}{{service:s{}}}", host / SERIES_PER_SERVICE)
        };
        let now = Timestamp::now().as_second();
        let mut url = url.clone();
        url.query_pairs_mut()
            .append_pair("from", &(now - WINDOW).to_string())
            .append_pair("to", &now.to_string())
            .append_pair("query", &query);
        url
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "one series",
            Self::Service => "the sum of 100 series",
            Self::Mixed => "one series, and every 20th time the sum of 100",
        })
    }
}
