//! One entry: a metric with its value, as Datadog's Cluster Agent stores it in its ConfigMap
//! (`pkg/util/kubernetes/autoscalers`, `custommetrics.ExternalMetricValue`), and what we add.

use std::collections::{BTreeMap, HashMap, btree_map::Entry as Place};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::{
    api::selector,
    demand::{Autoscaler, Kind, MetricKey, Wanted},
    hex::hex,
    sample::Sample,
    selector::{Operator, Requirement, Selector},
    store::{Entry, Outcome, Snapshot, known::Memory},
};

/// What the keys of entries begin with; other keys are not ours.
pub(super) const PREFIX: &str = "external_metric";
/// Hexadecimal digits of a hash in a key: as in the names of Datadog's own objects, no 40, which
/// its scrubbers take for keys.
const DIGITS: usize = 38;
/// Longest key of a ConfigMap (`k8s.io/apimachinery/pkg/util/validation`, `IsConfigMapKey`).
const MOST_KEY: usize = 253;
/// Points are the starts of past buckets; more than this ahead of our clock is no clock's fault.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);

/// An entry as it is written. The first six fields are Datadog's, in its order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    metric_name: &'a str,
    labels: BTreeMap<String, String>,
    /// Unix seconds; 0 where there was never a sample.
    ts: i64,
    reference: Reference,
    #[serde(serialize_with = "number")]
    value: f64,
    /// Whether the sample was fresh.
    valid: bool,
    /// Without it nobody can tell what the value is an answer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'a str>,
    /// Where `labels` do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<String>,
    /// The time of the sample, where that is no whole second.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    since: Timestamp,
    /// When Datadog was asked, where it gave the sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    asked: Option<Timestamp>,
}

/// An entry as it is read: by whomever it was written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    metric_name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    ts: i64,
    /// `hpa` in agents before 1.3.
    #[serde(alias = "hpa")]
    reference: Reference,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default)]
    valid: bool,
    query: Option<String>,
    selector: Option<String>,
    at: Option<Timestamp>,
    since: Option<Timestamp>,
    asked: Option<Timestamp>,
}

/// The autoscaler.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    namespace: String,
    uid: String,
}

/// As Go writes a `float64`: a whole number has no point.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    if value.fract() == 0.0 && value.abs() < EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and small enough")]
        return serializer.serialize_i64(*value as i64);
    }
    serializer.serialize_f64(*value)
}

/// All entries of `snapshot` by their keys, the same for the same snapshot.
pub(super) fn write(
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<BTreeMap<String, String>, serde_json::Error> {
    let mut entries = BTreeMap::new();
    for (key, wanted, entry) in snapshot.iter() {
        let labels = as_labels(&key.selector);
        let owned = wanted
            .by
            .first()
            .zip(labels)
            .and_then(|(by, labels)| Some((datadog_key(by, &wanted.name)?, labels)));
        // Datadog's key does not say the selector: the second of two gets a key of ours.
        let (place, labels, selector) = match owned.map(|(own, it)| (entries.entry(own), it)) {
            Some((Place::Vacant(place), labels)) => (place, labels, None),
            _ => match entries.entry(hashed_key(key, wanted)) {
                Place::Vacant(place) => {
                    (place, key.selector.labels(), Some(key.selector.to_string()))
                }
                Place::Occupied(_) => continue, // two keys with the same hash: never
            },
        };
        place.insert(text(key, wanted, entry, labels, selector, now)?);
    }
    Ok(entries)
}

fn text(
    key: &MetricKey,
    wanted: &Wanted,
    entry: &Entry,
    labels: BTreeMap<String, String>,
    selector: Option<String>,
    now: Timestamp,
) -> Result<String, serde_json::Error> {
    let sample = entry.sample.filter(|sample| sample.value.is_finite());
    let at = sample.map(|sample| sample.at);
    let asked = match &entry.last {
        Some((asked, Outcome::Sampled)) => Some(*asked),
        _ => None,
    };
    serde_json::to_string(&Written {
        metric_name: &wanted.name,
        labels,
        ts: at.map_or(0, Timestamp::as_second),
        reference: reference(key, wanted),
        value: sample.map_or(0.0, |sample| sample.value),
        valid: entry.fresh(now).is_some(),
        query: entry.ask.as_ref().ok().map(|ask| ask.query.as_str()),
        selector,
        at: at.filter(|at| at.subsec_nanosecond() != 0),
        since: entry.since,
        asked: asked.filter(|_| sample.is_some()),
    })
}

/// The oldest autoscaler; where there is none, the `DatadogMetric` itself.
fn reference(key: &MetricKey, wanted: &Wanted) -> Reference {
    match wanted.by.first() {
        Some(by) => Reference {
            kind: kind(wanted).to_owned(),
            name: by.name.clone(),
            namespace: by.namespace.clone(),
            uid: by.uid.clone(),
        },
        None => Reference {
            kind: kind(wanted).to_owned(),
            namespace: key.namespace.clone(),
            ..Reference::default()
        },
    }
}

/// Datadog's word for the kind of the oldest autoscaler.
fn kind(wanted: &Wanted) -> &'static str {
    match wanted.by.first().map(|by| by.kind) {
        Some(Kind::Hpa) => "horizontal",
        Some(Kind::Wpa) => "watermark",
        None => "datadogmetric",
    }
}

