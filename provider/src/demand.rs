//! Who wants what: the external metrics that the cluster's autoscalers name.
//!
//! [`hpa`], [`wpa`] and [`definition`] read one object, [`index`] keeps what all of them say (all
//! pure), [`watch`] follows them and publishes a [`Demand`].

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use jiff::Timestamp;

use crate::{
    query::{Overrides, Query, resolve::Unresolvable},
    selector::Selector,
};

mod builder;
pub mod datadog_metric;
pub mod definition;
pub mod duration;
pub mod hpa;
pub mod index;
pub mod options;
pub mod reference;
mod table;
pub mod watch;
pub mod wish;
pub mod wpa;

pub use crate::demand::builder::{Builder, Claim};

/// What a request to the external metrics API carries, hence what tells two metrics apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    /// The namespace of the HPA; of a reference to a `DatadogMetric`, the namespace of that.
    pub namespace: String,
    /// The metric's name in lower case, as the HPA controller sends it.
    pub metric: String,
    /// The selector in canonical form; of a reference to a `DatadogMetric`, empty.
    pub selector: Selector,
}

impl MetricKey {
    /// The key for the metric `name`, in any case, as asked for in `namespace`. A reference to a
    /// `DatadogMetric` is the same key from everywhere.
    pub fn new(namespace: &str, name: &str, selector: Selector) -> Self {
        match reference::parse(name) {
            Some(Ok(object)) => Self::of(&object),
            // The HPA's client lower-cases the name in the URL
            // (k8s.io/metrics/pkg/client/external_metrics, kubernetes#72996).
            _ => Self { namespace: namespace.to_owned(), metric: name.to_lowercase(), selector },
        }
    }

    /// The key of the references to a `DatadogMetric`.
    pub fn of(object: &ObjectName) -> Self {
        Self {
            namespace: object.namespace.clone(),
            metric: reference::write(object),
            selector: Selector::default(),
        }
    }
}

/// Which kind of object an autoscaler is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `autoscaling/v2 HorizontalPodAutoscaler`.
    Hpa,
    /// `datadoghq.com/v1alpha1 WatermarkPodAutoscaler`.
    Wpa,
}

/// The object that wants a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID, for Events about it.
    pub uid: String,
    /// When it was created; the older one wins where two disagree.
    pub created: Option<Timestamp>,
}

/// A metric that somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// The metric's name in the case that the oldest autoscaler wrote it: Datadog's names are
    /// case sensitive.
    pub name: String,
    /// Those who want it, the oldest first; empty only for a `DatadogMetric` that is always active.
    pub by: Vec<Autoscaler>,
    /// What the oldest says instead of the defaults.
    pub overrides: Overrides,
    /// Where the query comes from.
    pub source: Source,
}

/// Where a query comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The metric's name and selector.
    Selector,
    /// The text in a `DatadogMetric`, or why there is none.
    DatadogMetric(Result<Raw, Unresolvable>),
}

/// A query that a user wrote, templates resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Its text.
    pub query: Query,
    /// `spec.maxAge`.
    pub max_age: Option<std::time::Duration>,
    /// `spec.timeWindow`.
    pub window: Option<std::time::Duration>,
}

/// Namespace and name of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// One `DatadogMetric` of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatadogMetricUse {
    /// Its UID, for Events about it.
    pub uid: String,
    /// Where its value is in the demand, and in the store while it is active.
    pub key: MetricKey,
    /// `spec.externalMetricName`: set on those that we made ourselves.
    pub external_metric_name: Option<String>,
    /// Whether it is asked for: an autoscaler refers to it, or it says that it always is.
    pub active: bool,
    /// The autoscalers that refer to it, the oldest first.
    pub referenced_by: Vec<Autoscaler>,
}

/// Something about an autoscaler that its owner must know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// A word for it in `UpperCamelCase`, the `reason` of an Event.
    pub reason: &'static str,
    /// The sentence: names the thing, the value and the remedy.
    pub note: String,
}

/// Everything that is wanted now, sorted by key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Demand {
    metrics: Vec<(MetricKey, Arc<Wanted>)>,
    /// Where a key with this hash stands. Each request looks a key up, and to search among ten
    /// thousand took a seventh of the time of an answer.
    positions: HashMap<u64, usize>,
    /// What is wrong with the autoscalers, sorted by those, without duplicates.
    pub problems: Vec<(Autoscaler, Problem)>,
    /// All `DatadogMetric`s, active or not.
    pub datadog_metrics: BTreeMap<ObjectName, DatadogMetricUse>,
}

