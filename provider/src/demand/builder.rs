//! Puts the wishes of many autoscalers together, and says where two of them disagree; pure.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use crate::{
    demand::{
        Autoscaler, Demand, MetricKey, Problem, Source, Wanted,
        options::{self, PREFIX},
    },
    query::{Aggregator, Overrides},
};

/// Puts single wishes together.
#[derive(Debug, Default)]
pub struct Builder {
    claims: BTreeMap<MetricKey, Vec<Claim>>,
    always: BTreeMap<MetricKey, (String, Source)>,
    aggregator: Aggregator,
}

/// What one autoscaler says about one metric.
#[derive(Debug)]
pub struct Claim {
    /// The metric's name as written.
    pub name: String,
    /// Where the query comes from.
    pub source: Source,
    /// What it says instead of the defaults.
    pub overrides: Overrides,
    /// Whether the value is divided by the number of pods.
    pub average_value: bool,
    /// Who says it.
    pub by: Autoscaler,
}

impl Builder {
    /// A builder that knows the aggregator which holds where nothing is said.
    pub fn new(aggregator: Aggregator) -> Self {
        Self { aggregator, ..Self::default() }
    }

    /// Adds one wish. Where the same key was wished for already, the older autoscaler's spelling of
    /// the name and its overrides hold.
    pub fn add(
        &mut self,
        key: MetricKey,
        name: String,
        source: Source,
        overrides: Overrides,
        autoscaler: Autoscaler,
    ) {
        let claim = Claim { name, source, overrides, average_value: false, by: autoscaler };
        self.claim(key, claim);
    }

    /// Adds one wish with all that is known about it.
    pub fn claim(&mut self, key: MetricKey, claim: Claim) {
        // Mostly the only one; `push` alone would make room for four.
        self.claims.entry(key).or_insert_with(|| Vec::with_capacity(1)).push(claim);
    }

    /// Adds a metric that is wanted although no autoscaler wants it.
    pub fn always(&mut self, key: MetricKey, name: String, source: Source) {
        self.always.insert(key, (name, source));
    }

    /// The whole.
    pub fn build(self) -> Demand {
        let mut problems = Vec::new();
        let mut metrics = BTreeMap::new();
        for (key, (name, source)) in self.always {
            let overrides = Overrides::default();
            metrics.insert(key, Arc::new(Wanted { name, by: Vec::new(), overrides, source }));
        }
        for (key, mut claims) in self.claims {
            claims.sort_by(|one, other| one.by.age_order(&other.by));
            average_of_averages(self.aggregator, &claims, &mut problems);
            claims.dedup_by(|one, other| one.by.age_order(&other.by).is_eq());
            conflicts(&claims, &mut problems);
            if let Some(wanted) = wanted(claims) {
                metrics.insert(key, Arc::new(wanted));
            }
        }
        Demand { problems, ..Demand::new(metrics) }
    }
}

/// The oldest decides.
fn wanted(claims: Vec<Claim>) -> Option<Wanted> {
    let mut claims = claims.into_iter();
    let Claim { name, source, overrides, by, .. } = claims.next()?;
    let mut by: Vec<_> = std::iter::once(by).chain(claims.map(|claim| claim.by)).collect();
    by.shrink_to_fit();
    Some(Wanted { name, by, overrides, source })
}

/// The HPA controller divides a value by the number of pods where the target is an average; an
/// average over the pods' series has been divided by it already, so that the replicas come to rest
/// at the square root of what is needed. Not said to whom chose `avg` by annotation.
fn average_of_averages(
    default: Aggregator,
    claims: &[Claim],
    problems: &mut Vec<(Autoscaler, Problem)>,
) {
    let Some(oldest) = claims.first() else { return };
    if default != Aggregator::Avg
        || oldest.overrides.aggregator.is_some()
        || oldest.source != Source::Selector
    {
        return;
    }
    for claim in claims.iter().filter(|claim| claim.average_value) {
        let note = format!(
            "metric {}: the query is an average over the series and the target an AverageValue, so \
             that what each pod reports is divided by the number of pods twice; set the annotation \
             {PREFIX}aggregator to sum (or to avg, if that is meant), or \
             DD_EXTERNAL_METRICS_AGGREGATOR=sum for all",
            claim.name
        );
        problems.push((claim.by.clone(), Problem { reason: "AverageOfAverages", note }));
    }
}

/// Tells the owners of both sides which option of whom holds.
fn conflicts(claims: &[Claim], problems: &mut Vec<(Autoscaler, Problem)>) {
    let Some((oldest, others)) = claims.split_first() else { return };
    if others.iter().all(|other| other.overrides == oldest.overrides) {
        return;
    }
    for (option, read) in options::TEXTS {
        let held = read(&oldest.overrides);
        let differing = || others.iter().filter(|other| read(&other.overrides) != held);
        let Some(first) = differing().next() else { continue };
        for other in differing() {
            let note = disagreement(option, other, oldest, "older", read, 0);
            problems.push((other.by.clone(), note));
        }
        let note = disagreement(option, oldest, first, "younger", read, differing().count() - 1);
        problems.push((oldest.by.clone(), note));
    }
}

fn disagreement(
    option: &str,
    here: &Claim,
    there: &Claim,
    age: &str,
    read: fn(&Overrides) -> Option<String>,
    more: usize,
) -> Problem {
    let (mine, theirs) = (read(&here.overrides), read(&there.overrides));
    let mut note = format!(
        "option {option} of metric {} is {} here and {} in {}, which is {age}: the older one holds, \
         write the same in both",
        here.name,
        mine.as_deref().unwrap_or("not set"),
        theirs.as_deref().unwrap_or("not set"),
        there.by,
    );
    if more > 0 {
        // Writing to a String cannot fail.
        _ = write!(note, " (and in {more} more)");
    }
    Problem { reason: "ConflictingOptions", note }
}

#[cfg(test)]
mod tests;
