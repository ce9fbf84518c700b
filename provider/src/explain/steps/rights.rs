//! Who may do what, by review.

use crate::explain::{
    Link, Step,
    facts::{Facts, Found, Right, Whose},
    steps::{broken, ok, unknown},
};

pub(super) fn controller(facts: &Facts) -> Step {
    review(
        facts,
        Whose::Controller,
        Link::ControllerRights,
        "kubectl apply -f manifests/hpa-example/rbac-hpa.yaml",
    )
}

pub(super) fn provider(facts: &Facts) -> Step {
    review(
        facts,
        Whose::Provider,
        Link::ProviderRights,
        "kubectl apply -f manifests/cluster-agent/rbac-cluster-agent.yaml -f manifests/hpa-example/rbac-hpa.yaml",
    )
}

fn review(facts: &Facts, whose: Whose, link: Link, remedy: &str) -> Step {
    let rights: Vec<_> = facts.rights.iter().filter(|right| right.whose == whose).collect();
    let texts = |rights: &[&Right]| {
        let texts: Vec<_> = rights.iter().map(|right| right.what.as_str()).collect();
        texts.join(", ")
    };
    let denied: Vec<_> =
        rights.iter().copied().filter(|right| right.allowed == Found::Missing).collect();
    if let Some(first) = denied.first() {
        return broken(link, format!("{} may not {}", first.user, texts(&denied)), remedy);
    }
    match rights.iter().find_map(|right| right.allowed.unknown()) {
        Some(why) => unknown(link, why),
        None => match rights.first() {
            Some(first) => ok(link, format!("{} may {}", first.user, texts(&rights))),
            None => unknown(link, "were not asked for"),
        },
    }
}
