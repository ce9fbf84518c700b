//! The scenarios by name.

use crate::{
    cluster::Cluster,
    phase::Recorder,
    scenario::{
        Settings, api, api_access, api_rotation, api_start, datadog_metric, fallback, faults,
        one_bad_query, own_ca, rate_limited, replicas, two_metrics, typo, walkthrough,
        walkthrough_scripted,
    },
};

/// The scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Real load on a real nginx.
    Walkthrough,
    /// A scripted series in place of load and check.
    WalkthroughScripted,
    /// Two metrics in one HPA.
    TwoMetrics,
    /// A metric name that nobody has.
    Typo,
    /// A query that Datadog refuses, beside good ones.
    OneBadQuery,
    /// Datadog answers 429.
    RateLimited,
    /// Datadog answers 5xx.
    DatadogDown,
    /// Datadog answers 403.
    KeysRevoked,
    /// Datadog answers with old points.
    StalePoints,
    /// A value declared for when there is none.
    Fallback,
    /// A query of the user's own.
    DatadogMetric,
    /// What clients see of the API.
    Api,
    /// Who may read a metric at the provider's own port.
    ApiAccess,
    /// Certificates and authorities change while requests flow.
    ApiRotation,
    /// kube-apiserver is away when the provider starts, and for a while later.
    ApiStart,
    /// The provider's own authority is replaced while requests flow.
    OwnCa,
    /// The leading replica crashes; another one is told to end.
    ReplicasKill,
    /// A replica stands still, and goes on later.
    ReplicasPause,
    /// No replica reaches Datadog.
    ReplicasCut,
    /// kube-apiserver is away, then etcd.
    ReplicasApiserver,
    /// What the replicas keep in a ConfigMap is lost, or changed by hand; then all replicas are lost.
    ReplicasState,
    /// The token that replicas and node agents share is replaced.
    ReplicasToken,
}

