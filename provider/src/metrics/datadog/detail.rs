//! One series for each metric, for so many metrics as a scrape can hold.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;

use crate::{
    metrics::{
        datadog::{JOIN_LEADER, number, updates::Updates},
        told::Told,
    },
    query::Query,
    store::{Entry, Snapshot},
};

/// Queries, and `DatadogMetric`s, that have series of their own: those that sort first, so that
/// they are the same ones in each scrape. At four series each that is a scrape of less than a
/// megabyte; ten thousand would be ten. How many have none is told, and the sums hold for all.
pub const SHOWN: usize = 1000;

/// What each metric is worth, how old that is, and how often it was answered.
pub(super) fn encode(
    told: &mut Told<'_>,
    snapshot: &Snapshot,
    updates: &Updates,
    now: Timestamp,
) -> fmt::Result {
    // Several autoscalers may want one query: it is one series.
    let mut queries = BTreeMap::<&str, (&Query, &Entry)>::new();
    for (_, _, entry) in snapshot.iter() {
        let Ok(ask) = &entry.ask else { continue };
        queries.entry(ask.query.as_str()).or_insert((&ask.query, entry.as_ref()));
    }
    let hidden = queries.len().saturating_sub(SHOWN);
    let shown: Vec<_> = queries
        .into_iter()
        .take(SHOWN)
        .map(|(text, (query, entry))| (series_name(query), text, query, entry))
        .collect();
    let sampled = || {
        shown.iter().filter_map(|(name, text, _, entry)| {
            let labels = [("metric", name.as_str()), ("query", *text), JOIN_LEADER];
            Some((labels, entry.sample?))
        })
    };
    told.gauge(
        "external_metrics_processed_value",
        "The last sample of a query, fresh or not",
        sampled().map(|(labels, sample)| (labels, sample.value)),
    )?;
    told.gauge(
        "external_metrics_delay_seconds",
        "Age of that sample",
        sampled().map(|(labels, sample)| (labels, sample.age(now).as_secs_f64())),
    )?;
    told.counter(
        "external_metrics_updated",
        "Answers of Datadog for a query",
        shown.iter().map(|(name, text, query, _)| {
            ([("metric", name.as_str()), ("query", *text), JOIN_LEADER], updates.of(query))
        }),
    )?;
    told.one(
        "external_metrics_without_series",
        "Queries and DatadogMetrics that have no series of their own here, since there are too many",
        number(hidden + snapshot.demand().datadog_metrics.len().saturating_sub(SHOWN)),
    )?;
    datadog_metrics(told, snapshot, now)
}

fn datadog_metrics(told: &mut Told<'_>, snapshot: &Snapshot, now: Timestamp) -> fmt::Result {
    let word = |it: bool| if it { "true" } else { "false" };
    told.gauge(
        "external_metrics_datadog_metrics",
        "1 for each DatadogMetric: whether it has a fresh value, and whether it is asked for",
        snapshot.demand().datadog_metrics.iter().take(SHOWN).map(|(name, use_)| {
            let entry = snapshot.get(&use_.key).map(|(_, entry)| entry);
            let valid = use_.active && entry.is_some_and(|entry| entry.fresh(now).is_some());
            let labels = [
                ("namespace", name.namespace.as_str()),
                ("name", name.name.as_str()),
                ("valid", word(valid)),
                ("active", word(use_.active)),
                JOIN_LEADER,
            ];
            (labels, 1.0)
        }),
    )
}

/// As Datadog's agent has it: the metric and its scope; of another query, its text.
fn series_name(query: &Query) -> String {
    let Some(plain) = query.plain() else { return query.as_str().to_owned() };
    let mut tags: Vec<_> = plain.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    tags.sort_unstable();
    let scope = if tags.is_empty() { "*".to_owned() } else { tags.join(",") };
    format!("{}{{{scope}}}", plain.metric)
}
