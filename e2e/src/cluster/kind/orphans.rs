//! Clusters that nobody owns any more: the runner was killed, and its guard with it.

use std::{path::Path, time::Duration};

use crate::{
    cluster::kind::{REUSED_PREFIX, tool::Runtime},
    guard::{RUN_FOLDER_PREFIX, State},
    process::identity::Identity,
};

/// kind's label on its nodes; its value is the cluster's name
/// (<https://github.com/kubernetes-sigs/kind>, `pkg/cluster/internal/providers/docker/constants.go`).
pub(crate) const LABEL: &str = "io.x-k8s.kind.cluster";
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// What a cluster's name says about its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// A run, by its process.
    Run(Identity),
    /// Nobody in particular: it is there to be used again.
    Reused,
}

/// Removes the clusters of runs that are gone and were not kept; gives their names. Asks only the
/// container runtime, so it works without kind.
pub async fn sweep(runtime: &Runtime, kept: &[State]) -> Result<Vec<String>, String> {
    let orphan = |name: &str| match owner(name) {
        Some(Owner::Run(runner)) => !runner.is_alive() && !is_kept(name, kept),
        _ => false,
    };
    remove(runtime, orphan).await
}

/// Removes the clusters that `--reuse` has left; gives their names.
pub async fn remove_reused(runtime: &Runtime) -> Result<Vec<String>, String> {
    remove(runtime, |name| owner(name) == Some(Owner::Reused)).await
}

async fn remove(runtime: &Runtime, chosen: impl Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let (mut names, mut containers) = (Vec::new(), Vec::new());
    for (cluster, container) in nodes(runtime).await? {
        if chosen(&cluster) {
            names.push(cluster);
            containers.push(container);
        }
    }
    if !containers.is_empty() {
        let arguments = ["rm", "--force", "--volumes"].map(str::to_owned);
        runtime.run(arguments.into_iter().chain(containers), ANSWERS_WITHIN).await?;
    }
    names.dedup();
    Ok(names)
}

/// Cluster and container of every node, in order of the clusters' names.
async fn nodes(runtime: &Runtime) -> Result<Vec<(String, String)>, String> {
    let label = format!("label={LABEL}");
    let format = format!("{{{{.Label \"{LABEL}\"}}}} {{{{.Names}}}}");
    let arguments = ["ps", "--all", "--filter", &label, "--format", &format];
    let listed = runtime.run(arguments, ANSWERS_WITHIN).await?;
    let mut nodes: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(cluster, container)| (cluster.to_owned(), container.trim().to_owned()))
        .collect();
    nodes.sort();
    Ok(nodes)
}

fn owner(cluster: &str) -> Option<Owner> {
    if cluster.starts_with(REUSED_PREFIX) {
        return Some(Owner::Reused);
    }
    let (runner, _number) = cluster.strip_prefix(RUN_FOLDER_PREFIX)?.rsplit_once('-')?;
    runner.parse().ok().map(Owner::Run)
}

fn is_kept(cluster: &str, kept: &[State]) -> bool {
    kept.iter().flat_map(|state| &state.commands).any(|command| {
        command.arguments.iter().any(|argument| Path::new(argument) == Path::new(cluster))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_ours_names_its_owner() {
        let us = Identity::of_child(std::process::id()).unwrap();
        assert_eq!(owner(&format!("dca-e2e-{us}-0")), Some(Owner::Run(us)));
        assert_eq!(owner("dca-e2e-reuse-0123abcd"), Some(Owner::Reused));
        for name in ["kind", "dca-e2e-", "dca-e2e-walk", "dca-e2e-1-2", "my-dca-e2e-1-2-3"] {
            assert_eq!(owner(name), None, "{name}");
        }
    }
}
