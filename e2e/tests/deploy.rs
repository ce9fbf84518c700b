//! Loading manifests: what is read and changed, and how each mistake in them is named.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use e2e::deploy::{Manifests, Object};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{ConfigMap, Service, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;

const AGENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: agent, namespace: default}
spec:
  template:
    spec:
      containers:
      - name: agent
        env:
        - {name: PLAIN, value: '1'}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      - name: bare
";
const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: agent, namespace: default}
spec: {type: ClusterIP, selector: {app: agent}}
";

/// A folder with these files, of which the paths may have folders.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn load(files: &[(&str, &str)], path: &str) -> Result<Manifests, String> {
    let folder = folder(files);
    let told = |error: e2e::deploy::ManifestError| {
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    Manifests::load(&folder.path().join(path)).map_err(told)
}

fn agent() -> Manifests {
    load(&[("agent.yaml", AGENT)], "agent.yaml").unwrap()
}

#[track_caller]
fn check_refused(files: &[(&str, &str)], path: &str, expected: &str) {
    let error = load(files, path).unwrap_err();
    assert!(error.starts_with(expected), "{error:?} does not start with {expected:?}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_file_may_hold_several_objects_and_each_knows_its_line() {
    let text = format!("# first\n{SERVICE}---\n# nothing\n---\n{AGENT}");
    let manifests = load(&[("all.yaml", &text)], "all.yaml").unwrap();
    let found: Vec<_> = manifests.iter().map(|it| (it.id(), it.origin().line)).collect();
    let expected = [("Service default/agent", 2), ("Deployment default/agent", 9)];
    assert_eq!(found, expected.map(|(id, line)| (id.to_owned(), line)));
}

#[test]
fn mistakes_in_a_file_are_named_with_their_place() {
    let check = |text, expected| check_refused(&[("a.yaml", text)], "a.yaml", expected);
    check("a: 1\nb: [1, 2\n", "a.yaml:");
    check("kind: A\nkind: B\n", "a.yaml:2:1: ");
    check("just text\n", "a.yaml:1: not a Kubernetes object: it has no apiVersion");
    check(
        "apiVersion: v1\nkind: A\n",
        "a.yaml:1: not a Kubernetes object: it has no metadata.name",
    );
    check(
        "apiVersion: v1\nkind: A\nmetadata: {name: 7}\n",
        "a.yaml:1: not a Kubernetes object: metadata.name is 7, not a name",
    );
    check(
        &format!("{SERVICE}---\n{}", SERVICE.replace(", namespace: default", "")),
        "a.yaml:6: Service agent was already defined at a.yaml:1; remove one of them",
    );
    check_refused(&[], "a.yaml", "cannot read a.yaml");
}

#[test]
fn a_kustomization_gathers_files_and_directories_and_patches_them() {
    let files = [
        ("base/kustomization.yaml", "resources: [agent.yaml, service.yaml]"),
        ("base/agent.yaml", AGENT),
        ("base/service.yaml", SERVICE),
        (
            "overlay/kustomization.yaml",
            "resources: [../base]\npatches:\n- path: env.yaml\n- target: {kind: Service}\n  \
             patch: |\n    spec: {type: ExternalName, selector: null}\n",
        ),
        (
            "overlay/env.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: agent, namespace: default}\n\
             spec: {template: {spec: {containers: [{name: agent, env: [\
             {name: PLAIN, value: '2'}, {name: NEW, value: '3'}]}]}}}\n",
        ),
    ];
    let manifests = load(&files, "overlay").unwrap();
    let service = manifests.get("Service", "agent").unwrap();
    assert_eq!(service.value()["spec"], json!({"type": "ExternalName"}));
    let fields = BTreeMap::from([("metadata.name".to_owned(), "agent-0".to_owned())]);
    let expected = [("NEW", "3"), ("PLAIN", "2"), ("POD", "agent-0")];
    assert_eq!(
        manifests.container_env("agent", "agent", &fields).unwrap(),
        BTreeMap::from(expected.map(|(name, value)| (name.to_owned(), value.to_owned())))
    );
    // The file works as its directory does.
    assert_eq!(load(&files, "overlay/kustomization.yaml").unwrap().iter().count(), 2);
}

#[test]
fn a_patch_can_delete_an_object() {
    let patch = SERVICE.replace("kind", "$patch: delete\nkind");
    let files = [
        ("kustomization.yaml", "resources: [all.yaml]\npatches: [{path: patch.yaml}]"),
        ("all.yaml", &format!("{SERVICE}---\n{AGENT}")),
        ("patch.yaml", &patch),
    ];
    let manifests = load(&files, ".").unwrap();
    assert_eq!(manifests.iter().map(Object::kind).collect::<Vec<_>>(), ["Deployment"]);
}

#[test]
fn a_kustomization_that_is_more_than_we_do_exactly_is_refused() {
    let check = |kustomization, expected| {
        let files = [("kustomization.yaml", kustomization), ("service.yaml", SERVICE)];
        check_refused(&files, ".", expected);
    };
    check(
        "resources: []\nnamePrefix: a-\n",
        "./kustomization.yaml:2:1: unknown field `namePrefix`",
    );
    check("kind: Other\n", "./kustomization.yaml:1:7: unknown variant `Other`");
    check(
        "resources: [service.yaml]\npatches: [{target: {kind: Serv.*}, patch: 'spec: {}'}]",
        "./kustomization.yaml patches[0].patch: target.kind: Serv.* as a regular expression is \
         not supported here; name one object",
    );
    check(
        "resources: [service.yaml]\npatches: [{target: {kind: Service}, patch: '[{op: remove}]'}]",
        "./kustomization.yaml patches[0].patch: a patch that is no map",
    );
    check(
        "resources: [service.yaml]\n\
         patches: [{target: {kind: Service}, patch: 'spec: {ports: [{port: 1}]}'}]",
        "./kustomization.yaml patches[0].patch: the list spec.ports, which kustomize merges",
    );
    check(
        "resources: [service.yaml]\npatches: [{target: {name: other}, patch: 'spec: {}'}]",
        "./kustomization.yaml patches[0].patch: the patch of other matches no object",
    );
    check(
        "patches: [{}]",
        "./kustomization.yaml patches[0]: a patch with both or none of `path` and `patch`",
    );
}

/// Two overlays of one component, each with objects and values of its own.
#[test]
fn a_component_changes_what_was_there_before_it() {
    let component = "kind: Component\nresources: [service.yaml]\npatches: [{path: env.yaml}]\n";
    let files = [
        ("base/kustomization.yaml", "resources: [agent.yaml]"),
        ("base/agent.yaml", AGENT),
        ("component/kustomization.yaml", component),
        ("component/service.yaml", SERVICE),
        (
            "component/env.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: agent, namespace: default}\n\
             spec: {template: {spec: {containers: [{name: bare, volumeMounts: [\
             {name: tmp, mountPath: /tmp}]}]}}}\n",
        ),
        ("overlay/kustomization.yaml", "resources: [../base]\ncomponents: [../component]"),
        ("wrong/kustomization.yaml", "resources: [../base, ../component]"),
    ];
    let manifests = load(&files, "overlay").unwrap();
    let kinds: Vec<_> = manifests.iter().map(Object::kind).collect();
    assert_eq!(kinds, ["Deployment", "Service"]);
    let agent = manifests.get("Deployment", "agent").unwrap().value();
    let mounts = agent.pointer("/spec/template/spec/containers/1/volumeMounts/0/mountPath");
    assert_eq!(mounts, Some(&json!("/tmp")));
    check_refused(
        &files,
        "wrong",
        "wrong/../component/kustomization.yaml: a Component as one of the other's list",
    );
}

#[test]
fn a_directory_without_a_kustomization_or_within_itself_is_refused() {
    let one = [("a/b.yaml", SERVICE)];
    check_refused(&one, "a", "a has no kustomization.yaml; name a file, or a directory with one");
    let ring = [
        ("a/kustomization.yaml", "resources: [../b]"),
        ("b/kustomization.yaml", "resources: [../a]"),
    ];
    check_refused(&ring, "a", "a/../b/../a includes itself");
}

#[test]
fn an_object_that_is_not_there_is_named_with_what_is() {
    let manifests = agent();
    let told = |kind, name| manifests.get(kind, name).unwrap_err().to_string();
    assert_eq!(told("Deployment", "a"), "no Deployment a in the manifests; they have: agent");
    assert_eq!(told("Service", "a"), "no Service a in the manifests; they have: Deployment");
}

#[test]
fn a_name_in_two_namespaces_is_ambiguous() {
    let text = format!("{SERVICE}---\n{}", SERVICE.replace("default", "other"));
    let manifests = load(&[("a.yaml", &text)], "a.yaml").unwrap();
    assert_eq!(
        manifests.get("Service", "agent").unwrap_err().to_string(),
        "Service agent is ambiguous: it is in the namespaces default, other"
    );
}

#[test]
fn a_patch_in_code_merges_maps_and_replaces_lists() {
    let mut manifests = agent();
    let patch = json!({"spec": {"replicas": 0, "template": {"spec": {"containers": []}}}});
    manifests.patch("Deployment", "agent", &patch).unwrap();
    let spec = &manifests.get("Deployment", "agent").unwrap().value()["spec"];
    assert_eq!(spec, &json!({"replicas": 0, "template": {"spec": {"containers": []}}}));
}

#[test]
fn a_variable_that_is_set_replaces_whatever_it_was() {
    let mut manifests = agent();
    for (container, variable) in [("agent", "PLAIN"), ("agent", "POD"), ("bare", "NEW")] {
        manifests.set_env(("Deployment", "agent"), container, variable, "set").unwrap();
    }
    let env = |container| manifests.container_env("agent", container, &BTreeMap::new()).unwrap();
    let set = |names: &[&str]| -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), "set".to_owned())).collect()
    };
    assert_eq!(env("agent"), set(&["PLAIN", "POD"]));
    assert_eq!(env("bare"), set(&["NEW"]));
    let error =
        manifests.set_env(("Deployment", "agent"), "agnet", "A", "1").unwrap_err().to_string();
    let expected = "Deployment default/agent has no container agnet; it has: agent, bare";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn everything_but_what_belongs_to_kubernetes_moves_to_another_namespace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut manifests = Manifests::load(&root.join("manifests/cluster-agent")).unwrap();
    manifests.move_to_namespace("mine").unwrap();
    let namespaces: BTreeMap<String, Option<&str>> = manifests
        .iter()
        .map(|it| (format!("{} {}", it.kind(), it.name()), it.namespace()))
        .collect();
    insta::assert_debug_snapshot!(namespaces);
    let service = &manifests.get("APIService", "v1beta1.external.metrics.k8s.io").unwrap().value()
        ["spec"]["service"];
    assert_eq!(service["namespace"], "mine");
    let of = |name: &str| {
        let binding = manifests.get("ClusterRoleBinding", name).unwrap();
        binding.value()["subjects"][0]["namespace"].clone()
    };
    assert_eq!((of("dca"), of("external-metrics-reader")), (json!("mine"), json!("kube-system")));

    let mut fake = Manifests::load(&root.join("e2e/manifests/fake-datadog.yaml")).unwrap();
    fake.move_to_namespace("mine").unwrap();
    let kinds: Vec<&str> = fake.iter().map(Object::kind).collect();
    assert_eq!(kinds, ["Deployment", "Service"]);
}

