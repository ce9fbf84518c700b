//! The embedded control plane, for real. Needs the programs in `$E2E_ASSETS/bin`; skipped without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{path::PathBuf, time::Duration};

use e2e::cluster::local::{
    control_plane::{ControlPlane, NODE},
    token,
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Node, Pod},
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::time::{self, Instant};

use support::{Run, programs, run};

#[path = "support/control_plane.rs"]
mod support;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_deployment_gets_a_running_pod_and_nothing_is_left_at_the_end() {
    let Some(programs) = programs() else { return };
    let run = run().await;
    let begin = Instant::now();
    let cluster = run.start(&programs).await.unwrap();
    eprintln!("ready after {:?}", begin.elapsed());
    for step in cluster.started() {
        eprintln!("  {:<26}{:?}", step.name, step.took);
    }

    let nodes = Api::<Node>::all(cluster.client().clone());
    let nodes = nodes.list(&ListParams::default()).await.unwrap().items;
    let names: Vec<_> = nodes.iter().filter_map(|node| node.metadata.name.as_deref()).collect();
    assert_eq!(names, [NODE]);
    a_pod_runs(cluster.client()).await;
    the_provider_can_learn_whom_to_trust(cluster.client()).await;
    a_token_is_the_service_account_and_no_more(&run, &cluster).await;

    let peaks = cluster.processes();
    let peaks = peaks.iter().map(|process| (process.name(), process.peak_memory()));
    eprintln!("peak memory: {:?}", peaks.collect::<Vec<_>>());
    let begin = Instant::now();
    cluster.stop().await.unwrap();
    eprintln!("stopped after {:?}", begin.elapsed());
    assert!(cluster.processes().iter().all(|process| !process.identity().is_alive()));
    run.guard.finish().await.unwrap();
    assert!(!run.folder.exists());
}

async fn a_pod_runs(client: &Client) {
    let deployment: Deployment = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "nginx"}]},
            },
        },
    }))
    .unwrap();
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let begin = Instant::now();
    let ready = async {
        loop {
            let found = deployments.get_status("web").await.unwrap();
            if found.status.and_then(|status| status.ready_replicas) == Some(1) {
                return;
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    };
    time::timeout(LIMIT, ready).await.expect("the deployment gets ready");
    eprintln!("a pod was ready after {:?}", begin.elapsed());
    let pods = Api::<Pod>::default_namespaced(client.clone());
    let pods = pods.list(&ListParams::default().labels("app=web")).await.unwrap().items;
    let status = pods[0].status.as_ref().unwrap();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert!(status.pod_ip.as_deref().is_some_and(|ip| ip.starts_with("10.1.")), "{status:?}");
}

/// By the ConfigMap that delegated authentication starts from.
async fn the_provider_can_learn_whom_to_trust(client: &Client) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-system");
    let data = maps.get("extension-apiserver-authentication").await.unwrap().data.unwrap();
    assert_eq!(data["requestheader-allowed-names"], r#"["front-proxy-client"]"#);
    assert_ne!(data["requestheader-client-ca-file"], data["client-ca-file"]);
}

async fn a_token_is_the_service_account_and_no_more(run: &Run, cluster: &ControlPlane) {
    let file = run.folder.join("default.kubeconfig");
    let account = ("default", "default");
    let hour = Duration::from_secs(3600);
    token::service_account_kubeconfig(cluster.client(), cluster.server(), account, hour, &file)
        .await
        .unwrap();
    let document = Kubeconfig::read_from(&file).unwrap();
    let config =
        Config::from_custom_kubeconfig(document, &KubeConfigOptions::default()).await.unwrap();
    let pods: Api<Pod> = Api::default_namespaced(Client::try_from(config).unwrap());
    let error = pods.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(
        error.contains(r#"User "system:serviceaccount:default:default" cannot list"#),
        "{error}"
    );
}

#[tokio::test]
async fn a_program_that_does_not_come_up_is_an_error_with_its_last_words() {
    let Some(mut programs) = programs() else { return };
    let run = run().await;
    // Knows none of the flags, and says so.
    programs.kube_apiserver = PathBuf::from("/bin/ls");
    let error = run.start(&programs).await.unwrap_err().to_string();
    for part in ["kube-apiserver ended by itself", "exit status: 2", "etcd-servers"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    run.guard.finish().await.unwrap();
    assert!(run.processes.started().iter().all(|process| !process.identity().is_alive()));
}
