//! From a metric's name and selector to a query; pure.
//!
//! The shape is the one of Datadog's Cluster Agent
//! (`pkg/util/kubernetes/autoscalers/datadogexternal.go`): tags sorted bytewise, joined by commas,
//! no escaping. Set-based requirements, which it leaves out, use Datadog's boolean filters
//! (<https://docs.datadoghq.com/metrics/advanced-filtering/>). A scope has one syntax: commas
//! and `!` alone, or `AND` / `NOT` / `IN` throughout as soon as there is a list of values.

use std::time::Duration;

use crate::{
    demand::{
        MetricKey, ObjectName, Source, Wanted, definition::BadDefinition, reference::BadReference,
    },
    query::{Aggregator, Ask, Defaults, Fallback, Plain, Query, text},
    sample::age_limit,
    selector::{Operator, Requirement, Selector},
    sorted::Sorted,
};

/// Why there is no query for a metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolvable {
    /// Datadog knows no such name, and some of them would change the meaning of the query.
    #[error(
        "metric name {name:?} is none that Datadog can have: a letter, then letters, digits, `_` and `.`, at most 200 characters"
    )]
    Name {
        /// The name as the HPA has it.
        name: String,
    },
    /// The HPA controller refuses it too, when it runs.
    #[error(
        "selector key {key:?} is no valid label key, use letters, digits, `-`, `_`, `.` and one `/`"
    )]
    Key {
        /// The key as the HPA has it.
        key: String,
    },
    /// The HPA controller refuses it too, when it runs (kubernetes#102056).
    #[error(
        "value {value:?} of selector key {key:?} is no valid label value, use at most 63 letters, digits, `-`, `_` and `.`"
    )]
    Value {
        /// The key of the requirement.
        key: String,
        /// The value as the HPA has it.
        value: String,
    },
    /// No HPA can write it, and Datadog has no such filter for tags.
    #[error("selector key {key:?} is compared by `<` or `>`, which Datadog's tags cannot be")]
    Comparison {
        /// The key of the requirement.
        key: String,
    },
    /// A name that wants to be a reference and is none.
    #[error(transparent)]
    Reference(#[from] BadReference),
    /// A reference to nothing.
    #[error("there is no DatadogMetric {object}")]
    NoDatadogMetric {
        /// What is referred to.
        object: ObjectName,
    },
    /// A reference to an object that cannot be asked for.
    #[error("DatadogMetric {object}: {reason}")]
    DatadogMetric {
        /// What is referred to.
        object: ObjectName,
        /// What is wrong with it.
        reason: BadDefinition,
    },
    /// A reference, and nobody reads what it refers to.
    #[error(
        "DatadogMetric {object} is not read, set DD_EXTERNAL_METRICS_PROVIDER_USE_DATADOGMETRIC_CRD=true"
    )]
    DatadogMetricsOff {
        /// What is referred to.
        object: ObjectName,
    },
    /// A reference, and kube-apiserver does not let us read what it refers to.
    #[error("DatadogMetric {object} cannot be read: {reason}")]
    DatadogMetricsUnreadable {
        /// What is referred to.
        object: ObjectName,
        /// Why none of them can be read.
        reason: String,
    },
}

/// Longest metric name that Datadog takes
/// (<https://docs.datadoghq.com/metrics/custom_metrics/#naming-custom-metrics>).
const MAX_NAME: usize = 200;
/// Longest label value (`k8s.io/apimachinery/pkg/util/validation`, `LabelValueMaxLength`).
const MAX_VALUE: usize = 63;

/// What to ask for a metric, and what its answer is held to.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The question, or why there is none.
    pub ask: Result<Ask, Unresolvable>,
    /// The length of one bucket; `None` where a user's own query decides it.
    pub rollup: Option<Duration>,
    /// The age above which a sample is not served.
    pub age_limit: Duration,
    /// What to serve when there is no fresh sample.
    pub fallback: Option<Fallback>,
}