/// The same in each `Demand`, so that two can be compared; who makes keys collide slows down only
/// the search for those.
fn hash(key: &MetricKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl Demand {
    /// The wanted metrics in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricKey, &Arc<Wanted>)> {
        self.metrics.iter().map(|(key, wanted)| (key, wanted))
    }

    fn new(metrics: BTreeMap<MetricKey, Arc<Wanted>>) -> Self {
        let hashes = metrics.keys().map(hash).zip(0..);
        Self {
            positions: hashes.collect(),
            metrics: metrics.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Where the key stands in [`Demand::iter`], if anybody wants it.
    pub fn position(&self, key: &MetricKey) -> Option<usize> {
        let position = *self.positions.get(&hash(key))?;
        if self.metrics.get(position).is_some_and(|(other, _)| other == key) {
            return Some(position);
        }
        // Another key has the same hash.
        self.metrics.binary_search_by(|(other, _)| other.cmp(key)).ok()
    }

    /// The metric at a position.
    pub fn get(&self, position: usize) -> Option<(&MetricKey, &Arc<Wanted>)> {
        self.metrics.get(position).map(|(key, wanted)| (key, wanted))
    }

    /// The problems that were not there in `before`.
    pub fn problems_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = &'a (Autoscaler, Problem)> {
        let known = |(by, problem): &(Autoscaler, Problem)| {
            before.problems.binary_search_by(|(other_by, other)| {
                other_by.identity().cmp(&by.identity()).then_with(|| other.cmp(problem))
            })
        };
        self.problems.iter().filter(move |it| known(it).is_err())
    }

    /// The number of distinct metrics.
    pub fn len(&self) -> usize {
        self.metrics.len()
    }

    /// Whether nobody wants anything.
    pub fn is_empty(&self) -> bool {
        self.metrics.is_empty()
    }
}

impl Autoscaler {
    /// What tells it apart from all others at one time.
    pub fn identity(&self) -> (Kind, &str, &str) {
        (self.kind, &self.namespace, &self.name)
    }

    /// Older first; without a creation time last; equals by kind, namespace and name, so that every
    /// replica of the provider decides alike.
    pub fn age_order(&self, other: &Self) -> Ordering {
        (self.created.is_none(), self.created, self.identity()).cmp(&(
            other.created.is_none(),
            other.created,
            other.identity(),
        ))
    }
}

impl fmt::Display for Autoscaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Hpa => "hpa",
            Kind::Wpa => "wpa",
        };
        write!(f, "{kind}:{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for MetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{{{}}}", self.namespace, self.metric, self.selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        selector::{Operator, Requirement},
        testing,
    };

    #[test]
    fn a_reference_is_one_key_for_whoever_asks() {
        let selector =
            Selector::from_iter([Requirement { key: "a".into(), operator: Operator::Exists }]);
        let key = MetricKey::new("default", "DatadogMetric@Web:Requests", selector.clone());
        assert_eq!(key, MetricKey::new("web", "datadogmetric@web:requests", Selector::default()));
        assert_eq!(key.to_string(), "web/datadogmetric@web:requests{}");
        // What refers to nothing stays where it was asked for.
        let key = MetricKey::new("default", "datadogmetric@Web", selector);
        assert_eq!(key.to_string(), "default/datadogmetric@web{a}");
    }

    #[test]
    fn a_key_is_found_whatever_its_hash() {
        let keys = (0..300).map(|n| testing::key("default", &format!("metric.{n}")));
        let keys: Vec<_> = keys.collect();
        let mut demand =
            Arc::unwrap_or_clone(testing::demand(keys.iter().cloned().map(|key| (key, "it"))));
        let unwanted = testing::key("default", "metric.300");
        // As it is, and as it would be if all keys had the hash of the last one.
        for _ in 0..2 {
            for key in &keys {
                let position = demand.position(key).unwrap();
                assert_eq!(demand.get(position).unwrap().0, key);
            }
            assert_eq!(demand.position(&unwanted), None);
            demand.positions.values_mut().for_each(|position| *position = 299);
            demand.positions.insert(hash(&unwanted), 299);
        }
    }
}
