//! From samples to what is sent to Datadog: metrics, shares, and the body of `/api/v1/series`.
//!
//! Names and kinds are those of Datadog's nginx check (its `metadata.csv`); the body is that of
//! <https://docs.datadoghq.com/api/latest/metrics/#submit-metrics> in version 1.

use serde::Serialize;

use crate::node_check::{
    autodiscovery::Target,
    stub_status::{NoTimeBetween, Sample, rates, to_f64},
};

#[cfg(test)]
mod tests;

/// A metric and its value at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Datadog's name of the metric.
    pub metric: &'static str,
    /// Connections, or something per second.
    pub value: f64,
}

/// What a sample says: its gauges, and the rates since the one before it, where there is one.
pub fn measure(
    previous: Option<&Sample>,
    current: &Sample,
) -> Result<Vec<Measurement>, NoTimeBetween> {
    let status = &current.status;
    let mut measurements: Vec<Measurement> = [
        ("nginx.net.connections", status.active),
        ("nginx.net.reading", status.reading),
        ("nginx.net.writing", status.writing),
        ("nginx.net.waiting", status.waiting),
    ]
    .map(|(metric, count)| Measurement { metric, value: to_f64(count) })
    .into();
    if let Some(previous) = previous {
        let rates = rates(previous, current)?;
        measurements.extend(
            [
                ("nginx.net.conn_opened_per_s", rates.conn_opened),
                ("nginx.net.conn_dropped_per_s", rates.conn_dropped),
                ("nginx.net.request_per_s", rates.requests),
            ]
            .into_iter()
            .filter_map(|(metric, rate)| Some(Measurement { metric, value: rate? })),
        );
    }
    Ok(measurements)
}

/// The value of each of `among` targets that have `total` together: all have the same. None where
/// there is no target.
pub fn share(total: f64, among: usize) -> Option<f64> {
    let among = u32::try_from(among).ok().filter(|among| *among > 0)?;
    Some(total / f64::from(among))
}

/// The series of a source's targets, each with one point at `unix_seconds`.
pub fn series<'a>(
    measurements: &[Measurement],
    targets: &'a [Target],
    unix_seconds: i64,
) -> Vec<Series<'a>> {
    targets
        .iter()
        .flat_map(|target| {
            measurements.iter().filter_map(move |measurement| {
                Some(Series {
                    metric: measurement.metric,
                    points: [(unix_seconds, share(measurement.value, targets.len())?)],
                    kind: "gauge",
                    host: target.node.as_deref(),
                    tags: &target.tags,
                })
            })
        })
        .collect()
}

/// Body of `POST /api/v1/series`.
#[derive(Debug, Serialize)]
pub struct Payload<'a> {
    /// At most one entry for each metric of each target.
    pub series: Vec<Series<'a>>,
}

/// One series of a [`Payload`]. A rate too is sent as a gauge, as the agent's aggregator does.
#[derive(Debug, Serialize)]
pub struct Series<'a> {
    metric: &'static str,
    /// Seconds since 1970, and the value.
    points: [(i64, f64); 1],
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    tags: &'a [String],
}
