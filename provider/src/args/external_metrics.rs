//! What is asked, how often, and what its answer is held to.

use std::time::Duration;

use clap::{Args as ClapArgs, builder::BoolishValueParser};

use crate::{args::parse_duration, query::Aggregator};

/// What is asked and how often.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "External metrics")]
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
}
