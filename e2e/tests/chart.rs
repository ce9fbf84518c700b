//! The Helm chart: it says what kustomize says, refuses values that cannot work, and a real
//! kube-apiserver takes what it renders.
//!
//! Helm is built with Go (`go/helm`); kustomize is kubectl's. Without them a test is skipped, and says
//! so.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use e2e::deploy::{Deployer, Manifests, Object};
use serde_json::{Value, json};
use support::{
    control_plane,
    helm::helm,
    kubectl::{kubectl, kustomize, parsed},
};

mod support {
    pub(crate) mod control_plane;
    pub(crate) mod helm;
    pub(crate) mod kubectl;
}

const KEYS: &str = "datadog.apiKeyExistingSecret=datadog-keys,\
                    datadog.appKeyExistingSecret=datadog-keys";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `helm template`; what it says where it refuses.
fn template(helm: &Path, namespace: &str, arguments: &[&str]) -> Result<Manifests, String> {
    // Its caches and settings are nobody else's.
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(helm);
    command.args(["template", "datadog"]).arg(root().join("manifests/chart"));
    command.args(["--namespace", namespace]).args(arguments).env_clear().env("HOME", home.path());
    let rendered = command.output().unwrap();
    if rendered.status.success() {
        return Ok(parsed(&rendered.stdout));
    }
    Err(String::from_utf8(rendered.stderr).unwrap())
}

// === the same as kustomize ===

/// An overlay, components on top of it, and the values that say the same.
struct Same {
    overlay: &'static str,
    components: &'static [&'static str],
    namespace: &'static str,
    values: &'static [&'static str],
}

const SAME: [Same; 6] = [
    Same {
        overlay: "cluster-agent",
        components: &["keys-from-secret"],
        namespace: "default",
        values: &["--set", KEYS],
    },
    Same {
        overlay: "cluster-agent",
        components: &["keys-from-secret-files"],
        namespace: "default",
        values: &["--set", KEYS, "--set=datadog.keysAs=file"],
    },
    Same {
        overlay: "overlays/cert-manager",
        components: &["keys-from-secret"],
        namespace: "default",
        values: &["--set", KEYS, "--set=clusterAgent.metricsProvider.tls.mode=cert-manager"],
    },
    Same {
        overlay: "overlays/production",
        components: &[],
        namespace: "default",
        values: &["--values", "production.yaml"],
    },
    Same {
        overlay: "overlays/kind",
        components: &["keys-from-secret", "namespace"],
        namespace: "datadog",
        values: &["--set", KEYS, "--set=clusterAgent.image.pullPolicy=Never"],
    },
    Same {
        overlay: "overlays/cert-manager",
        components: &["keys-from-secret", "namespace"],
        namespace: "datadog",
        values: &["--set", KEYS, "--set=clusterAgent.metricsProvider.tls.mode=cert-manager"],
    },
];

#[test]
fn the_chart_says_what_kustomize_says() {
    let (Some(kubectl), Some(helm)) = (kubectl(), helm()) else { return };
    for same in &SAME {
        let production = root().join("manifests/chart/production.yaml");
        let values = same.values.iter();
        let values = values
            .map(|&it| if it == "production.yaml" { production.to_str().unwrap() } else { it })
            .collect::<Vec<_>>();
        let chart = template(helm, same.namespace, &values).unwrap();
        let (chart, kustomized) = (comparable(&chart), comparable(&same.kustomized(&kubectl)));
        let mut differences = String::new();
        for id in chart.keys().chain(kustomized.keys().filter(|id| !chart.contains_key(*id))) {
            differ(id, chart.get(id), kustomized.get(id), &mut differences);
        }
        assert_eq!(differences, "", "{} with {:?}", same.overlay, same.components);
    }
}

impl Same {
    fn kustomized(&self, kubectl: &Path) -> Manifests {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        fs::create_dir_all(&folder).unwrap();
        // kustomize takes no absolute paths.
        let up = "../".repeat(folder.components().count() - 1);
        let manifests = format!("{up}{}/manifests", root().strip_prefix("/").unwrap().display());
        let components = self.components.iter();
        let components = components.map(|name| format!("{manifests}/components/{name}"));
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [format!("{manifests}/{}", self.overlay)],
            "components": components.collect::<Vec<_>>(),
        });
        fs::write(folder.join("kustomization.yaml"), kustomization.to_string()).unwrap();
        let built = kustomize(kubectl, &folder);
        fs::remove_dir_all(&folder).unwrap();
        built
    }
}

