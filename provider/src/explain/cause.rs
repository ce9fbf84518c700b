//! What a text of the provider's API is about; pure.
//!
//! The same words stand in the API's answers, in the HPA's conditions, in Events and in the status,
//! so that one of them is enough to know what is wrong. The tests hold this to the texts that
//! [`crate::api::answer`] makes.

use crate::explain::Link;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The name or the selector cannot be a query.
    Name,
    /// There is no such `DatadogMetric`.
    NoDatadogMetric,
    /// `DatadogMetric`s are not read, or not readable.
    DatadogMetricsUnread,
    /// A `DatadogMetric` that cannot be used.
    DatadogMetric,
    /// No autoscaler that the provider sees wants it.
    Unwanted,
    /// The provider has not read the HPAs.
    NotRead,
    /// Datadog refuses the query.
    Rejected,
    /// The query gives no series.
    NoSeries,
    /// The query gives more than one series.
    SeveralSeries,
    /// The series has no value that can be used.
    NoValue,
    /// The keys are refused.
    Keys,
    /// The rate limit is used up for now.
    RateLimited,
    /// The budget is too small for all queries.
    Shed,
    /// Datadog fails, or cannot be reached.
    Down,
    /// Nothing has been answered yet.
    NotAskedYet,
    /// The newest point is too old.
    Stale,
}

/// What a text has in it, and what that says. The order counts: the first one that is found.
const WORDS: [(&str, Cause); 28] = [
    ("Returned series slice empty", Cause::NoSeries),
    ("is none that Datadog can have", Cause::Name),
    ("is no valid label", Cause::Name),
    ("a valid label must be", Cause::Name),
    ("which Datadog's tags cannot be", Cause::Name),
    ("is no reference to a DatadogMetric", Cause::Name),
    ("there is no DatadogMetric", Cause::NoDatadogMetric),
    ("it is not among the DatadogMetrics", Cause::NoDatadogMetric),
    ("is not read, set DD_EXTERNAL", Cause::DatadogMetricsUnread),
    ("its spec cannot be read: ", Cause::DatadogMetric),
    ("cannot be read: ", Cause::DatadogMetricsUnread),
    ("no autoscaler refers to DatadogMetric", Cause::Unwanted),
    ("wants the external metric", Cause::Unwanted),
    ("has not read the cluster's HPAs", Cause::NotRead),
    ("Datadog rejects the query", Cause::Rejected),
    ("Datadog rejects the keys", Cause::Keys),
    ("rate limit is used up", Cause::RateLimited),
    ("is too small: ", Cause::Shed),
    ("change the query so that it gives one", Cause::SeveralSeries),
    ("Datadog has no value for", Cause::NoValue),
    ("cannot be used: ", Cause::NoValue),
    ("has not answered the first query", Cause::NotAskedYet),
    ("the newest point of", Cause::Stale),
    ("there is no Datadog API at", Cause::Down),
    ("Datadog fails at", Cause::Down),
    ("Datadog cannot", Cause::Down),
    ("Datadog does not answer", Cause::Down),
    ("Datadog answers HTTP", Cause::Down),
];

impl Cause {
    /// What `text` is about.
    pub fn of(text: &str) -> Option<Self> {
        if text.contains("Datadog's answer at") {
            return Some(Self::Down);
        }
        let known = WORDS.iter().find(|(words, _)| text.contains(words)).map(|(_, cause)| *cause);
        known.or_else(|| text.contains("DatadogMetric ").then_some(Self::DatadogMetric))
    }

    /// The link of the chain that is broken then.
    pub fn link(self) -> Link {
        match self {
            Self::Name
            | Self::NoDatadogMetric
            | Self::DatadogMetricsUnread
            | Self::DatadogMetric
            | Self::Unwanted => Link::Metric,
            Self::NotRead => Link::Provider,
            Self::Rejected
            | Self::NoSeries
            | Self::SeveralSeries
            | Self::Keys
            | Self::RateLimited
            | Self::Shed
            | Self::Down
            | Self::NotAskedYet => Link::Calls,
            Self::NoValue | Self::Stale => Link::Sample,
        }
    }

    /// What to do.
    pub fn remedy(self, query: Option<&str>) -> String {
        let query = query.unwrap_or("the query");
        match self {
            Self::Name => "write the metric's name and tags in the HPA as Datadog has them".into(),
            Self::NoDatadogMetric => {
                "kubectl get datadogmetrics -A, and correct datadogmetric@NAMESPACE:NAME in the HPA, \
                 or create the object"
                    .into()
            }
            Self::DatadogMetricsUnread => {
                "kubectl apply -f manifests/datadogmetric-crd.yaml, and set \
                 DD_EXTERNAL_METRICS_PROVIDER_USE_DATADOGMETRIC_CRD=true in the provider"
                    .into()
            }
            Self::DatadogMetric => "correct spec.query of the DatadogMetric".into(),
            Self::Unwanted => {
                "compare the HPA's labels with DD_EXTERNAL_METRICS_PROVIDER_AUTOSCALER_AUTOGEN_LABEL_SELECTOR \
                 of the provider; a change of the HPA counts within a second"
                    .into()
            }
            Self::NotRead => "kubectl apply -f manifests/cluster-agent/rbac-cluster-agent.yaml".into(),
            Self::Rejected => format!("paste {query} into a Datadog notebook and correct it there first"),
            Self::NoSeries => format!(
                "paste {query} into a Datadog notebook: what is empty there is empty here; check the \
                 metric's name (case counts) and the tags"
            ),
            Self::SeveralSeries => "leave out `by {…}` in the query of the DatadogMetric".into(),
            Self::NoValue => format!("look at {query} in a Datadog notebook: is the metric still sent?"),
            Self::Keys => {
                "put keys of the right site into the provider's Secret (DD_API_KEY, DD_APP_KEY; \
                 DD_SITE); the application key needs the scope timeseries_query"
                    .into()
            }
            Self::RateLimited => {
                "wait for the reset; find out who else uses the account's query limit, or raise \
                 DD_EXTERNAL_METRICS_PROVIDER_REFRESH_PERIOD"
                    .into()
            }
            Self::Shed => {
                "ask Datadog for a higher rate limit, or have fewer distinct queries, or a longer \
                 DD_EXTERNAL_METRICS_PROVIDER_MAX_AGE"
                    .into()
            }
            Self::Down => {
                "check the way from the provider's pod to Datadog (DD_SITE, \
                 DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT, proxy, firewall)"
                    .into()
            }
            Self::NotAskedYet => "wait some seconds and run this again".into(),
            Self::Stale => {
                "look in Datadog when the metric was last sent; where it always is that late, set \
                 the annotation external-metrics.datadoghq.com/max-age or \
                 DD_EXTERNAL_METRICS_PROVIDER_MAX_AGE"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests;
