//! The provider itself, and its port for node agents.

use crate::explain::{
    Link, Step,
    cause::Cause,
    facts::{Deployment, Facts, Found, NodeAgent, Pod},
    steps::{about::About, broken, in_namespace, ok, unknown, why},
};

/// The provider's Deployment, where nothing else is known.
const NAME: &str = "datadog-cluster-agent";
const ENABLED: &str = "DD_EXTERNAL_METRICS_PROVIDER_ENABLED";

pub(super) fn provider(facts: &Facts) -> Step {
    let namespace = &facts.namespace;
    let name = facts.deployment.get().map_or(NAME, |it| it.name.as_str());
    let pods = facts.pods.get().map(Vec::as_slice);
    let ready = pods.map(|pods| pods.iter().filter(|pod| pod.ready).count());
    match pods {
        Some([]) => return no_pods(facts, name),
        Some(pods) if ready == Some(0) => return not_ready(facts, pods, name),
        _ => {}
    }
    if let Some(how) = off(facts) {
        return broken(
            Link::Provider,
            format!("it runs, and external metrics are off: {how}"),
            in_namespace(namespace, &format!("set env deployment/{name} {ENABLED}=true")),
        );
    }
    let runs = match (pods, ready) {
        (Some(pods), Some(ready)) => format!("{ready} of {} pods ready in {namespace}", pods.len()),
        _ => "it runs".to_owned(),
    };
    if let Some((_, words)) = About::all(facts)
        .iter()
        .find_map(|about| about.trouble.filter(|(cause, _)| *cause == Cause::NotRead))
    {
        let remedy = Cause::NotRead.remedy(None);
        return broken(Link::Provider, format!("{runs}; {words}"), remedy)
            .follows(&[Link::ProviderRights]);
    }
    let answers = facts.answers.iter().any(|answer| answer.get().is_some_and(|it| it.code == 200));
    if pods.is_none() && facts.view.get().is_none() && !answers {
        return unknown(Link::Provider, why(&facts.pods, "its pods are not known"));
    }
    ok(Link::Provider, format!("{runs}, serves external metrics"))
}

fn no_pods(facts: &Facts, name: &str) -> Step {
    let namespace = &facts.namespace;
    match &facts.deployment {
        Found::Is(Deployment { name, replicas: 0 }) => broken(
            Link::Provider,
            format!("it does not run: Deployment {namespace}/{name} is scaled to 0"),
            in_namespace(namespace, &format!("scale deployment/{name} --replicas=1")),
        ),
        Found::Is(_) => broken(
            Link::Provider,
            format!("it does not run: Deployment {namespace}/{name} has no pod"),
            in_namespace(namespace, &format!("describe deployment/{name}")),
        ),
        _ => broken(
            Link::Provider,
            format!("it does not run: namespace {namespace} has no pod app={name}"),
            "kubectl apply -f manifests/cluster-agent/cluster-agent.yaml",
        ),
    }
}

fn not_ready(facts: &Facts, pods: &[Pod], name: &str) -> Step {
    let states: Vec<_> = pods.iter().map(|pod| format!("{}: {}", pod.name, pod.state)).collect();
    broken(
        Link::Provider,
        format!("none of its pods is ready ({})", states.join(", ")),
        in_namespace(&facts.namespace, &format!("logs deployment/{name} --tail=20")),
    )
    .follows(&[Link::ProviderRights])
}

/// How external metrics are off, if they are.
fn off(facts: &Facts) -> Option<String> {
    if let Some(view) = facts.view.get() {
        let on = view.external_metrics.is_some();
        return (!on).then(|| format!("{ENABLED} is not true"));
    }
    let pods = facts.pods.get()?;
    pods.iter().find_map(|pod| match &pod.enabled {
        Found::Is(text) if is_true(text) => None,
        Found::Is(text) => Some(format!("{ENABLED} is {text:?} in pod {}", pod.name)),
        Found::Missing => Some(format!("{ENABLED} is not set in pod {}", pod.name)),
        Found::Unknown(_) => None,
    })
}

fn is_true(text: &str) -> bool {
    matches!(text.trim().to_lowercase().as_str(), "true" | "1" | "t" | "yes" | "y" | "on")
}

pub(super) fn port(facts: &Facts) -> Step {
    let namespace = &facts.namespace;
    match &facts.view {
        Found::Is(_) => ok(Link::Port, "answers, and takes the token"),
        Found::Unknown(why) if is_about_the_token(why) => broken(
            Link::Port,
            format!("{why}: node agents with this token get no tags of Services either"),
            format!(
                "compare DD_CLUSTER_AGENT_AUTH_TOKEN (32 characters or more): {}, and the same in the \
                 node agent's pod; both must refer to the same Secret",
                in_namespace(namespace, &format!("exec deployment/{NAME} -- env"))
            ),
        ),
        Found::Unknown(why) => unknown(Link::Port, why),
        Found::Missing => unknown(Link::Port, "was not asked"),
    }
}

fn is_about_the_token(why: &str) -> bool {
    ["refuses the token", "does not know the token"].iter().any(|words| why.contains(words))
}

/// A step where something is known of node agents.
pub(super) fn node_agents(facts: &Facts, metrics: &[About<'_>]) -> Option<Step> {
    let agents = facts.node_agents.get()?;
    if agents.is_empty() {
        return None;
    }
    let needed = metrics.iter().any(About::needs_service_tag);
    let ours = facts.pods.get().and_then(|pods| pods.first()).and_then(|pod| pod.token.as_deref());
    let bad = agents.iter().find_map(|agent| trouble(agent, ours, needed, facts));
    Some(bad.unwrap_or_else(|| {
        let names: Vec<_> = agents.iter().map(|agent| agent.name.as_str()).collect();
        let off = agents.iter().any(|agent| !is_enabled(agent));
        let end = if off {
            "DD_CLUSTER_AGENT_ENABLED is off: no tag kube_service, which this HPA does not use"
        } else {
            "use the cluster agent, by the same token"
        };
        ok(Link::NodeAgents, format!("DaemonSet {}: {end}", names.join(", ")))
    }))
}

fn is_enabled(agent: &NodeAgent) -> bool {
    match &agent.enabled {
        Found::Is(text) => is_true(text),
        Found::Missing => false,
        Found::Unknown(_) => true,
    }
}

fn trouble(agent: &NodeAgent, ours: Option<&str>, needed: bool, facts: &Facts) -> Option<Step> {
    let NodeAgent { name, token, .. } = agent;
    let namespace = &facts.namespace;
    if !is_enabled(agent) {
        return needed.then(|| {
            broken(
                Link::NodeAgents,
                format!("DD_CLUSTER_AGENT_ENABLED is not true in DaemonSet {name}, so that its metrics have no tag kube_service"),
                in_namespace(namespace, &format!("set env daemonset/{name} DD_CLUSTER_AGENT_ENABLED=true")),
            )
        });
    }
    let (theirs, ours) = (token.as_deref()?, ours?);
    (theirs != ours).then(|| {
        broken(
            Link::NodeAgents,
            format!("the tokens differ: DaemonSet {name} has {theirs}, the cluster agent {ours}; the service map does not reach the node agents"),
            format!(
                "let DD_CLUSTER_AGENT_AUTH_TOKEN of both refer to the same Secret, then {}",
                in_namespace(namespace, &format!("exec deployment/{NAME} -- datadog-cluster-agent metamap"))
            ),
        )
    })
}