/// By identity, without what the two may say differently:
///
/// - Labels, of which the chart puts Helm's own on everything. `selector`s stay.
/// - The binding to `system:auth-delegator`: its name is the walkthrough's in one, and in the other a
///   name that nobody else has, because Helm refuses to take over what is there.
/// - The namespace itself, which is Helm's `--create-namespace`.
/// - What Kubernetes fills in anyway, where one says it: `revisionHistoryLimit`, and for one replica
///   the strategy (a quarter of one is 1 rounded up, 0 rounded down).
/// - The order of lists of named things.
fn comparable(manifests: &Manifests) -> BTreeMap<String, Value> {
    let delegator = "datadog-cluster-agent:system:auth-delegator";
    let objects = manifests.iter().filter(|object| object.kind() != "Namespace");
    objects
        .map(|object| {
            let mut value = object.value().clone();
            for pointer in ["/metadata", "/spec/template/metadata"] {
                if let Some(Value::Object(metadata)) = value.pointer_mut(pointer) {
                    metadata.remove("labels");
                }
            }
            if object.name() == delegator {
                value["metadata"]["name"] = "system:auth-delegator".into();
            }
            if let Some(Value::Object(spec)) = value.get_mut("spec") {
                let rolling = json!({"type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}});
                let one = spec.get("replicas") == Some(&json!(1));
                spec.retain(|field, value| match field.as_str() {
                    "revisionHistoryLimit" => *value != 10,
                    "strategy" => !(one && *value == rolling),
                    _ => true,
                });
            }
            sort_named(&mut value);
            (object.id().replace(delegator, "system:auth-delegator"), value)
        })
        .collect()
}

fn sort_named(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(sort_named),
        Value::Array(items) => {
            items.iter_mut().for_each(sort_named);
            if items.iter().all(|item| item["name"].is_string()) {
                items.sort_by_key(|item| item["name"].as_str().map(str::to_owned));
            }
        }
        _ => {}
    }
}

/// One line for each place at which they differ.
fn differ(at: &str, chart: Option<&Value>, kustomize: Option<&Value>, said: &mut String) {
    match (chart, kustomize) {
        (Some(chart), Some(kustomize)) if chart == kustomize => {}
        (Some(Value::Object(chart)), Some(Value::Object(kustomize))) => {
            for field in
                chart.keys().chain(kustomize.keys().filter(|field| !chart.contains_key(*field)))
            {
                differ(&format!("{at}.{field}"), chart.get(field), kustomize.get(field), said);
            }
        }
        (Some(Value::Array(chart)), Some(Value::Array(kustomize))) => {
            for index in 0..chart.len().max(kustomize.len()) {
                differ(&format!("{at}[{index}]"), chart.get(index), kustomize.get(index), said);
            }
        }
        (chart, kustomize) => {
            let told = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            writeln!(said, "{at}: chart {}, kustomize {}", told(chart), told(kustomize)).unwrap();
        }
    }
}

// === what it refuses ===

#[test]
fn values_that_cannot_work_are_refused_by_name() {
    let Some(helm) = helm() else { return };
    let refused = |values: &[&str], words: &[&str]| {
        let said = template(helm, "default", values).unwrap_err();
        for word in words {
            assert!(said.contains(word), "{word:?} is missing in: {said}");
        }
    };
    refused(&[], &["datadog.apiKeyExistingSecret: name the Secret with the key"]);
    let with = |value: &'static str| ["--set", KEYS, "--set", value];
    let rows: [(&str, &[&str]); 12] = [
        ("clusterAgent.replicas=two", &["/clusterAgent/replicas", "want integer"]),
        ("clusterAgent.replica=2", &["/clusterAgent", "'replica' not allowed"]),
        ("clusterAgent.metricsProvider.aggregator=median", &["aggregator", "'sum', 'avg'"]),
        ("clusterAgent.metricsProvider.service.port=70000", &["service/port", "65,535"]),
        ("clusterAgent.metricsProvider.endpoint=api.datadoghq.eu", &["endpoint", "^https?://"]),
        ("clusterAgent.metricsProvider.tls.mode=none", &["tls/mode", "'own-ca'"]),
        ("clusterAgent.token=short", &["/clusterAgent/token", "minLength: got 5, want 32"]),
        ("datadog.site=https://datadoghq.eu", &["/datadog/site"]),
        ("datadog.apiKey=abc", &["datadog.apiKey and datadog.apiKeyExistingSecret: set one"]),
        (
            "datadog.leaderElection=false,clusterAgent.replicas=2",
            &["datadog.leaderElection: false with clusterAgent.replicas > 1"],
        ),
        (
            "clusterAgent.pdb.create=true,clusterAgent.pdb.minAvailable=1,\
             clusterAgent.pdb.maxUnavailable=1",
            &["clusterAgent.pdb: minAvailable and maxUnavailable: set one of them"],
        ),
        (
            "clusterAgent.metricsProvider.tls.mode=secret",
            &["clusterAgent.metricsProvider.tls.existingSecret: name the Secret"],
        ),
    ];
    for (value, words) in rows {
        refused(&with(value), words);
    }
}

// === each value does something ===

#[test]
fn keys_are_in_no_object_but_the_secret_that_was_asked_for() {
    let Some(helm) = helm() else { return };
    let arguments = ["--set=datadog.apiKey=canary-api,datadog.appKey=canary-app,\
                      clusterAgent.token=canary-token-of-32-characters-or-more"];
    let manifests = template(helm, "default", &arguments).unwrap();
    let holders: Vec<_> = manifests
        .iter()
        .filter(|object| object.value().to_string().contains("canary"))
        .map(Object::id)
        .collect();
    let expected = ["keys", "token"].map(|it| format!("Secret default/datadog-cluster-agent-{it}"));
    assert_eq!(holders, expected);
    let agent = manifests.get("Deployment", "datadog-cluster-agent").unwrap().value();
    let reference = json!({"name": "datadog-cluster-agent-token", "key": "token"});
    assert_eq!(
        variable(agent, "DD_CLUSTER_AGENT_AUTH_TOKEN")["valueFrom"]["secretKeyRef"],
        reference
    );
}

fn variable<'a>(deployment: &'a Value, name: &str) -> &'a Value {
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let found = env.as_array().unwrap().iter().find(|variable| variable["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {env}"))
}

