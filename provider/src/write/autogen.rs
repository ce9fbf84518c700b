//! The `DatadogMetric`s that the provider makes itself: one for each query that comes from a
//! selector, with the name that Datadog's Cluster Agent would give it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::{
    demand::{
        Autoscaler, DatadogMetricUse, Demand, MetricKey, ObjectName, Source,
        datadog_metric::{DatadogMetric, autogen_name},
    },
    store::Snapshot,
    write::{Complaint, Failure, MANAGER, Writer},
};

/// What nobody has wanted for so long is deleted, as Datadog's Cluster Agent does.
const EXPIRY: SignedDuration = SignedDuration::from_hours(3);
/// The time that the watch has to show what was written, before it is written again.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// Which metric each name of [`autogen_name`] stands for.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<String, Link>);

/// The metrics that share a query.
#[derive(Debug, PartialEq)]
pub(super) struct Link {
    query: String,
    /// The metric's name in its original case.
    metric: String,
    /// The first of them.
    key: MetricKey,
    by: Vec<Autoscaler>,
}

impl Links {
    /// For all metrics that come from selectors.
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let mut links = BTreeMap::<_, Link>::new();
        for (key, wanted, entry) in snapshot.iter() {
            let (Source::Selector, Ok(ask)) = (&wanted.source, &entry.ask) else { continue };
            let query = ask.query.as_str();
            let link = links.entry(autogen_name(&ask.query)).or_insert_with(|| Link {
                query: query.to_owned(),
                metric: wanted.name.clone(),
                key: key.clone(),
                by: vec![],
            });
            link.by.extend(wanted.by.iter().cloned());
        }
        for link in links.values_mut() {
            link.by.sort_by(Autoscaler::age_order);
        }
        Self(links)
    }

    /// What the object of this name stands for.
    pub(super) fn get(&self, name: &str) -> Option<&Link> {
        self.0.get(name)
    }
}

/// `use_` of an object of ours, with the metric that it stands for; a user's object stays as it is.
pub(super) fn namesake(use_: &DatadogMetricUse, link: &Link) -> Option<DatadogMetricUse> {
    let external_metric_name = Some(use_.external_metric_name.clone()?);
    let (key, referenced_by) = (link.key.clone(), link.by.clone());
    let uid = use_.uid.clone();
    Some(DatadogMetricUse { uid, key, external_metric_name, active: true, referenced_by })
}

/// What to do about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Make it.
    Create {
        /// Its name.
        name: String,
        /// `spec.query`.
        query: String,
        /// `spec.externalMetricName`.
        metric: String,
    },
    /// Nobody wants it any more.
    Delete(String),
}

/// Decides what to make and what to delete; pure.
#[derive(Debug)]
struct Plan {
    namespace: String,
    /// The demand of the last look.
    demand: Arc<Demand>,
    links: Links,
    /// Wanted, and not there.
    missing: Vec<String>,
    /// Since when nobody wants an object that is there.
    unwanted: HashMap<String, Timestamp>,
    /// Until when to leave a name alone.
    done: HashMap<String, Timestamp>,
}

impl Plan {
    fn new(namespace: String) -> Self {
        Self {
            namespace,
            demand: Arc::default(),
            links: Links::default(),
            missing: vec![],
            unwanted: HashMap::new(),
            done: HashMap::new(),
        }
    }

    fn next(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Step> {
        if !snapshot.ready {
            return None;
        }
        self.done.retain(|_, until| now < *until);
        if !Arc::ptr_eq(&self.demand, snapshot.demand()) {
            self.demand = snapshot.demand().clone();
            self.links = Links::of(snapshot);
            self.look_for_missing();
            self.look_for_unwanted(now);
        }
        self.create().or_else(|| self.delete(now))
    }

    fn create(&self) -> Option<Step> {
        let name = self.missing.iter().find(|name| !self.done.contains_key(*name))?;
        let Link { query, metric, .. } = self.links.get(name)?;
        let (name, query, metric) = (name.clone(), query.clone(), metric.clone());
        Some(Step::Create { name, query, metric })
    }

    fn delete(&self, now: Timestamp) -> Option<Step> {
        let expired = |(name, since): &(&String, &Timestamp)| {
            now.duration_since(**since) >= EXPIRY && !self.done.contains_key(*name)
        };
        let (name, _) = self.unwanted.iter().find(expired)?;
        Some(Step::Delete(name.clone()))
    }

    fn look_for_missing(&mut self) {
        let is_there = |name: &String| {
            let object = ObjectName { namespace: self.namespace.clone(), name: name.clone() };
            self.demand.datadog_metrics.contains_key(&object)
        };
        self.missing = self.links.0.keys().filter(|name| !is_there(name)).cloned().collect();
    }

    /// An object of ours is wanted where a selector means its query, or an autoscaler refers to it by
    /// its name. Users' own objects are never looked at.
    fn look_for_unwanted(&mut self, now: Timestamp) {
        let is_unwanted = |(name, use_): &(&ObjectName, &DatadogMetricUse)| {
            name.namespace == self.namespace
                && use_.external_metric_name.is_some()
                && !use_.active
                && self.links.get(&name.name).is_none()
        };
        let unwanted = self.demand.datadog_metrics.iter().filter(is_unwanted);
        self.unwanted = unwanted
            .map(|(name, _)| {
                let since = self.unwanted.get(&name.name).copied().unwrap_or(now);
                (name.name.clone(), since)
            })
            .collect();
    }

    fn done(&mut self, name: &str, now: Timestamp) {
        self.done.insert(name.to_owned(), now.checked_add(PATIENCE).unwrap_or(now));
    }
}

/// The writer of our own objects.
pub(super) struct Autogen {
    api: Api<DatadogMetric>,
    plan: Plan,
    complaint: Complaint,
}

impl Autogen {
    /// Objects in `namespace`.
    pub(super) fn new(client: Client, namespace: String) -> Self {
        let api = Api::namespaced(client, &namespace);
        Self { api, plan: Plan::new(namespace), complaint: Complaint::default() }
    }

    async fn send(&self, step: &Step) -> Result<(), kube::Error> {
        match step {
            Step::Create { name, query, metric } => {
                let object = json!({
                    "apiVersion": "datadoghq.com/v1alpha1",
                    "kind": "DatadogMetric",
                    "metadata": {"name": name},
                    "spec": {"query": query, "externalMetricName": metric},
                });
                let params = PatchParams::apply(MANAGER).force();
                self.api.patch(name, &params, &Patch::Apply(object)).await.map(drop)
            }
            Step::Delete(name) => self.api.delete(name, &DeleteParams::default()).await.map(drop),
        }
    }
}

impl Writer for Autogen {
    type Step = Step;
    const WHAT: &'static str = "DatadogMetrics of our own";
    const PACE: Duration = Duration::from_millis(100);

    fn next(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Step> {
        self.plan.next(snapshot, now)
    }

    async fn write(&mut self, step: Step, now: Timestamp) -> Result<(), kube::Error> {
        let result = self.send(&step).await.map_err(Failure::from);
        let name = match &step {
            Step::Create { name, .. } | Step::Delete(name) => name,
        };
        match result {
            Ok(()) => self.complaint.accepted(),
            Err(Failure::Away(error)) => return Err(error),
            Err(Failure::Gone) => {} // deleted by somebody else
            Err(Failure::Refused(status)) => {
                self.complaint.refused(Self::WHAT, &name, &status);
            }
        }
        self.plan.done(name, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
