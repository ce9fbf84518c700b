//! `meta.k8s.io/v1` Tables, which kubectl prints as they are.
//!
//! Field order and names of `k8s.io/apimachinery/pkg/apis/meta/v1/types.go`.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde::Serialize;

use crate::api::wire::ExternalMetricValue;

/// Rows with the same columns.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    kind: &'static str,
    api_version: &'static str,
    metadata: BTreeMap<String, String>,
    column_definitions: &'static [Column],
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: &'static str,
    r#type: &'static str,
    format: &'static str,
    description: &'static str,
    priority: i32,
}

#[derive(Debug, Serialize)]
struct Row {
    cells: [String; 5],
    object: Object,
}

/// What kubectl reads the column of `--all-namespaces` from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    kind: &'static str,
    api_version: &'static str,
    metadata: ObjectMeta,
}

#[derive(Debug, Serialize)]
struct ObjectMeta {
    name: String,
    namespace: String,
}

const API_VERSION: &str = "meta.k8s.io/v1";

const COLUMNS: &[Column] = &[
    column("Metric", "name", "Name of the external metric, in its original case."),
    column("Labels", "", "Labels that the selector fixes to one value."),
    column("Value", "", "The value, a quantity."),
    column("Age", "", "Time since the point that the value is of."),
    column("Window", "", "Length of the bucket that the value stands for."),
];

const fn column(name: &'static str, format: &'static str, description: &'static str) -> Column {
    Column { name, r#type: "string", format, description, priority: 0 }
}

impl Table {
    /// Metrics with their namespaces, one a row, and their ages at `now`.
    pub fn of(items: &[(String, ExternalMetricValue)], now: Timestamp) -> Self {
        Self {
            kind: "Table",
            api_version: API_VERSION,
            metadata: BTreeMap::new(),
            column_definitions: COLUMNS,
            rows: items.iter().map(|(namespace, item)| row(item, namespace, now)).collect(),
        }
    }
}

fn row(item: &ExternalMetricValue, namespace: &str, now: Timestamp) -> Row {
    let age = Duration::try_from(now.duration_since(item.timestamp));
    let window = item.window.map(|seconds| human(Duration::from_secs(seconds)));
    Row {
        cells: [
            item.metric_name.clone(),
            labels(&item.metric_labels),
            item.value.clone(),
            // A clock that is behind Datadog's: the value is as new as can be.
            human(age.unwrap_or_default()),
            window.unwrap_or_else(|| "<unknown>".to_owned()),
        ],
        object: Object {
            kind: "PartialObjectMetadata",
            api_version: API_VERSION,
            metadata: ObjectMeta {
                name: item.metric_name.clone(),
                namespace: namespace.to_owned(),
            },
        },
    }
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return "<none>".to_owned();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// As kubectl writes ages up to two days (`k8s.io/apimachinery/pkg/util/duration`), then in days.
fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (whole, rest) = match seconds {
        0..120 => return format!("{seconds}s"),
        120..600 => (format!("{minutes}m"), (seconds % 60, "s")),
        600..10_800 => return format!("{minutes}m"),
        10_800..28_800 => (format!("{hours}h"), (minutes % 60, "m")),
        28_800..172_800 => return format!("{hours}h"),
        _ => return format!("{}d", hours / 24),
    };
    match rest {
        (0, _) => whole,
        (rest, unit) => format!("{whole}{rest}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_written_as_kubectl_writes_them() {
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
        ] {
            assert_eq!(human(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn what_is_not_known_is_said_and_an_age_is_never_negative() {
        let item = ExternalMetricValue {
            metric_name: "queue.depth".to_owned(),
            metric_labels: BTreeMap::new(),
            timestamp: Timestamp::from_second(10).unwrap(),
            window: None,
            value: "7".to_owned(),
        };
        let row = row(&item, "default", Timestamp::UNIX_EPOCH);
        assert_eq!(row.cells, ["queue.depth", "<none>", "7", "0s", "<unknown>"]);
        let two = BTreeMap::from(["b", "a"].map(|key| (key.to_owned(), "1".to_owned())));
        assert_eq!(labels(&two), "a=1,b=1");
    }
}
