//! The body of `POST /api/v1/series` (`OpenAPI` v1, `MetricsPayload`).

use serde::Deserialize;

use crate::{
    expr::data::Kind,
    intake::{Batch, Incoming, Refusal, interval, json, seconds, tag},
    tags::Tags,
};

#[derive(Debug, Deserialize)]
struct Payload {
    series: Vec<Series>,
}

/// Unknown fields are ignored, such as an agent's `source_type_name`.
#[derive(Debug, Deserialize)]
struct Series {
    metric: String,
    /// `[Unix seconds, value]`; a point without a value is none.
    points: Vec<(f64, Option<f64>)>,
    #[serde(rename = "type")]
    kind: Option<String>,
    interval: Option<i64>,
    host: Option<String>,
    /// Sent by agents; not in the `OpenAPI` file.
    device: Option<String>,
    tags: Option<Vec<String>>,
}

/// Reads the body of `POST /api/v1/series`.
///
/// # Errors
///
/// When it is no such JSON, or has a type of metric that there is not.
pub fn series_v1(body: &[u8]) -> Result<Batch, Refusal> {
    let payload: Payload = json(body)?;
    let mut batch = Batch::default();
    for series in payload.series {
        let kind = kind_of(series.kind.as_deref())?;
        let points: Vec<_> = series.points();
        let incoming = |metric| Incoming {
            metric,
            tags: series.tags(),
            kind,
            interval: interval(series.interval),
            unit: None,
            points,
        };
        batch.push(&series.metric, incoming, series.points.len());
    }
    Ok(batch)
}

/// The kinds that version 1 knows by name ("Valid types are "", `count`, `gauge`, and `rate`").
fn kind_of(name: Option<&str>) -> Result<Option<Kind>, Refusal> {
    match name.unwrap_or_default() {
        "" => Ok(None),
        "gauge" => Ok(Some(Kind::Gauge)),
        "count" => Ok(Some(Kind::Count)),
        "rate" => Ok(Some(Kind::Rate)),
        other => Err(Refusal::Payload(format!("unknown type `{other}`"))),
    }
}

impl Series {
    fn tags(&self) -> Tags {
        let named = [("host", &self.host), ("device", &self.device)];
        let named = named.into_iter().filter_map(|(key, value)| tag(key, value.as_deref()?));
        Tags::normalise(self.tags.iter().flatten().cloned().chain(named))
    }

    fn points(&self) -> Vec<(i64, f64)> {
        self.points.iter().filter_map(|(time, value)| Some((seconds(*time), (*value)?))).collect()
    }
}
