//! The steps, one after the other; pure. Each module looks at some links.

use crate::explain::{
    Link, Mark, Step,
    facts::{Facts, Found},
    steps::about::About,
};

mod about;
mod controller;
mod datadog;
mod hpa;
mod provider;
mod registration;
mod rights;

/// All links between the HPA and the provider: what breaks one of them breaks the API's answer.
const WAY: [Link; 7] = [
    Link::Provider,
    Link::Aggregation,
    Link::ApiService,
    Link::Service,
    Link::Endpoints,
    Link::ProviderRights,
    Link::Hpa,
];

/// All steps in the order of the chain.
pub(super) fn all(facts: &Facts) -> Vec<Step> {
    let metrics = About::all(facts);
    let several = metrics.len() > 1;
    let mut steps = vec![hpa::hpa(facts, &metrics)];
    let of_metrics = |steps: &mut Vec<Step>, step: fn(&Facts, &About<'_>) -> Step| {
        for (position, about) in metrics.iter().enumerate() {
            let metric = several.then_some(position + 1);
            steps.push(Step { metric, ..step(facts, about) });
        }
    };
    of_metrics(&mut steps, hpa::metric);
    steps.push(provider::provider(facts));
    for step in [datadog::query, datadog::calls, datadog::sample, datadog::answer] {
        of_metrics(&mut steps, step);
    }
    steps.extend([
        registration::aggregation(facts),
        registration::api_service(facts),
        registration::service(facts),
        registration::endpoints(facts),
        rights::controller(facts),
        rights::provider(facts),
        provider::port(facts),
    ]);
    steps.extend(provider::node_agents(facts, &metrics));
    steps.push(controller::conditions(facts));
    steps.push(controller::replicas(facts, &metrics));
    steps
}

fn step(link: Link, mark: Mark, finding: impl Into<String>) -> Step {
    Step {
        link,
        metric: None,
        mark,
        finding: one_line(&finding.into()),
        remedy: None,
        because_of: None,
        follows: Vec::new(),
    }
}

fn ok(link: Link, finding: impl Into<String>) -> Step {
    step(link, Mark::Ok, finding)
}

fn unknown(link: Link, why: impl Into<String>) -> Step {
    step(link, Mark::Unknown, why)
}

fn broken(link: Link, finding: impl Into<String>, remedy: impl Into<String>) -> Step {
    Step { remedy: Some(remedy.into()), ..step(link, Mark::Broken, finding) }
}

impl Step {
    fn follows(mut self, links: &[Link]) -> Self {
        self.follows.extend_from_slice(links);
        self
    }

    fn advice(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

/// Messages of others may have several lines, and characters that a terminal obeys.
fn one_line(text: &str) -> String {
    let clean = text.replace(|c: char| c.is_control(), " ");
    clean.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// `what` of namespace `namespace` in the words of kubectl.
fn in_namespace(namespace: &str, command: &str) -> String {
    format!("kubectl -n {namespace} {command}")
}

/// Why `found` says nothing.
fn why<T>(found: &Found<T>, otherwise: &str) -> String {
    found.unknown().unwrap_or(otherwise).to_owned()
}
