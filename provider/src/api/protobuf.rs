//! Kubernetes' protobuf: four magic bytes, then a `runtime.Unknown` around the object.
//!
//! Numbers and types of `generated.proto` in `k8s.io/apimachinery/pkg/{runtime,apis/meta/v1,
//! api/resource}` and `k8s.io/metrics/pkg/apis/external_metrics/v1beta1`. Fields are `required`
//! where Go writes them even if they are empty, so that the bytes are the same.

use prost::Message;
use serde::Serialize;

use crate::api::{
    status::{Details, Status},
    wire::{ExternalMetricValue, ExternalMetricValueList, GROUP_VERSION},
};

const MAGIC: &[u8; 4] = b"k8s\0";

/// An object that Kubernetes' clients can read as protobuf.
pub trait Protobuf {
    /// Its bytes, with the envelope.
    fn protobuf(&self) -> Vec<u8>;
}

impl Protobuf for ExternalMetricValueList {
    fn protobuf(&self) -> Vec<u8> {
        let items = self.items().iter().map(Item::from).collect();
        let list = List { metadata: ListMeta::default(), items };
        envelope(GROUP_VERSION, "ExternalMetricValueList", &list)
    }
}

impl Protobuf for Status {
    fn protobuf(&self) -> Vec<u8> {
        let status = Failure {
            metadata: ListMeta::default(),
            status: "Failure".to_owned(),
            message: self.message().to_owned(),
            reason: self.reason().to_owned(),
            details: self.details().map(StatusDetails::from),
            code: i32::from(self.code().as_u16()),
        };
        envelope("v1", "Status", &status)
    }
}

/// An object whose JSON and protobuf come from one description of its fields.
#[derive(Debug, Serialize)]
pub struct Typed<T> {
    /// `APIGroup` for one.
    pub kind: &'static str,
    /// `group/version` that the kind is of.
    #[serde(rename = "apiVersion")]
    pub api_version: &'static str,
    /// The fields.
    #[serde(flatten)]
    pub object: T,
}

impl<T: Message> Protobuf for Typed<T> {
    fn protobuf(&self) -> Vec<u8> {
        envelope(self.api_version, self.kind, &self.object)
    }
}

fn envelope(api_version: &str, kind: &str, object: &impl Message) -> Vec<u8> {
    let type_meta = TypeMeta { api_version: api_version.to_owned(), kind: kind.to_owned() };
    let unknown = Unknown { type_meta, raw: object.encode_to_vec(), ..Unknown::default() };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(unknown.encode_to_vec());
    bytes
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, required, tag = "1")]
    type_meta: TypeMeta,
    #[prost(bytes = "vec", required, tag = "2")]
    raw: Vec<u8>,
    #[prost(string, required, tag = "3")]
    content_encoding: String,
    #[prost(string, required, tag = "4")]
    content_type: String,
}

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, required, tag = "1")]
    api_version: String,
    #[prost(string, required, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct ListMeta {
    #[prost(string, required, tag = "1")]
    self_link: String,
    #[prost(string, required, tag = "2")]
    resource_version: String,
    #[prost(string, required, tag = "3")]
    r#continue: String,
}

#[derive(Clone, PartialEq, Message)]
struct Failure {
    #[prost(message, required, tag = "1")]
    metadata: ListMeta,
    #[prost(string, required, tag = "2")]
    status: String,
    #[prost(string, required, tag = "3")]
    message: String,
    #[prost(string, required, tag = "4")]
    reason: String,
    #[prost(message, optional, tag = "5")]
    details: Option<StatusDetails>,
    #[prost(int32, required, tag = "6")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct StatusDetails {
    #[prost(string, required, tag = "1")]
    name: String,
    #[prost(string, required, tag = "2")]
    group: String,
    #[prost(string, required, tag = "3")]
    kind: String,
    #[prost(message, repeated, tag = "4")]
    causes: Vec<StatusCause>,
    #[prost(int32, required, tag = "5")]
    retry_after_seconds: i32,
    #[prost(string, required, tag = "6")]
    uid: String,
}

#[derive(Clone, PartialEq, Message)]
struct StatusCause {
    #[prost(string, required, tag = "1")]
    reason: String,
    #[prost(string, required, tag = "2")]
    message: String,
    #[prost(string, required, tag = "3")]
    field: String,
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(message, required, tag = "1")]
    metadata: ListMeta,
    #[prost(message, repeated, tag = "2")]
    items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(string, required, tag = "1")]
    metric_name: String,
    /// A map on the wire is a list of these, which Go sorts.
    #[prost(message, repeated, tag = "2")]
    metric_labels: Vec<Label>,
    #[prost(message, required, tag = "3")]
    timestamp: Time,
    #[prost(int64, optional, tag = "4")]
    window: Option<i64>,
    #[prost(message, required, tag = "5")]
    value: Quantity,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, required, tag = "1")]
    key: String,
    #[prost(string, required, tag = "2")]
    value: String,
}

/// Whole seconds; `nanos` is always 0, as Go's clients ignore it.
#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, required, tag = "1")]
    seconds: i64,
    #[prost(int32, required, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Quantity {
    #[prost(string, required, tag = "1")]
    string: String,
}

impl From<&Details> for StatusDetails {
    fn from(details: &Details) -> Self {
        let causes = details.causes.iter().map(|cause| cause.message.clone());
        Self {
            name: details.name.clone(),
            group: details.group.clone(),
            kind: details.kind.clone(),
            causes: causes
                .map(|message| StatusCause { message, ..StatusCause::default() })
                .collect(),
            ..Self::default()
        }
    }
}