#[test]
fn values_become_what_they_say() {
    let Some(helm) = helm() else { return };
    let provider = |value: &str| format!("clusterAgent.metricsProvider.{value}");
    let rendered = |values: &[&str]| {
        let values = format!("{KEYS},{}", values.join(","));
        template(helm, "default", &["--set", &values]).unwrap()
    };
    let is = |value: &str, name: &str, expected: &str| {
        let manifests = rendered(&[value]);
        let agent = manifests.get("Deployment", "datadog-cluster-agent").unwrap();
        assert_eq!(variable(agent.value(), name)["value"], expected, "{value}");
    };
    is("datadog.site=datadoghq.eu", "DD_SITE", "datadoghq.eu");
    is("datadog.clusterName=c", "DD_CLUSTER_NAME", "c");
    is("datadog.logLevel=debug", "DD_LOG_LEVEL", "debug");
    is("datadog.leaderElection=true", "DD_LEADER_ELECTION", "true");
    is("clusterAgent.replicas=3,datadog.leaderLeaseDuration=20", "DD_LEADER_LEASE_DURATION", "20");
    is(&provider("aggregator=max"), "DD_EXTERNAL_METRICS_AGGREGATOR", "max");
    is(
        &provider("useDatadogMetrics=true"),
        "DD_EXTERNAL_METRICS_PROVIDER_USE_DATADOGMETRIC_CRD",
        "true",
    );
    is(&provider("wpaController=true"), "DD_EXTERNAL_METRICS_PROVIDER_WPA_CONTROLLER", "true");
    is(
        &provider("endpoint=https://api.datadoghq.eu"),
        "DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT",
        "https://api.datadoghq.eu",
    );

    let ids =
        |manifests: &Manifests| manifests.iter().map(Object::id).collect::<Vec<_>>().join("\n");
    assert!(!ids(&rendered(&[&provider("registerAPIService=false")])).contains("APIService"));
    assert!(!ids(&rendered(&[&provider("createReaderRbac=false")])).contains("reader"));
    assert!(!ids(&rendered(&["clusterAgent.rbac.create=false"])).contains("Role"));
    let old = rendered(&["clusterAgent.createPodDisruptionBudget=true"]);
    assert!(ids(&old).contains("PodDisruptionBudget default/datadog-cluster-agent"));
    let service = rendered(&[&provider("service.port=8443")]);
    let api = service.get("APIService", "v1beta1.external.metrics.k8s.io").unwrap();
    assert_eq!(api.value()["spec"]["service"]["port"], 8443);
}

// === what kube-apiserver says ===

#[tokio::test]
async fn a_real_apiserver_takes_the_chart() {
    let Some(programs) = control_plane::programs() else { return };
    let Some(helm) = helm() else { return };
    let run = control_plane::run().await;
    let cluster = run.start(&programs).await.unwrap();
    let deployer = Deployer::new(cluster.client().clone());
    let production = root().join("manifests/chart/production.yaml");
    let cert_manager = "--set=clusterAgent.metricsProvider.tls.mode=cert-manager";
    for arguments in [
        &["--set", KEYS, "--include-crds"][..],
        &["--values", production.to_str().unwrap()],
        &["--set", KEYS, cert_manager],
    ] {
        let manifests = template(helm, "default", arguments).unwrap();
        let (known, unknown): (Vec<_>, Vec<_>) = manifests
            .iter()
            .partition(|object| !object.api_version().starts_with("cert-manager.io/"));
        eprintln!("{arguments:?}: {} tried, {} of cert-manager not", known.len(), unknown.len());
        deployer.dry_run(known).await.unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
    }
    cluster.stop().await.unwrap();
    run.guard.finish().await.unwrap();
}
