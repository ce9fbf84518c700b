//! One ConfigMap as kube-apiserver last showed it, and what brings it to what it should hold; pure.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value, json};

use crate::store::persist::{entry::PREFIX, split::Data};

/// Datadog's annotation: when it was written.
pub(super) const UPDATED: &str = "custom-metrics.datadoghq.com/last-updated";

/// What is there.
#[derive(Debug, Default)]
pub(super) enum Piece {
    /// It was not read yet, or somebody else wrote it since.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// There is one.
    There {
        /// Its resource version.
        version: String,
        /// The hash of each entry.
        entries: BTreeMap<String, u64>,
        /// When it was written, as it says.
        updated: Option<Timestamp>,
    },
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Read it.
    Read,
    /// Create it with this content.
    Create(Value),
    /// Change it by this merge patch, which is refused where somebody else wrote in between.
    Patch(Value),
    /// Look whether it is still the one that is known.
    Check,
    /// Nothing.
    Rest,
}

impl Piece {
    /// What kube-apiserver answered.
    pub(super) fn of(map: ConfigMap) -> Self {
        let annotations = map.metadata.annotations.unwrap_or_default();
        let data = map.data.unwrap_or_default().into_iter();
        // What is not an entry of ours is left alone.
        let entries = data.filter(|(key, _)| key.starts_with(PREFIX));
        Self::There {
            version: map.metadata.resource_version.unwrap_or_default(),
            entries: entries.map(|(key, text)| (key, hash(&text))).collect(),
            updated: annotations.get(UPDATED).and_then(|text| text.parse().ok()),
        }
    }

    /// What brings it to `data`. The first of all ConfigMaps is there even if it is empty.
    pub(super) fn step(&self, first: bool, name: &str, data: &Data, now: Timestamp) -> Step {
        match self {
            Self::Unknown => Step::Read,
            Self::Absent if data.is_empty() && !first => Step::Rest,
            Self::Absent => Step::Create(object(name, data, now)),
            Self::There { version, entries, .. } => {
                let new = data.iter().filter(|(key, text)| entries.get(*key) != Some(&hash(text)));
                let new = new.map(|(key, text)| (key.clone(), Value::from(text.as_str())));
                let old = entries.keys().filter(|key| !data.contains_key(*key));
                let changes: Map<_, _> =
                    new.chain(old.map(|key| (key.clone(), Value::Null))).collect();
                if !changes.is_empty() {
                    return Step::Patch(json!({
                        "metadata": {
                            "resourceVersion": version,
                            "annotations": { UPDATED: time(now) },
                        },
                        "data": changes,
                    }));
                }
                if data.is_empty() && !first { Step::Rest } else { Step::Check }
            }
        }
    }

    /// Whether it is there in this version.
    pub(super) fn is(&self, version: Option<&str>) -> bool {
        match self {
            Self::There { version: known, .. } => Some(known.as_str()) == version,
            Self::Absent => version.is_none(),
            Self::Unknown => false,
        }
    }
}

fn object(name: &str, data: &Data, now: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "annotations": { UPDATED: time(now) } },
        "data": data,
    })
}

/// Whole seconds, as Go's RFC 3339 has them.
fn time(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// For comparisons in this process.
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
