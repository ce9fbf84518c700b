//! What each HPA wants, kept from watch events; pure.
//!
//! Only wishes are kept, not objects: an HPA's status changes at every sync of its controller,
//! and with thousands of HPAs neither the memory of the objects nor a new [`Demand`] for each of
//! those changes would be free. (That is why there is no `reflector` store here.)

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::runtime::watcher::Event;

use crate::{
    demand::{
        Autoscaler, Builder, Demand, Source,
        hpa::{self, BadSource, Wish},
    },
    query::Overrides,
};

/// What one HPA wants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wishes {
    autoscaler: Autoscaler,
    wishes: Vec<Result<Wish, BadSource>>,
}

/// Namespace and name.
type ObjectName = (String, String);

/// The wishes of all HPAs.
#[derive(Debug, Default)]
pub struct Index {
    objects: BTreeMap<ObjectName, Wishes>,
    /// The list that is being read; it takes the place of `objects` when it is complete.
    listing: BTreeMap<ObjectName, Wishes>,
    /// Whether a full list has been read once.
    listed: bool,
}

impl Index {
    /// Takes in one event; tells whether [`Index::demand`] has to be read again.
    pub fn apply(&mut self, event: &Event<HorizontalPodAutoscaler>) -> bool {
        match event {
            Event::Init => {
                self.listing.clear();
                false
            }
            Event::InitApply(object) => {
                let (name, wishes) = read(object);
                log_bad_sources(&wishes, self.objects.get(&name));
                self.listing.insert(name, wishes);
                false
            }
            Event::InitDone => {
                let listing = std::mem::take(&mut self.listing);
                let changed = !self.listed || self.objects != listing;
                self.objects = listing;
                self.listed = true;
                changed
            }
            Event::Apply(object) => {
                let (name, wishes) = read(object);
                log_bad_sources(&wishes, self.objects.get(&name));
                let before = self.objects.insert(name.clone(), wishes);
                before.as_ref() != self.objects.get(&name) && self.listed
            }
            Event::Delete(object) => {
                let (name, _) = read(object);
                self.objects.remove(&name).is_some() && self.listed
            }
        }
    }

    /// What all of them want together.
    pub fn demand(&self) -> Demand {
        let mut demand = Builder::default();
        for object in self.objects.values() {
            for Wish { key, name } in object.wishes.iter().flatten() {
                let (key, name, by) = (key.clone(), name.clone(), object.autoscaler.clone());
                demand.add(key, name, Source::Selector, Overrides::default(), by);
            }
        }
        demand.build()
    }
}

fn read(object: &HorizontalPodAutoscaler) -> (ObjectName, Wishes) {
    let autoscaler = hpa::autoscaler(object);
    let name = (autoscaler.namespace.clone(), autoscaler.name.clone());
    (name, Wishes { autoscaler, wishes: hpa::wishes(object) })
}

/// Once for each new trouble, not once for each event.
fn log_bad_sources(new: &Wishes, before: Option<&Wishes>) {
    for error in new.wishes.iter().filter_map(|wish| wish.as_ref().err()) {
        let known = before
            .is_some_and(|before| before.wishes.iter().any(|w| w.as_ref().err() == Some(error)));
        if !known {
            tracing::warn!(hpa = %new.autoscaler, %error, "metric source of an HPA skipped");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hpa(name: &str, metric: &str) -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"namespace": "default", "name": name},
            "spec": {
                "maxReplicas": 5,
                "scaleTargetRef": {"kind": "Deployment", "name": "nginx"},
                "metrics": [{"type": "External", "external": {
                    "metric": {"name": metric}, "target": {"type": "Value"}}}],
            },
        }))
        .unwrap()
    }

    fn metrics(index: &Index) -> Vec<String> {
        index.demand().iter().map(|(_, wanted)| wanted.name.clone()).collect()
    }

    fn listed(objects: &[HorizontalPodAutoscaler]) -> Index {
        let mut index = Index::default();
        assert!(!index.apply(&Event::Init));
        for object in objects {
            assert!(!index.apply(&Event::InitApply(object.clone())));
        }
        assert!(index.apply(&Event::InitDone));
        index
    }

    #[test]
    fn a_change_of_status_alone_changes_no_demand() {
        let mut index = listed(&[hpa("a", "m")]);
        let mut touched = hpa("a", "m");
        touched.metadata.resource_version = Some("2".into());
        touched.status = Some(k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscalerStatus {
            desired_replicas: 3,
            ..Default::default()
        });
        assert!(!index.apply(&Event::Apply(touched)));
    }

    #[test]
    fn updates_and_deletions_count_at_once() {
        let mut index = listed(&[hpa("a", "m")]);
        assert!(index.apply(&Event::Apply(hpa("a", "n"))));
        assert_eq!(metrics(&index), ["n"]);
        assert!(index.apply(&Event::Apply(hpa("b", "o"))));
        assert_eq!(metrics(&index), ["n", "o"]);
        assert!(index.apply(&Event::Delete(hpa("a", "n"))));
        assert_eq!(metrics(&index), ["o"]);
        assert!(!index.apply(&Event::Delete(hpa("a", "n"))));
    }

    #[test]
    fn a_new_list_drops_what_went_away_while_the_watch_was_broken() {
        let mut index = listed(&[hpa("a", "m"), hpa("b", "n")]);
        index.apply(&Event::Init);
        index.apply(&Event::InitApply(hpa("b", "n")));
        assert_eq!(metrics(&index), ["m", "n"], "the old list holds until the new one is complete");
        assert!(index.apply(&Event::InitDone));
        assert_eq!(metrics(&index), ["n"]);
        index.apply(&Event::Init);
        index.apply(&Event::InitApply(hpa("b", "n")));
        assert!(!index.apply(&Event::InitDone), "the same list again changes nothing");
    }

    #[test]
    fn the_first_list_is_news_even_if_it_is_empty() {
        assert_eq!(metrics(&listed(&[])), Vec::<String>::new());
    }
}
