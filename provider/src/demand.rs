//! Who wants what: the external metrics that the cluster's autoscalers name.
//!
//! [`hpa`] reads one object, [`index`] keeps what all of them want (both pure), [`watch`] follows
//! them and publishes a [`Demand`].

use std::{cmp::Ordering, collections::BTreeMap, fmt};

use jiff::Timestamp;

use crate::selector::Selector;

pub mod hpa;
pub mod index;
pub mod watch;

/// What a request to the external metrics API carries, hence what tells two metrics apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    /// The namespace of the HPA.
    pub namespace: String,
    /// The metric's name in lower case, as the HPA controller sends it.
    pub metric: String,
    /// The selector in canonical form.
    pub selector: Selector,
}

/// The object that wants a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    /// Namespace of the HPA.
    pub namespace: String,
    /// Name of the HPA.
    pub name: String,
    /// When it was created; the older one wins where two disagree.
    pub created: Option<Timestamp>,
}

/// A metric that at least one autoscaler wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The metric's name in the case that the oldest autoscaler wrote it: Datadog's names are
    /// case sensitive.
    pub name: String,
    /// Those who want it, the oldest first; never empty.
    pub by: Vec<Autoscaler>,
}

/// Everything that is wanted now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    metrics: BTreeMap<MetricKey, Wanted>,
}

impl Demand {
    /// Adds one wish. Where the same key was wished for already, the older autoscaler's spelling
    /// of the name holds.
    pub fn add(&mut self, key: MetricKey, name: String, autoscaler: Autoscaler) {
        match self.metrics.entry(key) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Wanted { name, by: vec![autoscaler] });
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => {
                let wanted = occupied.get_mut();
                if wanted.by.contains(&autoscaler) {
                    return; // one HPA may name the same metric twice
                }
                let position =
                    wanted.by.partition_point(|other| other.age_order(&autoscaler).is_lt());
                if position == 0 {
                    wanted.name = name;
                }
                wanted.by.insert(position, autoscaler);
            }
        }
    }

    /// The wanted metrics in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricKey, &Wanted)> {
        self.metrics.iter()
    }

    /// Whether the key is wanted by anybody.
    pub fn contains(&self, key: &MetricKey) -> bool {
        self.metrics.contains_key(key)
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
    /// Older first; without a creation time last; equals by namespace and name, so that every
    /// replica of the provider decides alike.
    fn age_order(&self, other: &Self) -> Ordering {
        (self.created.is_none(), self.created, &self.namespace, &self.name).cmp(&(
            other.created.is_none(),
            other.created,
            &other.namespace,
            &other.name,
        ))
    }
}

impl fmt::Display for Autoscaler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hpa:{}/{}", self.namespace, self.name)
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

    fn key() -> MetricKey {
        MetricKey {
            namespace: "default".into(),
            metric: "requests".into(),
            selector: Selector::default(),
        }
    }

    fn autoscaler(name: &str, created: Option<i64>) -> Autoscaler {
        Autoscaler {
            namespace: "default".into(),
            name: name.into(),
            created: created.map(|second| Timestamp::from_second(second).unwrap()),
        }
    }

    #[test]
    fn the_oldest_autoscaler_decides_how_the_name_is_spelt() {
        let mut demand = Demand::default();
        demand.add(key(), "Requests".into(), autoscaler("young", Some(20)));
        demand.add(key(), "requests".into(), autoscaler("unknown", None));
        demand.add(key(), "REQUESTS".into(), autoscaler("old", Some(10)));
        let (_, wanted) = demand.iter().next().unwrap();
        assert_eq!(wanted.name, "REQUESTS");
        let names: Vec<_> = wanted.by.iter().map(|by| by.name.as_str()).collect();
        assert_eq!(names, ["old", "young", "unknown"]);
    }

    #[test]
    fn the_same_wish_twice_counts_once() {
        let mut demand = Demand::default();
        demand.add(key(), "requests".into(), autoscaler("a", Some(1)));
        demand.add(key(), "requests".into(), autoscaler("a", Some(1)));
        assert_eq!(demand.iter().next().unwrap().1.by.len(), 1);
        assert_eq!(demand.len(), 1);
    }
}
