//! Points as agents send them: every series has a point every 10 s, and many series are in a body.

use std::fmt::Write;

use anyhow::ensure;
use fake_datadog::keys::DEFAULT_API_KEY;
use jiff::Timestamp;

use crate::{program::Program, queries::METRIC};

/// Series of a body.
const SERIES_PER_BODY: usize = 1000;

/// Points of a series in a body. Real agents send one; this only saves time, and the arrays of
/// the store grow by turns all the same.
const POINTS_PER_BODY: usize = 10;

/// Seconds between two points.
const STEP: i64 = 10;

/// Series of one service, which share the tag `service:s…`.
pub(crate) const SERIES_PER_SERVICE: usize = 100;

/// What to send.
pub(crate) struct Fill {
    pub(crate) series: usize,
    pub(crate) points: usize,
    /// Unix seconds of the first.
    start: i64,
}

impl Fill {
    /// The newest point is of now, so that the first are an hour old and just taken.
    pub(crate) fn new(series: usize, points: usize) -> Self {
        let length = STEP * i64::try_from(points).unwrap_or_default();
        let start = Timestamp::now().as_second() / STEP * STEP - length + STEP;
        Self { series, points, start }
    }

    /// Sends the oldest point of every series.
    pub(crate) async fn first_points(&self, program: &Program) -> anyhow::Result<()> {
        self.send(program, 0, 1).await
    }

    /// Sends the rest, oldest first.
    pub(crate) async fn other_points(&self, program: &Program) -> anyhow::Result<()> {
        let mut point = 1;
        while point < self.points {
            let end = (point + POINTS_PER_BODY).min(self.points);
            self.send(program, point, end).await?;
            point = end;
        }
        Ok(())
    }

    async fn send(&self, program: &Program, from: usize, to: usize) -> anyhow::Result<()> {
        let client = reqwest::Client::new();
        let url = program.url.join("api/v1/series")?;
        for first in (0..self.series).step_by(SERIES_PER_BODY) {
            let series = first..(first + SERIES_PER_BODY).min(self.series);
            let body = body(series, self.start, from, to);
            let request = client.post(url.clone()).header("DD-API-KEY", DEFAULT_API_KEY);
            let status = request.body(body).send().await?.status();
            ensure!(status == 202, "the intake answered {status}");
        }
        Ok(())
    }
}

fn body(series: std::ops::Range<usize>, start: i64, from: usize, to: usize) -> String {
    let mut body = String::with_capacity(600 * SERIES_PER_BODY);
    body.push_str(r#"{"series":["#);
    for (index, host) in series.enumerate() {
        let service = host / SERIES_PER_SERVICE;
        let env = if service.is_multiple_of(4) { "test" } else { "prod" };
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"metric":"{METRIC}","type":"gauge","interval":{STEP},"host":"h{host}","tags":["service:s{service}","env:{env}","team:platform"],"points":["#
        );
        for point in from..to {
            let time = start + STEP * i64::try_from(point).unwrap_or_default();
            let value = (host * 31 + point * 17) % 1000;
            let comma = if point == from { "" } else { "," };
            let _ = write!(body, "{comma}[{time},{value}.5]");
        }
        body.push_str("]}");
    }
    body.push_str("]}");
    body
}