impl Scenario {
    /// All of them, in the order of `list`.
    pub const ALL: [Self; 22] = [
        Self::Walkthrough,
        Self::WalkthroughScripted,
        Self::TwoMetrics,
        Self::Typo,
        Self::OneBadQuery,
        Self::RateLimited,
        Self::DatadogDown,
        Self::KeysRevoked,
        Self::StalePoints,
        Self::Fallback,
        Self::DatadogMetric,
        Self::Api,
        Self::ApiAccess,
        Self::ApiRotation,
        Self::ApiStart,
        Self::OwnCa,
        Self::ReplicasKill,
        Self::ReplicasPause,
        Self::ReplicasCut,
        Self::ReplicasApiserver,
        Self::ReplicasState,
        Self::ReplicasToken,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Walkthrough => "walkthrough",
            Self::WalkthroughScripted => "walkthrough-scripted",
            Self::TwoMetrics => "two-metrics",
            Self::Typo => "typo",
            Self::OneBadQuery => "one-bad-query",
            Self::RateLimited => "rate-limited",
            Self::DatadogDown => "datadog-down",
            Self::KeysRevoked => "keys-revoked",
            Self::StalePoints => "stale-points",
            Self::Fallback => "fallback",
            Self::DatadogMetric => "datadog-metric",
            Self::Api => "api",
            Self::ApiAccess => "api-access",
            Self::ApiRotation => "api-rotation",
            Self::ApiStart => "api-start",
            Self::OwnCa => "own-ca",
            Self::ReplicasKill => "replicas-kill",
            Self::ReplicasPause => "replicas-pause",
            Self::ReplicasCut => "replicas-cut",
            Self::ReplicasApiserver => "replicas-apiserver",
            Self::ReplicasState => "replicas-state",
            Self::ReplicasToken => "replicas-token",
        }
    }

    /// One line for `list`.
    pub fn description(self) -> &'static str {
        match self {
            Self::Walkthrough => {
                "real load on a real nginx: the HPA goes 1 → 3, stays there, and comes back"
            }
            Self::WalkthroughScripted => {
                "the same with a scripted series in place of load and check"
            }
            Self::TwoMetrics => "an HPA with two metrics: the larger wins, whichever it is",
            Self::Typo => "a metric name that nobody has: the HPA stays at 3 and shows the query",
            Self::OneBadQuery => "one query of a hundred is refused: the others have their values",
            Self::RateLimited => "the rate limit is used up: the HPA stays at 3, one 429 a period",
            Self::DatadogDown => "Datadog answers 503: the HPA stays at 3 and says so",
            Self::KeysRevoked => "Datadog refuses the keys: the HPA stays at 3 and says so",
            Self::StalePoints => "Datadog's points are old: the HPA stays at 3 and says so",
            Self::Fallback => "Datadog answers 503: the HPA goes to the fallback that it declares",
            Self::DatadogMetric => "an HPA that refers to a DatadogMetric scales on its query",
            Self::Api => "what kube-apiserver, kubectl and the HPA controller see of the API",
            Self::ApiAccess => "who may read a metric at the provider's own port, and who may not",
            Self::ApiRotation => "certificates and authorities change, and no request fails",
            Self::ApiStart => "the provider starts before kube-apiserver, and outlives it",
            Self::OwnCa => "the provider's own CA is replaced, and no request fails",
            Self::ReplicasKill => {
                "the leader of three replicas is killed, the next one told to end"
            }
            Self::ReplicasPause => {
                "a replica stands still and goes on: it asks nothing without the Lease"
            }
            Self::ReplicasCut => "the way to Datadog is cut under three replicas",
            Self::ReplicasApiserver => {
                "kube-apiserver and etcd go under three replicas and come back"
            }
            Self::ReplicasState => {
                "the replicas' ConfigMap is lost or garbage, then all replicas are lost"
            }
            Self::ReplicasToken => "the token that replicas and node agents share is replaced",
        }
    }

    /// Runs it; an [`crate::phase::AssertionFailed`] in the error's chain is a failure of what is
    /// tested, anything else an error of the harness.
    pub async fn run<C: Cluster>(
        self,
        cluster: &C,
        settings: &Settings,
        recorder: &Recorder,
    ) -> anyhow::Result<()> {
        match self {
            Self::Walkthrough => walkthrough::run(cluster, settings, recorder).await,
            Self::WalkthroughScripted => walkthrough_scripted::run(cluster, recorder).await,
            Self::TwoMetrics => two_metrics::run(cluster, recorder).await,
            Self::Typo => typo::run(cluster, settings, recorder).await,
            Self::OneBadQuery => one_bad_query::run(cluster, settings, recorder).await,
            Self::RateLimited => rate_limited::run(cluster, settings, recorder).await,
            Self::DatadogDown => faults::datadog_down(cluster, settings, recorder).await,
            Self::KeysRevoked => faults::keys_revoked(cluster, settings, recorder).await,
            Self::StalePoints => faults::stale_points(cluster, settings, recorder).await,
            Self::Fallback => fallback::run(cluster, settings, recorder).await,
            Self::DatadogMetric => datadog_metric::run(cluster, recorder).await,
            Self::Api => Box::pin(api::run(cluster, recorder)).await,
            Self::ApiAccess => api_access::run(cluster, recorder).await,
            Self::ApiRotation => Box::pin(api_rotation::run(cluster, recorder)).await,
            Self::ApiStart => Box::pin(api_start::run(cluster, recorder)).await,
            Self::OwnCa => Box::pin(own_ca::run(cluster, recorder)).await,
            Self::ReplicasKill => Box::pin(replicas::kill::run(cluster, recorder)).await,
            Self::ReplicasPause => Box::pin(replicas::pause::run(cluster, recorder)).await,
            Self::ReplicasCut => Box::pin(replicas::cut::run(cluster, recorder)).await,
            Self::ReplicasApiserver => Box::pin(replicas::apiserver::run(cluster, recorder)).await,
            Self::ReplicasState => Box::pin(replicas::state::run(cluster, recorder)).await,
            Self::ReplicasToken => Box::pin(replicas::token::run(cluster, recorder)).await,
        }
    }
}

/// Why a text names no scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no scenario is called {name:?}, choose from {known}")]
pub struct UnknownScenario {
    name: String,
    known: String,
}

impl std::str::FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, UnknownScenario> {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        found.ok_or_else(|| UnknownScenario {
            name: name.to_owned(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_found_by_their_names() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
        }
        let error = "walktrough".parse::<Scenario>().unwrap_err().to_string();
        assert_eq!(
            error,
            "no scenario is called \"walktrough\", choose from walkthrough, walkthrough-scripted, \
             two-metrics, typo, one-bad-query, rate-limited, datadog-down, keys-revoked, stale-points, \
             fallback, datadog-metric, api, api-access, api-rotation, api-start, own-ca, \
             replicas-kill, replicas-pause, replicas-cut, replicas-apiserver, replicas-state, \
             replicas-token"
        );
    }
}
