//! The body of `POST /api/v1/distribution_points` (`OpenAPI` v1, `DistributionPointsPayload`).

use serde::Deserialize;

use crate::{
    expr::data::Kind,
    intake::{Batch, Incoming, Refusal, json, seconds, tag},
    tags::Tags,
};

#[derive(Debug, Deserialize)]
struct Payload {
    series: Vec<Series>,
}

#[derive(Debug, Deserialize)]
struct Series {
    metric: String,
    /// `[Unix seconds, [values]]`.
    points: Vec<(f64, Vec<f64>)>,
    #[serde(rename = "type")]
    kind: Option<String>,
    host: Option<String>,
    tags: Option<Vec<String>>,
}

/// Reads the body of `POST /api/v1/distribution_points`. Each value becomes a point.
///
/// # Errors
///
/// When it is no such JSON, or has another type than `distribution`.
pub fn distribution_points(body: &[u8]) -> Result<Batch, Refusal> {
    let payload: Payload = json(body)?;
    let mut batch = Batch::default();
    for Series { metric, points, kind, host, tags } in payload.series {
        if let Some(other) = kind.filter(|kind| kind != "distribution") {
            return Err(Refusal::Payload(format!("unknown type `{other}`")));
        }
        let count = points.iter().map(|(_, values)| values.len()).sum();
        let host = host.and_then(|host| tag("host", &host));
        let points = points
            .into_iter()
            .flat_map(|(time, values)| values.into_iter().map(move |value| (seconds(time), value)));
        let incoming = |metric| Incoming {
            metric,
            tags: Tags::normalise(tags.into_iter().flatten().chain(host)),
            kind: Some(Kind::Distribution),
            interval: None,
            unit: None,
            points: points.collect(),
        };
        batch.push(&metric, incoming, count);
    }
    Ok(batch)
}
