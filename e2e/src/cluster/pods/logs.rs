//! What pods say when something is wrong with them.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::cluster::{
    diagnose,
    pods::{PodsCluster, trouble},
};

impl PodsCluster {
    /// The first pod of ours that will not get better by waiting, and its last words.
    pub(super) async fn first_trouble(&self) -> Option<String> {
        for namespace in self.plan.namespaces() {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            // A failed read is no trouble of a pod.
            let Ok(found) = pods.list(&ListParams::default()).await else { continue };
            let stuck = found.items.iter().find_map(|pod| Some((pod, trouble::trouble(pod)?)));
            if let Some((pod, trouble)) = stuck {
                return Some(format!("{trouble}{}", last_words(&pods, &pod.name_any()).await));
            }
        }
        None
    }

    /// The log of every container of ours, and of the one before it.
    pub(super) async fn write_logs(&self, folder: &Path) -> anyhow::Result<()> {
        for namespace in self.plan.namespaces() {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            for pod in pods.list(&ListParams::default()).await?.items {
                let name = pod.name_any();
                for previous in [false, true] {
                    let params = LogParams { previous, ..LogParams::default() };
                    let Ok(log) = pods.logs(&name, &params).await else { continue };
                    let file = format!("{name}{}.log", if previous { ".previous" } else { "" });
                    diagnose::write_file(folder, &file, log.as_bytes()).await?;
                }
            }
        }
        Ok(())
    }
}

/// The last line that a container logged before it was started again, or before it ended, as the end
/// of a sentence.
async fn last_words(pods: &Api<Pod>, name: &str) -> String {
    for previous in [true, false] {
        let params = LogParams { previous, tail_lines: Some(1), ..LogParams::default() };
        if let Ok(line) = pods.logs(name, &params).await
            && !line.trim().is_empty()
        {
            return format!("; its last words: {}", line.trim());
        }
    }
    String::new()
}