#[test]
fn an_hpa_can_have_a_window_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut manifests = Manifests::load(&root.join("hpa-example/hpa-manifest.yaml")).unwrap();
    manifests.set_downscale_window(Duration::from_secs(30)).unwrap();
    let hpa = manifests.get("HorizontalPodAutoscaler", "nginxext").unwrap();
    let window = hpa.value().pointer("/spec/behavior/scaleDown/stabilizationWindowSeconds");
    assert_eq!(window, Some(&json!(30)));
}

#[test]
fn a_variable_that_only_a_kubelet_could_read_is_named_with_its_source() {
    let check = |value: &Value, expected: &str| {
        let mut manifests = agent();
        let env = json!([{"name": "bare", "env": [value]}]);
        let patch = json!({"spec": {"template": {"spec": {"containers": env}}}});
        manifests.patch("Deployment", "agent", &patch).unwrap();
        let error = manifests.container_env("agent", "bare", &BTreeMap::new()).unwrap_err();
        let error = error.to_string();
        let told = format!("the value of V in Deployment default/agent comes from {expected}; ");
        assert!(error.contains(&told), "{error:?} does not contain {told:?}");
    };
    let from = |source: Value| json!({"name": "V", "valueFrom": source});
    check(&from(json!({"secretKeyRef": {"name": "keys", "key": "api"}})), "key api of Secret keys");
    check(
        &from(json!({"configMapKeyRef": {"name": "site", "key": "name"}})),
        "key name of ConfigMap site",
    );
    check(
        &from(json!({"fieldRef": {"fieldPath": "spec.nodeName"}})),
        "the pod's field spec.nodeName",
    );
    check(&json!({"name": "V", "value": "a-$(POD)"}), "other variables, by a-$(POD)");
}

