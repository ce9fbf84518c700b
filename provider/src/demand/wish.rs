//! What one autoscaler wants, of whichever kind it is; pure.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::{
    demand::{
        Autoscaler, Kind, MetricKey, ObjectName, Problem,
        options::{self, Options},
        reference::{self, BadReference},
    },
    query::Overrides,
    selector::{Selector, SelectorError},
};

/// What one autoscaler wants, and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Wishes {
    /// Who it is.
    pub autoscaler: Autoscaler,
    /// Its external metrics in the order of its `spec.metrics`.
    pub wishes: Vec<Wish>,
    /// What cannot be read of it; the rest is not touched by that.
    pub problems: Vec<Problem>,
}

/// One external metric of one autoscaler.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// What its controller will ask for.
    pub key: MetricKey,
    /// The name in its original case.
    pub name: String,
    /// Where the query comes from.
    pub origin: Origin,
    /// What the annotations say instead of the defaults.
    pub overrides: Overrides,
    /// Whether the value is divided by the number of pods.
    pub average_value: bool,
}

/// Where the query of a wish comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The metric's name and selector.
    Selector,
    /// A `DatadogMetric`, or a name that cannot refer to one.
    DatadogMetric(Result<ObjectName, BadReference>),
}

/// A metric source of type External as it stands in the object.
#[derive(Debug, Clone, Copy)]
pub struct External<'a> {
    /// The metric's name.
    pub name: &'a str,
    /// Its selector.
    pub selector: Option<&'a LabelSelector>,
    /// Whether the target is per pod.
    pub average_value: bool,
}

/// Why one metric source of an autoscaler cannot be served; its other sources are not touched by it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    /// `type: External` without its block.
    #[error("metric source {position} is of type External but has no `external` block")]
    NoExternalBlock {
        /// Position in `spec.metrics`, from 0.
        position: usize,
    },
    /// Fields of another type than they should be.
    #[error("metric source {position} cannot be read: {error}")]
    Unreadable {
        /// Position in `spec.metrics`, from 0.
        position: usize,
        /// What serde says.
        error: String,
    },
    /// The selector cannot be read.
    #[error("metric {metric:?}: {source}")]
    Selector {
        /// The metric's name as written.
        metric: String,
        /// What is wrong with the selector.
        source: SelectorError,
    },
}

/// Reads an object of the kind with these external sources.
pub fn read<'a>(
    kind: Kind,
    metadata: &ObjectMeta,
    sources: impl Iterator<Item = Result<External<'a>, BadSource>>,
) -> Wishes {
    let none = BTreeMap::new();
    let (options, mut problems) = Options::read(metadata.annotations.as_ref().unwrap_or(&none));
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let mut wishes = Vec::new();
    let mut metrics = Vec::new();
    for source in sources {
        metrics.extend(source.as_ref().ok().map(|source| metric(source.name)));
        match source.and_then(|source| wish(namespace, source, &options)) {
            Ok(wish) => wishes.push(wish),
            Err(error) => {
                problems.push(Problem { reason: "BadMetricSource", note: error.to_string() });
            }
        }
    }
    problems.extend(options.without_effect(&metrics));
    Wishes { autoscaler: autoscaler(kind, metadata), wishes, problems }
}

fn autoscaler(kind: Kind, metadata: &ObjectMeta) -> Autoscaler {
    Autoscaler {
        kind,
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        created: metadata.creation_timestamp.as_ref().map(|time| time.0),
    }
}

fn wish(namespace: &str, source: External<'_>, options: &Options) -> Result<Wish, BadSource> {
    let External { name, selector, average_value } = source;
    let selector = selector
        .map_or_else(|| Ok(Selector::default()), Selector::try_from)
        .map_err(|source| BadSource::Selector { metric: name.to_owned(), source })?;
    let origin = match reference::parse(name) {
        Some(reference) => Origin::DatadogMetric(reference),
        None => Origin::Selector,
    };
    let key = MetricKey::new(namespace, name, selector);
    let overrides = options.overrides(metric(name));
    Ok(Wish { key, name: name.to_owned(), origin, overrides, average_value })
}

fn metric(name: &str) -> options::Metric<'_> {
    match reference::parse(name) {
        Some(_) => options::Metric::Reference,
        None => options::Metric::Named(name),
    }
}