/// The selector as labels, if it is nothing else.
fn as_labels(selector: &Selector) -> Option<BTreeMap<String, String>> {
    let labels = selector.labels();
    (labels.len() == selector.requirements().count()).then_some(labels)
}

fn datadog_key(by: &Autoscaler, metric: &str) -> Option<String> {
    let kind = match by.kind {
        Kind::Hpa => "horizontal",
        Kind::Wpa => "watermark",
    };
    let key = format!("{PREFIX}-{kind}-{}-{}-{metric}", by.namespace, by.name);
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (key.len() <= MOST_KEY && key.chars().all(is_legal)).then_some(key)
}

fn hashed_key(key: &MetricKey, wanted: &Wanted) -> String {
    let text = format!("{}\0{}\0{}", key.namespace, key.metric, key.selector);
    format!("{PREFIX}-{}-{}", kind(wanted), &hex(&Sha256::digest(text))[..DIGITS])
}

/// What an entry says.
#[derive(Debug)]
pub(super) enum Said {
    /// What is known of a metric.
    Known(Box<(MetricKey, Memory)>),
    /// Nothing: a metric without a query text, by Datadog's agent or because it has none.
    NoQuery,
}

/// Why an entry cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("its key does not begin with {PREFIX}")]
    Foreign,
    #[error("it is no entry: {0}")]
    Json(#[from] serde_json::Error),
    #[error("its selector cannot be read: {0}")]
    Selector(#[from] selector::SyntaxError),
    #[error("it names no metric")]
    NoName,
    #[error("its reference has no namespace")]
    NoNamespace,
    #[error("its time is none")]
    Time,
    #[error("its sample is from the future ({0})")]
    Future(Timestamp),
}

/// Reads one entry, whoever wrote it.
pub(super) fn read(key: &str, text: &str, now: Timestamp) -> Result<Said, Unusable> {
    if !key.starts_with(PREFIX) {
        return Err(Unusable::Foreign);
    }
    let read: Read = serde_json::from_str(text)?;
    if read.metric_name.is_empty() {
        return Err(Unusable::NoName);
    }
    if read.reference.namespace.is_empty() {
        return Err(Unusable::NoNamespace);
    }
    let selector = match &read.selector {
        Some(text) => selector::parse(text)?,
        None => of_labels(read.labels.unwrap_or_default()),
    };
    // Not valid means that the value counts for nothing; 0 stands for a time that never was.
    let value = read.value.filter(|value| value.is_finite() && read.valid);
    let at = match read.at {
        Some(at) => Some(at),
        None if read.ts == 0 => None,
        None => Some(Timestamp::from_second(read.ts).map_err(|_| Unusable::Time)?),
    };
    let sample = value.zip(at).map(|(value, at)| Sample { value, at });
    if let Some(sample) = sample
        && sample.at.duration_since(now) > AHEAD
    {
        return Err(Unusable::Future(sample.at));
    }
    let Some(query) = read.query else { return Ok(Said::NoQuery) };
    let key = MetricKey::new(&read.reference.namespace, &read.metric_name, selector);
    let asked = read.asked.filter(|asked| *asked <= now && sample.is_some());
    Ok(Said::Known(Box::new((
        key,
        Memory {
            query: Some(query),
            since: read.since.unwrap_or(now).min(now),
            sample,
            last: asked.map(|asked| (asked, Outcome::Sampled)),
            last_error: None,
        },
    ))))
}

fn of_labels(labels: BTreeMap<String, String>) -> Selector {
    let requirement = |(key, value): (String, String)| Requirement {
        key,
        operator: Operator::In([value].into()),
    };
    labels.into_iter().map(requirement).collect()
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    known: HashMap<MetricKey, Memory>,
    without_query: usize,
    unusable: Vec<(String, Unusable)>,
}

impl Found {
    pub(super) fn take(&mut self, key: &str, text: &str, now: Timestamp) {
        match read(key, text, now) {
            Ok(Said::Known(known)) => {
                let (key, memory) = *known;
                let newest = |memory: &Memory| memory.sample.map(|sample| sample.at);
                // While entries move between two ConfigMaps, both may have them.
                let before = self.known.get(&key).and_then(newest);
                if before <= newest(&memory) {
                    self.known.insert(key, memory);
                }
            }
            Ok(Said::NoQuery) => self.without_query += 1,
            Err(why) => self.unusable.push((key.to_owned(), why)),
        }
    }

    /// A line for each entry that cannot be used, up to `most`, and one for all others.
    pub(super) fn tell(&self, namespace: &str, name: &str, most: usize) {
        for (key, why) in self.unusable.iter().take(most) {
            tracing::warn!(namespace, name, key, %why, "entry of the ConfigMap is not used");
        }
        let (read, without_query) = (self.known.len(), self.without_query);
        let unusable = self.unusable.len();
        tracing::info!(namespace, name, read, without_query, unusable, "ConfigMap read");
    }

    pub(super) fn known(self) -> Vec<(MetricKey, Memory)> {
        self.known.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
