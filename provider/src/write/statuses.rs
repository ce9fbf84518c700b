//! Writes the status of `DatadogMetric`s by server-side apply, each in its turn.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    demand::{
        DatadogMetricUse, Demand, ObjectName,
        datadog_metric::{DatadogMetric, DatadogMetricStatus},
    },
    store::Snapshot,
    write::{
        Complaint, Config, Failure, MANAGER, Writer,
        autogen::{Links, namesake},
        status::status_of,
    },
};

/// An object that is gone or refuses its status is left alone for this time.
const LEAVE_ALONE: SignedDuration = SignedDuration::from_mins(1);

/// The writer of statuses.
pub(super) struct Statuses {
    client: Client,
    /// Where autogen objects live, if there are any.
    autogen: Option<String>,
    /// The demand of the last look.
    demand: Arc<Demand>,
    links: Links,
    known: HashMap<ObjectName, Known>,
    /// The object looked at last.
    cursor: Option<ObjectName>,
    complaint: Complaint,
}

/// What is known of an object's status.
#[derive(Debug)]
struct Known {
    /// As read or written last.
    status: Option<DatadogMetricStatus>,
    /// Whether it has been read since we started.
    read: bool,
    not_before: Timestamp,
}

/// One request.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Once for each object, so that the times of its conditions survive a restart.
    Read(ObjectName),
    Write(ObjectName, DatadogMetricStatus),
}

impl Statuses {
    /// A writer that knows of nothing yet.
    pub(super) fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            autogen: config.autogen.then(|| config.namespace.clone()),
            demand: Arc::default(),
            links: Links::default(),
            known: HashMap::new(),
            cursor: None,
            complaint: Complaint::default(),
        }
    }

    fn set_demand(&mut self, snapshot: &Snapshot) {
        if Arc::ptr_eq(&self.demand, snapshot.demand()) {
            return;
        }
        self.demand = snapshot.demand().clone();
        self.known.retain(|name, _| self.demand.datadog_metrics.contains_key(name));
        if self.autogen.is_some() {
            self.links = Links::of(snapshot);
        }
    }

    fn step(
        &self,
        name: &ObjectName,
        use_: &DatadogMetricUse,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<Step> {
        let known = self.known.get(name);
        if known.is_some_and(|known| now < known.not_before) {
            return None;
        }
        let Some(known) = known.filter(|known| known.read) else {
            return Some(Step::Read(name.clone()));
        };
        // An object of our own stands for the metric of the same query.
        let ours = self.autogen.as_deref() == Some(&name.namespace);
        let link = self.links.get(&name.name).filter(|_| ours && !use_.active);
        let linked = link.and_then(|link| namesake(use_, link));
        let use_ = linked.as_ref().unwrap_or(use_);
        let entry = snapshot.get(&use_.key).map(|(_, entry)| entry.as_ref());
        let status = status_of(use_, entry, &snapshot.asking, known.status.as_ref(), now)?;
        Some(Step::Write(name.clone(), status))
    }

    async fn send(&self, step: &Step) -> Result<Option<DatadogMetricStatus>, kube::Error> {
        let api = |name: &ObjectName| {
            Api::<DatadogMetric>::namespaced(self.client.clone(), &name.namespace)
        };
        match step {
            Step::Read(name) => match api(name).get_status(&name.name).await {
                Ok(object) => Ok(object.status),
                // Somebody else's half status is none.
                Err(kube::Error::SerdeError(_)) => Ok(None),
                Err(error) => Err(error),
            },
            Step::Write(name, status) => {
                let patch = json!({
                    "apiVersion": "datadoghq.com/v1alpha1",
                    "kind": "DatadogMetric",
                    "metadata": {"name": name.name, "namespace": name.namespace},
                    "status": status,
                });
                let params = PatchParams::apply(MANAGER).force();
                api(name).patch_status(&name.name, &params, &Patch::Apply(patch)).await?;
                Ok(Some(status.clone()))
            }
        }
    }
}

impl Writer for Statuses {
    type Step = Step;
    const WHAT: &'static str = "status of DatadogMetrics";
    const PACE: Duration = Duration::from_millis(100);

    fn next(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Step> {
        self.set_demand(snapshot);
        let step = round(&self.demand.datadog_metrics, self.cursor.as_ref())
            .find_map(|(name, use_)| self.step(name, use_, snapshot, now))?;
        self.cursor = Some(step.name().clone());
        Some(step)
    }

    async fn write(&mut self, step: Step, now: Timestamp) -> Result<(), kube::Error> {
        let result = self.send(&step).await.map_err(Failure::from);
        let name = step.name().clone();
        let left_alone = now.checked_add(LEAVE_ALONE).unwrap_or(now);
        match result {
            Ok(status) => {
                self.complaint.accepted();
                self.known.insert(name, Known { status, read: true, not_before: now });
            }
            Err(Failure::Away(error)) => return Err(error),
            Err(Failure::Gone) => {
                // Deleted; a new object of the same name starts anew.
                let gone = Known { status: None, read: false, not_before: left_alone };
                self.known.insert(name, gone);
            }
            Err(Failure::Refused(status)) => {
                self.complaint.refused(Self::WHAT, &name, &status);
                let known = self.known.entry(name);
                known.or_insert(Known { status: None, read: false, not_before: now }).not_before =
                    left_alone;
            }
        }
        Ok(())
    }
}

impl Step {
    fn name(&self) -> &ObjectName {
        match self {
            Self::Read(name) | Self::Write(name, _) => name,
        }
    }
}

/// All objects, first those after `cursor`: each has its turn.
fn round<'a, V>(
    objects: &'a BTreeMap<ObjectName, V>,
    cursor: Option<&ObjectName>,
) -> impl Iterator<Item = (&'a ObjectName, &'a V)> {
    let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
    let until = cursor.map(|cursor| objects.range(..=cursor)).into_iter().flatten();
    objects.range((after, Bound::Unbounded)).chain(until)
}