/// What to ask for `wanted`, which is called `key`.
pub fn resolve(key: &MetricKey, wanted: &Wanted, defaults: &Defaults) -> Resolved {
    let overrides = &wanted.overrides;
    let max_age = overrides.max_age;
    let (query, rollup, limit, window) = match &wanted.source {
        Source::Selector => {
            let rollup = overrides.rollup.unwrap_or(defaults.rollup);
            let aggregator = overrides.aggregator.unwrap_or(defaults.aggregator);
            let query = query(&wanted.name, &key.selector, aggregator, rollup);
            let limit = age_limit(max_age.unwrap_or(defaults.max_age), rollup);
            (query, Some(rollup), limit, overrides.window)
        }
        Source::DatadogMetric(raw) => {
            // A user's own age holds as it is: what the buckets of the query are is not known.
            let own = max_age.or_else(|| raw.as_ref().ok().and_then(|raw| raw.max_age));
            let limit = own.unwrap_or_else(|| age_limit(defaults.max_age, defaults.rollup));
            let window = raw.as_ref().ok().and_then(|raw| raw.window).or(own);
            (raw.as_ref().map(|raw| raw.query.clone()).map_err(Clone::clone), None, limit, window)
        }
    };
    let window = overrides.window.or(window).unwrap_or(defaults.window);
    // As Datadog's agent: at least the configured window and what max age needs, at most a day.
    let window = window.max(limit).max(defaults.window).min(defaults.max_window);
    // Whole seconds are what a request has.
    let window = Duration::from_secs(window.as_secs() + u64::from(window.subsec_nanos() > 0));
    let ask = query.map(|query| Ask { window, query });
    Resolved { ask, rollup, age_limit: limit, fallback: overrides.fallback }
}

/// The query for the metric `name` (in its original case) over the series that `selector` selects.
pub fn query(
    name: &str,
    selector: &Selector,
    aggregator: Aggregator,
    rollup: Duration,
) -> Result<Query, Unresolvable> {
    if !is_metric_name(name) {
        return Err(Unresolvable::Name { name: name.to_owned() });
    }
    for requirement in selector.requirements() {
        validate(requirement)?;
    }
    let rollup = rollup.as_secs().max(1);
    Ok(match tags(selector) {
        Some(tags) => Plain { aggregator, metric: name.to_owned(), tags, rollup }.into(),
        None => Query::new(text(aggregator, name, &scope(selector)?, rollup)),
    })
}

/// The tags, if every requirement allows one value of a key of its own.
fn tags(selector: &Selector) -> Option<Sorted<(String, String)>> {
    let tag = |Requirement { key, operator }: &Requirement| match operator {
        Operator::In(values) => Some((key.clone(), single(values)?.clone())),
        _ => None,
    };
    let tags: Sorted<_> = selector.requirements().map(tag).collect::<Option<_>>()?;
    let is_distinct = tags.windows(2).all(|pair| pair[0].0 != pair[1].0);
    is_distinct.then_some(tags)
}

fn scope(selector: &Selector) -> Result<String, Unresolvable> {
    let boolean = selector.requirements().any(|requirement| match &requirement.operator {
        Operator::In(values) | Operator::NotIn(values) => values.len() > 1,
        _ => false,
    });
    let terms = selector.requirements().map(|requirement| term(requirement, boolean));
    let mut terms = terms.collect::<Result<Vec<String>, _>>()?;
    terms.sort_unstable();
    Ok(match (terms.is_empty(), boolean) {
        (true, _) => "*".to_owned(),
        (false, true) => terms.join(" AND "),
        (false, false) => terms.join(","),
    })
}

fn term(
    Requirement { key, operator }: &Requirement,
    boolean: bool,
) -> Result<String, Unresolvable> {
    let not = if boolean { "NOT " } else { "!" };
    Ok(match operator {
        Operator::In(values) => match single(values) {
            Some(value) => format!("{key}:{value}"),
            None => format!("{key} IN ({})", values.join(",")),
        },
        Operator::NotIn(values) => match single(values) {
            Some(value) => format!("{not}{key}:{value}"),
            None => format!("{key} NOT IN ({})", values.join(",")),
        },
        Operator::Exists => format!("{key}:*"),
        Operator::DoesNotExist => format!("{not}{key}:*"),
        Operator::GreaterThan(_) | Operator::LessThan(_) => {
            return Err(Unresolvable::Comparison { key: key.clone() });
        }
    })
}

fn single(values: &[String]) -> Option<&String> {
    values.first().filter(|_| values.len() == 1)
}

fn is_metric_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

/// Everything that could end a scope or a query early is refused: a selector must not be able to
/// ask for other data than its own.
fn validate(Requirement { key, operator }: &Requirement) -> Result<(), Unresolvable> {
    let is_key_char = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    let is_word_start = |c: char| c.is_ascii_alphanumeric();
    if !key.starts_with(is_word_start)
        || !key.chars().all(is_key_char)
        || key.matches('/').count() > 1
    {
        return Err(Unresolvable::Key { key: key.clone() });
    }
    let (Operator::In(values) | Operator::NotIn(values)) = operator else { return Ok(()) };
    let is_value = |value: &String| {
        !value.is_empty()
            && value.len() <= MAX_VALUE
            && value.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    match values.iter().find(|value| !is_value(value)) {
        Some(value) => Err(Unresolvable::Value { key: key.clone(), value: value.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
