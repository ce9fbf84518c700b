//! The configuration of a kind cluster: the file in the repository and what a run adds.

use std::{fs, path::Path};

use anyhow::Context;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cluster::Timings;

/// The versions of kubeadm's configuration: kind writes v1beta3 for Kubernetes up to 1.35 and v1beta4
/// from 1.36 on, and applies a patch to the one whose `apiVersion` it has. In v1beta3 `extraArgs` is a
/// map, in v1beta4 a list (k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm).
const V1BETA3: &str = "kubeadm.k8s.io/v1beta3";
const V1BETA4: &str = "kubeadm.k8s.io/v1beta4";

/// The configuration for kind, as JSON, which is YAML.
pub(super) fn config(file: &Path, timings: Timings) -> anyhow::Result<String> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut config: Value =
        serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
    let arguments = controller_manager(timings);
    let map: serde_json::Map<String, Value> =
        arguments.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let list: Vec<Value> =
        arguments.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let patches = [(V1BETA3, Value::Object(map)), (V1BETA4, Value::Array(list))].map(
        |(version, arguments)| {
            let patch = json!({
                "apiVersion": version,
                "kind": "ClusterConfiguration",
                "controllerManager": {"extraArgs": arguments},
            });
            Value::String(patch.to_string())
        },
    );
    let all = config
        .as_object_mut()
        .with_context(|| format!("{} is no map", file.display()))?
        .entry("kubeadmConfigPatches")
        .or_insert_with(|| json!([]));
    let all = all.as_array_mut().context("kubeadmConfigPatches is no list")?;
    all.extend(patches);
    Ok(format!("{config:#}\n"))
}

/// A name for what a cluster is like.
pub(super) fn fingerprint(config: &str, node_image: &str) -> String {
    let digest = Sha256::new().chain_update(config).chain_update(node_image).finalize();
    let [one, two, three, four, ..] = digest.0;
    format!("{one:02x}{two:02x}{three:02x}{four:02x}")
}

/// Flags of kube-controller-manager: the HPA controller's clocks where they are not the defaults, and
/// that the harness may read its metrics, through kube-apiserver.
fn controller_manager(timings: Timings) -> Vec<(&'static str, String)> {
    let mut arguments = vec![
        ("bind-address", "0.0.0.0".to_owned()),
        ("authorization-always-allow-paths", "/healthz,/readyz,/livez,/metrics".to_owned()),
    ];
    if timings != Timings::REAL {
        let duration = |duration| humantime::format_duration(duration).to_string();
        arguments.extend([
            ("horizontal-pod-autoscaler-sync-period", duration(timings.hpa_sync)),
            (
                "horizontal-pod-autoscaler-downscale-stabilization",
                duration(timings.downscale_window),
            ),
        ]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/kind.yaml")
    }

    #[test]
    fn a_run_adds_its_clocks_in_both_forms() {
        insta::assert_snapshot!(config(&file(), Timings::FAST_PODS).unwrap());
    }

    #[test]
    fn real_time_leaves_the_clocks_alone() {
        let text = config(&file(), Timings::REAL).unwrap();
        assert!(!text.contains("horizontal"), "{text}");
    }

    #[test]
    fn another_image_or_other_clocks_make_another_cluster() {
        let fast = config(&file(), Timings::FAST_PODS).unwrap();
        let real = config(&file(), Timings::REAL).unwrap();
        assert_eq!(fingerprint(&fast, "a").len(), 8);
        assert_ne!(fingerprint(&fast, "a"), fingerprint(&real, "a"));
        assert_ne!(fingerprint(&fast, "a"), fingerprint(&fast, "b"));
    }
}
