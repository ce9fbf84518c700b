//! What is asked, how often, and what its answer is held to.

use std::time::Duration;

use clap::{Args as ClapArgs, builder::BoolishValueParser};

use crate::{api::selector, args::parse_duration, query::Aggregator, selector::Selector};

/// What is asked and how often.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "External metrics")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct ExternalMetrics {
    /// Serve external metrics
    #[arg(
        long = "external-metrics-provider-enabled",
        env = "DD_EXTERNAL_METRICS_PROVIDER_ENABLED",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub enabled: bool,
    /// How several series become one at each point in time
    #[arg(long, env = "DD_EXTERNAL_METRICS_AGGREGATOR", default_value = "avg")]
    pub aggregator: Aggregator,
    /// Every metric is asked for once in this time
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_REFRESH_PERIOD",
        default_value = "30",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub refresh_period: Duration,
    /// How far back a query looks
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_BUCKET_SIZE",
        default_value = "300",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub bucket_size: Duration,
    /// How far back a query may look at most
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_MAX_TIME_WINDOW",
        default_value = "86400",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub max_time_window: Duration,
    /// Length of one bucket of a query, whole seconds
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_ROLLUP",
        default_value = "30",
        value_parser = clap::value_parser!(u32).range(1..),
        value_name = "SECONDS"
    )]
    pub rollup: u32,
    /// Age from which a point is not served any more; at least three times the rollup
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_MAX_AGE",
        default_value = "120",
        value_parser = parse_duration,
        value_name = "SECONDS"
    )]
    pub max_age: Duration,
    /// Queries in one request, 1 to 35; more are taken as 35, Datadog's limit
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_CHUNK_SIZE",
        default_value_t = 35,
        value_name = "N"
    )]
    pub chunk_size: usize,
    /// Query requests in flight at once, at least 1
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_MAX_PARALLEL_QUERIES",
        default_value_t = 10,
        value_name = "N"
    )]
    pub max_parallel_queries: usize,
    /// Ask for queries that differ in one tag's value as one query
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_COALESCE",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub coalesce: bool,
    /// Serve only the HPAs and WPAs with these labels, such as `team=web,!keda` [default: all]
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_AUTOSCALER_AUTOGEN_LABEL_SELECTOR",
        default_value = "",
        hide_default_value = true,
        value_parser = parse_labels,
        value_name = "SELECTOR"
    )]
    pub autoscaler_label_selector: Selector,
    /// Read DatadogMetrics, which manifests/datadogmetric-crd.yaml defines
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_USE_DATADOGMETRIC_CRD",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub use_datadogmetric_crd: bool,
    /// Make a DatadogMetric for each metric that an autoscaler names by a selector; only with the
    /// option above
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_ENABLE_DATADOGMETRIC_AUTOGEN",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub enable_datadogmetric_autogen: bool,
    /// Serve Datadog's watermark pod autoscalers too
    #[arg(
        long,
        env = "DD_EXTERNAL_METRICS_PROVIDER_WPA_CONTROLLER",
        default_value = "false",
        default_missing_value = "true",
        num_args = 0..=1,
        value_parser = BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        value_name = "BOOL"
    )]
    pub wpa_controller: bool,
    /// The cluster's name, for `%%tag_kube_cluster_name%%` in the queries of DatadogMetrics
    #[arg(long, env = "DD_CLUSTER_NAME", value_name = "NAME")]
    pub cluster_name: Option<String>,
    /// Namespace of the objects that we make [default: our own]
    #[arg(long, env = "DD_KUBE_RESOURCES_NAMESPACE", value_name = "NAMESPACE")]
    pub kube_resources_namespace: Option<String>,
    /// ConfigMap that keeps the last samples, so that they outlive a restart of all replicas
    #[arg(
        long,
        env = "DD_HPA_CONFIGMAP_NAME",
        default_value = "datadog-custom-metrics",
        value_name = "NAME"
    )]
    pub hpa_configmap_name: String,
    /// Name of our pod, for Events
    #[arg(long, env = "DD_POD_NAME", value_name = "NAME")]
    pub pod_name: Option<String>,
}

/// A selector that kube-apiserver takes.
fn parse_labels(text: &str) -> Result<Selector, String> {
    selector::parse(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_held_against_what_kube_apiserver_takes() {
        for text in ["", "team=web,!keda", "team in (a,b),empty="] {
            assert!(parse_labels(text).is_ok(), "{text}");
        }
        assert_eq!(
            parse_labels("team in web").unwrap_err(),
            "unable to parse requirement: found 'web' expected: '('"
        );
        assert!(
            parse_labels("team=w/eb")
                .unwrap_err()
                .contains("a valid label must be an empty string or")
        );
        assert!(parse_labels("te/a/m").unwrap_err().contains("a valid label key must consist of"));
    }
}
