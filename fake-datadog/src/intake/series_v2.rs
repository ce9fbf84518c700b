//! The body of `POST /api/v2/series` as JSON (`OpenAPI` v2, `MetricPayload`).

use serde::Deserialize;

use crate::{
    expr::data::Kind,
    intake::{Batch, Incoming, Refusal, interval, json, tag},
    tags::Tags,
};

#[derive(Debug, Deserialize)]
struct Payload {
    series: Vec<Series>,
}

/// Unknown fields are ignored, as are `source_type_name` and `metadata`, which say where the
/// points come from.
#[derive(Debug, Deserialize)]
struct Series {
    metric: String,
    points: Vec<Point>,
    #[serde(rename = "type")]
    kind: Option<i32>,
    interval: Option<i64>,
    resources: Option<Vec<Resource>>,
    tags: Option<Vec<String>>,
    unit: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Point {
    /// Unix seconds.
    timestamp: i64,
    /// A point without a value is none.
    value: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    name: String,
}

/// Reads the body of `POST /api/v2/series` in JSON.
///
/// # Errors
///
/// When it is no such JSON, or has a type of metric that there is not.
pub fn series_v2_json(body: &[u8]) -> Result<Batch, Refusal> {
    let payload: Payload = json(body)?;
    let mut batch = Batch::default();
    for series in payload.series {
        let Series { metric, points, kind, interval: seconds, resources, tags, unit } = series;
        let kind = kind_of(kind.unwrap_or_default())?;
        let count = points.len();
        let resources = resources.iter().flatten().filter_map(|it| tag(&it.kind, &it.name));
        let incoming = |metric| Incoming {
            metric,
            tags: Tags::normalise(tags.into_iter().flatten().chain(resources)),
            kind,
            interval: interval(seconds),
            unit: unit.filter(|unit| !unit.is_empty()),
            points: points.iter().filter_map(|it| Some((it.timestamp, it.value?))).collect(),
        };
        batch.push(&metric, incoming, count);
    }
    Ok(batch)
}

/// The kinds of version 2 by number (`OpenAPI` v2, `MetricIntakeType`).
pub(super) fn kind_of(number: i32) -> Result<Option<Kind>, Refusal> {
    match number {
        0 => Ok(None),
        1 => Ok(Some(Kind::Count)),
        2 => Ok(Some(Kind::Rate)),
        3 => Ok(Some(Kind::Gauge)),
        other => Err(Refusal::Payload(format!("unknown type {other}"))),
    }
}