impl From<&ExternalMetricValue> for Item {
    fn from(item: &ExternalMetricValue) -> Self {
        let labels = item.metric_labels.iter();
        Self {
            metric_name: item.metric_name.clone(),
            metric_labels: labels
                .map(|(key, value)| Label { key: key.clone(), value: value.clone() })
                .collect(),
            timestamp: Time { seconds: item.timestamp.as_second(), nanos: 0 },
            window: item.window.and_then(|window| i64::try_from(window).ok()),
            value: Quantity { string: item.value.clone() },
        }
    }
}

/// For the fuzz targets: reads `bytes` as a list and as an error, with and without the envelope,
/// writes what it read, and panics unless that is read back as the same.
pub(crate) fn check(bytes: &[u8]) {
    fn again<M: Message + Default + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
        if let Ok(message) = M::decode(bytes) {
            assert_eq!(M::decode(&*message.encode_to_vec()), Ok(message));
        }
    }
    again::<List>(bytes);
    again::<Failure>(bytes);
    again::<Unknown>(bytes);
    let text = String::from_utf8_lossy(bytes);
    let item = ExternalMetricValue {
        metric_name: text.to_string(),
        metric_labels: [(text.to_string(), text.to_string())].into(),
        timestamp: jiff::Timestamp::UNIX_EPOCH,
        window: bytes.first().map(|byte| u64::from(*byte)),
        value: text.to_string(),
    };
    let written = ExternalMetricValueList::from(item.clone()).protobuf();
    let unknown = written.strip_prefix(MAGIC).map(Unknown::decode);
    let list = unknown.and_then(Result::ok).map(|unknown| List::decode(&*unknown.raw));
    let items = list.and_then(Result::ok).map(|list| list.items);
    assert_eq!(items, Some(vec![Item::from(&item)]));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;

    fn item() -> ExternalMetricValue {
        let labels = [("queue", "a"), ("empty", "")];
        ExternalMetricValue {
            metric_name: "Q.d".to_owned(),
            metric_labels: labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            timestamp: "2023-11-14T22:13:20.9Z".parse().unwrap(),
            window: Some(30),
            value: "1500m".to_owned(),
        }
    }

    /// What `k8s.io/apimachinery` and `k8s.io/metrics` 0.36.3 write.
    #[test]
    fn a_list_has_the_bytes_of_go() {
        let value: &[&[u8]] = &[
            b"\x0a\x03Q.d",
            b"\x12\x09\x0a\x05empty\x12\x00",
            b"\x12\x0a\x0a\x05queue\x12\x01a",
            b"\x1a\x08\x08\x80\xe2\xcf\xaa\x06\x10\x00", // 1,700,000,000
            b"\x20\x1e",
            b"\x2a\x07\x0a\x051500m",
        ];
        let expected: &[&[u8]] = &[
            b"k8s\0",
            b"\x0a\x3a\x0a\x1fexternal.metrics.k8s.io/v1beta1\x12\x17ExternalMetricValueList",
            b"\x12\x3b",
            b"\x0a\x06\x0a\x00\x12\x00\x1a\x00",
            b"\x12\x31",
            &value.concat(),
            b"\x1a\x00\x22\x00",
        ];
        let list = ExternalMetricValueList::from(item());
        assert_eq!(list.protobuf().escape_ascii().to_string(), {
            expected.concat().escape_ascii().to_string()
        });
    }

    #[test]
    fn a_window_that_is_not_known_is_left_out() {
        let item = ExternalMetricValue { window: None, metric_labels: BTreeMap::new(), ..item() };
        let bytes = ExternalMetricValueList::from(item).protobuf();
        let expected = b"Q.d\x1a\x08\x08\x80\xe2\xcf\xaa\x06\x10\x00\x2a\x07\x0a\x051500m";
        assert!(bytes.windows(expected.len()).any(|part| part == expected));
    }

    #[test]
    fn a_status_has_the_bytes_of_go() {
        let expected: &[&[u8]] = &[
            b"k8s\0",
            b"\x0a\x0c\x0a\x02v1\x12\x06Status",
            b"\x12\x26",
            b"\x0a\x06\x0a\x00\x12\x00\x1a\x00",
            b"\x12\x07Failure",
            b"\x1a\x06no way",
            b"\x22\x08NotFound",
            b"\x30\x94\x03",
            b"\x1a\x00\x22\x00",
        ];
        let status = Status::not_found("no way");
        assert_eq!(status.protobuf().escape_ascii().to_string(), {
            expected.concat().escape_ascii().to_string()
        });
    }

    #[test]
    fn details_have_the_bytes_of_go() {
        let bytes = Status::timeout("x").protobuf();
        let empty = b"\x22\x07Timeout\x2a\x0a\x0a\x00\x12\x00\x1a\x00\x28\x00\x32\x00\x30\xf8\x03";
        assert!(bytes.windows(empty.len()).any(|part| part == empty), "{}", bytes.escape_ascii());
        let bytes = Status::internal("x").protobuf();
        let cause = b"\x1a\x00\x22\x07\x0a\x00\x12\x01x\x1a\x00\x28\x00\x32\x00\x30\xf4\x03";
        assert!(bytes.windows(cause.len()).any(|part| part == cause), "{}", bytes.escape_ascii());
    }

    #[test]
    fn times_before_1970_survive() {
        let timestamp = Timestamp::from_second(-1).unwrap();
        let value = Item::from(&ExternalMetricValue { timestamp, ..item() });
        assert_eq!(value.timestamp.seconds, -1);
    }
}
