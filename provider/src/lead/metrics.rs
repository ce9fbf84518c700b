//! What the election tells on `/metrics`, under Datadog's name.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

/// The metrics of the election.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    is_leader: Family<Labels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    is_leader: &'static str,
    join_leader: &'static str,
}

impl Metrics {
    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "leader_election_is_leader",
            "1 with is_leader=\"true\" while this replica leads, 0 with is_leader=\"false\" otherwise",
            self.is_leader.clone(),
        );
    }

    pub(super) fn set(&self, leads: bool) {
        let is_leader = if leads { "true" } else { "false" };
        // One series at a time, so that a sum over all replicas is the number of leaders.
        self.is_leader.clear();
        let labels = Labels { is_leader, join_leader: "true" };
        self.is_leader.get_or_create(&labels).set(i64::from(leads));
    }
}
