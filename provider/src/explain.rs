//! Why an HPA does or does not scale: the chain from the HPA to Datadog and back, link by link.
//!
//! ```text
//! gather ─▶ Facts ─▶ steps ─▶ Explanation ─▶ text, JSON
//!  (I/O)    (data)   (pure)    (the broken link)
//! ```
//!
//! [`explain`] is pure. The first link that is broken by itself is the cause; what is broken only
//! because of another link says so, and nothing else.

use serde::Serialize;

pub mod cause;
pub mod facts;
pub mod gather;
pub mod replicas;
mod steps;
mod text;
pub mod view;

use crate::explain::facts::Facts;
pub use crate::explain::text::text;

/// A link of the chain, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The HPA itself.
    Hpa,
    /// The metric that it names, and its selector.
    Metric,
    /// Whether the provider runs and serves external metrics.
    Provider,
    /// The query that the metric becomes.
    Query,
    /// What Datadog answers.
    Calls,
    /// The value, and how old it is.
    Sample,
    /// What the API answers by way of kube-apiserver.
    Answer,
    /// Whether kube-apiserver forwards requests at all.
    Aggregation,
    /// The registration.
    ApiService,
    /// The Service that is registered.
    Service,
    /// What the Service leads to.
    Endpoints,
    /// Whether the HPA controller may read the metric.
    ControllerRights,
    /// Whether the provider may know who asks, and read the HPAs.
    ProviderRights,
    /// The provider's port for node agents and commands.
    Port,
    /// The node agents' side of that port.
    NodeAgents,
    /// What the HPA controller says.
    Conditions,
    /// What it computes.
    Replicas,
}

impl Link {
    /// The word for it in texts.
    pub fn title(self) -> &'static str {
        match self {
            Self::Hpa => "HPA",
            Self::Metric => "Metric",
            Self::Provider => "Provider",
            Self::Query => "Query",
            Self::Calls => "Calls to Datadog",
            Self::Sample => "Sample",
            Self::Answer => "API answer",
            Self::Aggregation => "Aggregation layer",
            Self::ApiService => "APIService",
            Self::Service => "Service",
            Self::Endpoints => "Endpoints",
            Self::ControllerRights => "HPA controller's rights",
            Self::ProviderRights => "Provider's rights",
            Self::Port => "Port 5005",
            Self::NodeAgents => "Node agents",
            Self::Conditions => "HPA conditions",
            Self::Replicas => "Replicas",
        }
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// It holds.
    Ok,
    /// It is broken by itself.
    Broken,
    /// It is broken because another link is.
    Follows,
    /// It cannot be known.
    Unknown,
}

/// One link and what was found about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which link.
    pub link: Link,
    /// Of which external metric of the HPA, from 1, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<usize>,
    /// How it is.
    pub mark: Mark,
    /// What was found, one line.
    pub finding: String,
    /// What to do about it, one line; a command where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The position in [`Explanation::steps`] of the link that it is broken by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because_of: Option<usize>,
    /// The links that would break this one.
    #[serde(skip)]
    follows: Vec<Link>,
}

/// The whole chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `namespace/name`.
    pub hpa: String,
    /// Whether no link is broken.
    pub works: bool,
    /// The position in `steps` of the broken link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<usize>,
    /// The links.
    pub steps: Vec<Step>,
}

impl Explanation {
    /// The exit code of the command: 0 where nothing is broken, else 1.
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.works)
    }
}

/// What `facts` say.
pub fn explain(facts: &Facts) -> Explanation {
    let mut steps = steps::all(facts);
    let broken: Vec<_> = steps.iter().map(|step| step.mark == Mark::Broken).collect();
    let causes: Vec<Vec<usize>> = steps.iter().map(|step| causes(step, &steps, &broken)).collect();
    for (step, causes) in steps.iter_mut().zip(&causes) {
        if step.mark == Mark::Broken && !causes.is_empty() {
            step.mark = Mark::Follows;
            step.remedy = None;
        }
    }
    for (position, causes) in causes.iter().enumerate() {
        // A link that is broken by itself is a better cause than one that only follows.
        let is_first = |cause: &&usize| steps[**cause].mark == Mark::Broken;
        let cause = causes.iter().find(is_first).or(causes.first()).copied();
        if broken[position] {
            steps[position].because_of = cause;
        }
    }
    let first = steps.iter().position(|step| step.mark == Mark::Broken);
    debug_assert_eq!(first.is_some(), broken.contains(&true), "no circle of links");
    let metadata = &facts.hpa.metadata;
    let (namespace, name) = (metadata.namespace.as_deref(), metadata.name.as_deref());
    Explanation {
        hpa: format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()),
        works: first.is_none(),
        broken: first,
        steps,
    }
}

/// The positions of what breaks `step`.
fn causes(step: &Step, steps: &[Step], broken: &[bool]) -> Vec<usize> {
    let same = |other: &Step| match (step.metric, other.metric) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let candidates = steps.iter().enumerate().filter(|(position, _)| broken[*position]);
    let causes = candidates.filter(|(_, other)| step.follows.contains(&other.link) && same(other));
    causes.map(|(position, _)| position).collect()
}

#[cfg(test)]
mod tests;