#[test]
fn a_config_map_gives_its_entries_by_key() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: |\n    b\n";
    let manifests = load(&[("a.yaml", text)], "a.yaml").unwrap();
    assert_eq!(manifests.config_map("c", "a").unwrap(), "b\n");
    let error = manifests.config_map("c", "z").unwrap_err().to_string();
    assert!(error.ends_with("a.yaml:1: ConfigMap c has no key z in its data"), "{error}");
}

/// Without a cluster too: a misspelt or misplaced field does not survive the way through its type.
#[test]
fn every_manifest_is_what_its_type_can_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut kinds = BTreeSet::new();
    for path in ["manifests/overlays/local", "manifests/cluster-agent", "hpa-example/nginx.yaml"]
        .into_iter()
        .chain(["hpa-example/hpa-manifest.yaml", "e2e/manifests/node-agent.yaml"])
    {
        for object in &Manifests::load(&root.join(path)).unwrap() {
            assert_eq!(&through_its_type(object), object.value(), "{}", object.origin());
            kinds.insert(object.kind().to_owned());
        }
    }
    assert_eq!(kinds.len(), 10, "{kinds:?}");
}

fn through_its_type(object: &Object) -> Value {
    fn through<T: DeserializeOwned + Serialize>(object: &Object) -> Value {
        serde_json::to_value(object.parse::<T>().unwrap()).unwrap()
    }
    match object.kind() {
        "APIService" => through::<APIService>(object),
        "ClusterRole" => through::<ClusterRole>(object),
        "ClusterRoleBinding" => through::<ClusterRoleBinding>(object),
        "ConfigMap" => through::<ConfigMap>(object),
        "Deployment" => through::<Deployment>(object),
        "HorizontalPodAutoscaler" => through::<HorizontalPodAutoscaler>(object),
        "Role" => through::<Role>(object),
        "RoleBinding" => through::<RoleBinding>(object),
        "Service" => through::<Service>(object),
        "ServiceAccount" => through::<ServiceAccount>(object),
        kind => panic!("no type for {kind} at {}", object.origin()),
    }
}
