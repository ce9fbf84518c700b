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
};

use e2e::deploy::{Deployer, Manifests, Object};
use k8s_openapi::{
    ByteString,
    api::{
        core::v1::{Pod, ServiceAccount},
        rbac::v1::{ClusterRole, PolicyRule, Role},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use support::{
    control_plane::{programs, run},
    kubectl::{kubectl, kustomize},
};

mod support {
    pub(crate) mod control_plane;
    pub(crate) mod kubectl;
}

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
const KUSTOMIZATIONS: [&str; 8] = [
    "manifests/cluster-agent",
    "hpa-example",
    "manifests/overlays/fast",
    "manifests/overlays/ha",
    "manifests/overlays/kind",
    "manifests/overlays/local",
    "manifests/overlays/own-ca",
    "manifests/overlays/production",
];
/// Has kinds of its own, which only a cluster with cert-manager serves.
const CERT_MANAGER: &str = "manifests/overlays/cert-manager";
/// Uses more of kustomize than the harness can.
const NAMESPACE: &str = "manifests/overlays/namespace";
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
    let Some(kubectl) = kubectl() else { return };
    for path in KUSTOMIZATIONS.iter().chain([&CERT_MANAGER]) {
        let built = kustomize(&kubectl, &root().join(path));
        assert_eq!(by_id(&load(path)), by_id(&built), "{path}");
    }
}

fn by_id(manifests: &Manifests) -> BTreeMap<String, Value> {
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
    let cert_manager = load(CERT_MANAGER);
    let (known, unknown): (Vec<_>, Vec<_>) = cert_manager
        .iter()
        .partition(|object| !object.api_version().starts_with("cert-manager.io/"));
    eprintln!("not tried without cert-manager: {}", unknown.len());
    deployer.dry_run(known).await.unwrap();
    every_pod_is_let_into_a_restricted_namespace(&deployer, cluster.client()).await;
    refusals_are_named(&deployer).await;
    what_is_applied_can_be_deleted(&deployer, cluster.client()).await;
    a_bundle_comes_and_goes_with_the_files(&deployer, cluster.client()).await;
    cluster.stop().await.unwrap();
    run.guard.finish().await.unwrap();
}

/// A Deployment is let in whatever its pods are like: the standard is held against the pods.
async fn every_pod_is_let_into_a_restricted_namespace(deployer: &Deployer, client: &kube::Client) {
    let Some(kubectl) = kubectl() else { return };
    let own = kustomize(&kubectl, &root().join(NAMESPACE));
    // A pod is asked for its namespace, its account and its class.
    let production = load("manifests/overlays/production");
    let class = production.get("PriorityClass", "datadog-cluster-agent").unwrap();
    let needed =
        [own.get("Namespace", "datadog").unwrap(), own.get("ServiceAccount", "dca").unwrap()];
    deployer.apply(needed.into_iter().chain([class])).await.unwrap();
    deployer.dry_run(&own).await.unwrap();

    let pods = Api::<Pod>::namespaced(client.clone(), "datadog");
    let try_out = async |pod: &Value| {
        let pod = serde_json::from_value(pod.clone()).unwrap();
        let params = PostParams { dry_run: true, ..PostParams::default() };
        pods.create(&params, &pod).await.map(|_| ()).map_err(|error| error.to_string())
    };
    for path in KUSTOMIZATIONS.iter().chain([&CERT_MANAGER]) {
        let manifests = load(path);
        let Ok(agent) = manifests.get("Deployment", "datadog-cluster-agent") else { continue };
        let mut pod = agent.value()["spec"]["template"].clone();
        pod["metadata"]["name"] = "datadog-cluster-agent".into();
        try_out(&pod).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        // That it is looked at: with any one of these gone, it is not let in.
        for pointer in [
            "/spec/securityContext/runAsNonRoot",
            "/spec/securityContext/seccompProfile",
            "/spec/containers/0/securityContext/capabilities",
            "/spec/containers/0/securityContext/allowPrivilegeEscalation",
        ] {
            let mut worse = pod.clone();
            *worse.pointer_mut(pointer).unwrap() = Value::Null;
            let error = try_out(&worse).await.unwrap_err();
            assert!(error.contains("violates PodSecurity"), "{path} without {pointer}: {error}");
        }
    }
    let account = Api::<ServiceAccount>::namespaced(client.clone(), "datadog");
    account.delete("dca", &DeleteParams::default()).await.unwrap();
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
        let patch = json!({"apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService", "metadata": {"name": name}, "spec": {"caBundle": bundle}});
        let manager = PatchParams::apply("datadog-cluster-agent-ca").force();
        services.patch(name, &manager, &Patch::Apply(patch)).await.unwrap();
        assert_eq!(apply(&own_ca).await, (false, true), "applied again, it takes nothing away");
    }
    assert_eq!(apply(&walkthrough).await, (true, false));
    services.delete(name, &DeleteParams::default()).await.unwrap();
}
