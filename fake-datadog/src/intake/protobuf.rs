//! The body of `POST /api/v2/series` as protobuf: `MetricPayload` of
//! `DataDog/agent-payload`, `proto/metrics/agent_payload.proto`.

use prost::{Message, bytes::Bytes};

use crate::{
    intake::{Batch, Incoming, Refusal, interval, series_v2::kind_of, tag},
    tags::Tags,
};

#[derive(Clone, PartialEq, Message)]
struct Payload {
    /// Each a [`Series`]. Read one by one: two bytes of an empty one would become 200 in memory.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    series: Vec<Bytes>,
}

/// Unknown fields are ignored, as are 7 `source_type_name` and 9 `metadata`.
#[derive(Clone, PartialEq, Message)]
struct Series {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
    #[prost(string, tag = "2")]
    metric: String,
    #[prost(string, repeated, tag = "3")]
    tags: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    points: Vec<Point>,
    #[prost(int32, tag = "5")]
    kind: i32,
    #[prost(string, tag = "6")]
    unit: String,
    #[prost(int64, tag = "8")]
    interval: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Point {
    #[prost(double, tag = "1")]
    value: f64,
    /// Unix seconds.
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Reads the body of `POST /api/v2/series` in protobuf.
///
/// # Errors
///
/// When it is no such message, or has a type of metric that there is not, or a value that JSON
/// could not say: infinite or no number.
pub fn series_v2_protobuf(body: &[u8]) -> Result<Batch, Refusal> {
    let payload = decode::<Payload>(Bytes::copy_from_slice(body))?;
    let mut batch = Batch::default();
    for series in payload.series {
        let series = decode::<Series>(series)?;
        let kind = kind_of(series.kind)?;
        if let Some(point) = series.points.iter().find(|point| !point.value.is_finite()) {
            let reason = format!("value {} of metric `{}`", point.value, series.metric);
            return Err(Refusal::Payload(reason));
        }
        let count = series.points.len();
        let resources = series.resources.iter().filter_map(|it| tag(&it.kind, &it.name));
        let incoming = |metric| Incoming {
            metric,
            tags: Tags::normalise(series.tags.into_iter().chain(resources)),
            kind,
            interval: interval(Some(series.interval)),
            unit: Some(series.unit).filter(|unit| !unit.is_empty()),
            points: series.points.iter().map(|it| (it.timestamp, it.value)).collect(),
        };
        batch.push(&series.metric, incoming, count);
    }
    Ok(batch)
}

fn decode<T: Message + Default>(bytes: Bytes) -> Result<T, Refusal> {
    T::decode(bytes).map_err(|error| Refusal::Payload(error.to_string()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::expr::data::Kind;

    /// A payload of one series with one point.
    pub(crate) fn payload(metric: &str, value: f64, kind: i32) -> Vec<u8> {
        let series = Series {
            resources: vec![Resource { kind: "host".to_owned(), name: "Web-1".to_owned() }],
            metric: metric.to_owned(),
            tags: vec!["env:prod".to_owned()],
            points: vec![Point { value, timestamp: 10 }],
            kind,
            unit: "byte".to_owned(),
            interval: 15,
        };
        Payload { series: vec![series.encode_to_vec().into()] }.encode_to_vec()
    }

    #[test]
    fn a_message_says_what_the_json_says() {
        let json = br#"{"series": [{"metric": "m", "type": 1, "interval": 15, "unit": "byte",
            "resources": [{"type": "host", "name": "Web-1"}, {"type": "device"}],
            "tags": ["env:prod"], "points": [{"timestamp": 10, "value": 1.5}],
            "metadata": {"origin": {"product": 10}}}]}"#;
        let from_json = crate::intake::series_v2_json(json).unwrap();
        assert_eq!(series_v2_protobuf(&payload("m", 1.5, 1)).unwrap(), from_json);
        assert_eq!(from_json.series[0].kind, Some(Kind::Count));
        assert_eq!(from_json.series[0].tags, Tags::normalise(["env:prod", "host:web-1"]));
    }

    #[test]
    fn the_bytes_are_those_of_an_agent() {
        // Written by hand after the message's layout: series 1 { metric 2 "m", points 4 { value 1
        // = 2.0, timestamp 2 = 300 }, type 5 = 3, source_type_name 7 "x", interval 8 = 10,
        // metadata 9 { origin 1 { 4: 10 } } }.
        let body = b"\x0a\x1e\x12\x01m\x22\x0c\x09\0\0\0\0\0\0\0\x40\x10\xac\x02\x28\x03\x3a\x01x\x40\x0a\x4a\x04\x0a\x02\x20\x0a";
        let batch = series_v2_protobuf(body).unwrap();
        let series = &batch.series[0];
        assert_eq!((series.metric.as_str(), series.kind), ("m", Some(Kind::Gauge)));
        assert_eq!((series.interval, series.unit.as_deref()), (Some(10), None));
        assert_eq!(series.points, [(300, 2.0)]);
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let refused =
            |value, kind| series_v2_protobuf(&payload("m", value, kind)).unwrap_err().to_string();
        let prefix = "Payload is not in the expected format: ";
        assert_eq!(refused(f64::NAN, 0), format!("{prefix}value NaN of metric `m`"));
        assert_eq!(refused(f64::INFINITY, 0), format!("{prefix}value inf of metric `m`"));
        assert_eq!(refused(1.0, 4), format!("{prefix}unknown type 4"));
        assert!(series_v2_protobuf(b"{}").is_err());
    }
}
