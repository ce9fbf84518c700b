//! What a query is evaluated over.

use crate::{
    expr::{evaluate::Window, scope::Scope},
    tags::Tags,
};

/// Where the points come from: submitted or scripted series.
pub trait Data {
    /// The sources of `metric` in `scope`, with their points in `window`.
    fn sources(&self, metric: &str, scope: &Scope, window: Window) -> Vec<Source>;
}

/// The points of one source: a series with its own set of tags.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Its tags, which the grouping looks at.
    pub tags: Tags,
    /// What its values are.
    pub kind: Kind,
    /// Time between two of its points as submitted, in seconds; `as_rate()` and `as_count()` need it.
    pub interval: Option<u32>,
    /// `(Unix seconds, value)` in any order. A distribution has as many points of one second as
    /// values were submitted for it; of the others only one.
    pub points: Vec<(i64, f64)>,
}

/// The type of a metric (docs, "Metric Types").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A value at a time; also what no type was given for.
    #[default]
    Gauge,
    /// A value per second.
    Rate,
    /// The number of events in the interval before the point.
    Count,
    /// All values of a time, of which percentiles can be asked for.
    Distribution,
}

impl Source {
    /// A gauge.
    pub fn gauge(tags: Tags, points: Vec<(i64, f64)>) -> Self {
        Self { tags, kind: Kind::Gauge, interval: None, points }
    }
}
