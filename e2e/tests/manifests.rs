//! The manifests that users apply: where the walkthrough says, as kustomize reads them, accepted by
//! a real kube-apiserver, and with no more rights than the design gives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use e2e::deploy::{Deployer, Manifests, Object};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::ServiceAccount,
        rbac::v1::{ClusterRole, PolicyRule, Role},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::api::{DeleteParams, Patch, PatchParams};
use support::{programs, run};

#[path = "support/control_plane.rs"]
mod support;

/// Every path of the walkthrough, its `manifest/` read as the typo that it is.
const WALKTHROUGH: [&str; 7] = [
    "manifests/cluster-agent/rbac-cluster-agent.yaml",
    "manifests/cluster-agent/cluster-agent.yaml",
    "manifests/cluster-agent/datadog-cluster-agent_service.yaml",
    "manifests/cluster-agent/hpa-example/cluster-agent-hpa-svc.yaml",
    "manifests/hpa-example/rbac-hpa.yaml",
    "manifests/cluster-agent/hpa-example/nginx.yaml",
    "manifests/cluster-agent/hpa-example/hpa-manifest.yaml",
];
const KUSTOMIZATIONS: [&str; 5] = [
    "manifests/cluster-agent",
    "hpa-example",
    "manifests/overlays/fast",
    "manifests/overlays/local",
    "manifests/overlays/own-ca",
];
/// What the harness puts beside them where pods have a network.
const HARNESS: [&str; 4] = [
    "e2e/manifests/fake-datadog.yaml",
    "e2e/manifests/node-agent.yaml",
    "e2e/manifests/node-agent-daemonset.yaml",
    "e2e/manifests/load.yaml",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn load(path: &str) -> Manifests {
    Manifests::load(&root().join(path)).unwrap()
}

#[test]
fn the_walkthroughs_files_hold_the_objects_that_it_names() {
    let mut ids = Vec::new();
    for path in WALKTHROUGH {
        ids.extend(load(path).iter().map(|object| format!("{path}: {}", object.id())));
    }
    insta::assert_snapshot!(ids.join("\n"));
}

#[test]
fn rights_are_those_of_the_design() {
    let manifests = load("manifests/cluster-agent/rbac-cluster-agent.yaml");
    let cluster: ClusterRole = manifests.get("ClusterRole", "dca").unwrap().parse().unwrap();
    let own: Role = manifests.get("Role", "dca").unwrap().parse().unwrap();
    let rules = |title: &str, rules: Option<Vec<PolicyRule>>| {
        let lines: Vec<_> = rules.unwrap().iter().map(describe).collect();
        format!("{title}\n{}", lines.join("\n"))
    };
    insta::assert_snapshot!(
        [rules("ClusterRole dca", cluster.rules), rules("Role dca", own.rules)].join("\n")
    );
    let manifests = load("manifests/overlays/own-ca/rbac-own-ca.yaml");
    let cluster: ClusterRole = manifests.get("ClusterRole", "dca-own-ca").unwrap().parse().unwrap();
    let own: Role = manifests.get("Role", "dca-own-ca").unwrap().parse().unwrap();
    let own_ca = [rules("ClusterRole", cluster.rules), rules("Role", own.rules)].join("\n");
    insta::assert_snapshot!(own_ca, @r#"
    ClusterRole
      get,list,watch,patch apiservices of group "apiregistration.k8s.io" named "v1beta1.external.metrics.k8s.io"
    Role
      get,list,watch,update secrets of group "" named "datadog-cluster-agent-tls"
    "#);
}

fn describe(rule: &PolicyRule) -> String {
    let join = |list: &Option<Vec<String>>| list.as_deref().unwrap_or_default().join(",");
    format!(
        "  {} {} of group {:?} named {:?}",
        rule.verbs.join(","),
        join(&rule.resources),
        join(&rule.api_groups),
        join(&rule.resource_names)
    )
}

/// What a user applies with `kubectl apply -k` is what the harness applies.
#[test]
fn kustomizations_mean_to_us_what_they_mean_to_kubectl() {
    let Some(kubectl) = kubectl() else {
        eprintln!("skipped: there is no kubectl in E2E_ASSETS or on the PATH");
        return;
    };
    for path in KUSTOMIZATIONS {
        let built =
            Command::new(&kubectl).arg("kustomize").arg(root().join(path)).output().unwrap();
        assert!(built.status.success(), "{path}: {}", String::from_utf8_lossy(&built.stderr));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("built.yaml");
        std::fs::write(&file, &built.stdout).unwrap();
        assert_eq!(by_id(&load(path)), by_id(&Manifests::load(&file).unwrap()), "{path}");
    }
}

fn kubectl() -> Option<PathBuf> {
    let assets = std::env::var_os("E2E_ASSETS").map(|assets| PathBuf::from(assets).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = assets.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("kubectl")).find(|file| file.is_file())
}

fn by_id(manifests: &Manifests) -> BTreeMap<String, serde_json::Value> {
    manifests.iter().map(|object| (object.id(), object.value().clone())).collect()
}

#[tokio::test]
async fn a_real_apiserver_accepts_every_manifest_and_names_what_it_refuses() {
    let Some(programs) = programs() else { return };
    let run = run().await;
    let cluster = run.start(&programs).await.unwrap();
    let deployer = Deployer::new(cluster.client().clone());
    for path in WALKTHROUGH.iter().chain(&KUSTOMIZATIONS).chain(&HARNESS) {
        let mut manifests = load(path);
        // The fake's own namespace would not be there: a dry run makes none.
        manifests.move_to_namespace("default").unwrap();
        assert!(0 < manifests.iter().count(), "{path} is empty");
        // A dry run stores nothing: what one file gives, another cannot refer to. None does.
        deployer.dry_run(manifests.iter()).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    refusals_are_named(&deployer).await;
    what_is_applied_can_be_deleted(&deployer, cluster.client()).await;
    a_bundle_comes_and_goes_with_the_files(&deployer, cluster.client()).await;
    cluster.stop().await.unwrap();
    run.guard.finish().await.unwrap();
}

async fn refusals_are_named(deployer: &Deployer) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    let refused = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        let manifests = Manifests::load(&file).unwrap();
        let objects: Vec<&Object> = manifests.iter().collect();
        deployer.dry_run(objects).await.unwrap_err().to_string()
    };
    let error =
        refused("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {prots: []}\n").await;
    for part in ["bad.yaml:1", "Service s", "prots"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    let error =
        refused("apiVersion: example.com/v1\nkind: Nothing\nmetadata: {name: nothing}\n").await;
    assert!(error.contains("does not serve Nothing of example.com/v1"), "{error}");
}

/// Also a second time each, as a harness that was interrupted does.
async fn what_is_applied_can_be_deleted(deployer: &Deployer, client: &kube::Client) {
    let manifests = load("e2e/manifests/node-agent.yaml");
    let accounts = kube::Api::<ServiceAccount>::namespaced(client.clone(), "default");
    for _ in 0..2 {
        deployer.apply(&manifests).await.unwrap();
        assert!(accounts.get_opt("datadog-agent").await.unwrap().is_some());
    }
    for _ in 0..2 {
        deployer.delete(&manifests).await.unwrap();
        assert!(accounts.get_opt("datadog-agent").await.unwrap().is_none());
    }
}

/// The API refuses a bundle beside `insecureSkipTLSVerify`, and the bundle is the provider's: each
/// file must still be applicable over whatever the other has led to.
async fn a_bundle_comes_and_goes_with_the_files(deployer: &Deployer, client: &kube::Client) {
    let name = "v1beta1.external.metrics.k8s.io";
    let services = kube::Api::<APIService>::all(client.clone());
    let walkthrough = load("hpa-example/rbac-hpa.yaml");
    let own_ca = load("manifests/overlays/own-ca");
    let apply = async |manifests: &Manifests| {
        deployer.apply([manifests.get("APIService", name).unwrap()]).await.unwrap();
        let spec = services.get(name).await.unwrap().spec.unwrap();
        let bundle = spec.ca_bundle.is_some_and(|bundle| !bundle.0.is_empty());
        (spec.insecure_skip_tls_verify == Some(true), bundle)
    };
    let made = rcgen::generate_simple_self_signed(vec!["ca".to_owned()]).unwrap();
    let bundle = ByteString(made.cert.pem().into_bytes());
    for _ in 0..2 {
        assert_eq!(apply(&walkthrough).await, (true, false));
        assert_eq!(apply(&own_ca).await, (false, false));
        let patch = serde_json::json!({"apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService", "metadata": {"name": name}, "spec": {"caBundle": bundle}});
        let manager = PatchParams::apply("datadog-cluster-agent-ca").force();
        services.patch(name, &manager, &Patch::Apply(patch)).await.unwrap();
        assert_eq!(apply(&own_ca).await, (false, true), "applied again, it takes nothing away");
    }
    assert_eq!(apply(&walkthrough).await, (true, false));
    services.delete(name, &DeleteParams::default()).await.unwrap();
}
