//! What works on the objects in kube-apiserver: the controllers, the scheduler, and kwok in the
//! place of kubelets.

use std::path::PathBuf;

use anyhow::Context;
use url::Url;

use crate::{
    cluster::local::{
        control_plane::{NODE, Shared},
        kubeconfig::{self, Credential, Server},
    },
    pki::Pair,
    ports::Reservation,
    process::{Launch, Process},
};

/// Enough for what the manifests use and for namespaces that really go away; each of the others
/// would only cost memory and time.
const CONTROLLERS: [&str; 14] = [
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "garbage-collector-controller",
    "horizontal-pod-autoscaler-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
];
/// What kwok does to nodes and pods.
const STAGES: &str = include_str!("../kwok-stages.yaml");

/// Starts kube-controller-manager; gives its own server.
pub(super) fn controller_manager(
    shared: &Shared<'_>,
    server: &Server,
    port: Reservation,
) -> anyhow::Result<(Process, Url)> {
    let (pki, timings) = (shared.pki, shared.timings);
    let name = "kube-controller-manager";
    let kubeconfig = write_kubeconfig(shared, server, name, &pki.controller_manager)?;
    let url = Url::parse(&format!("https://{}", port.address()))?;
    let launch = Launch::new(name, &shared.programs.kube_controller_manager)
        .args(component(shared, &kubeconfig, &port))
        .args([
            format!("--controllers={}", CONTROLLERS.join(",")),
            // The HPA controller is then the service account that the manifests give rights to.
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", pki.service_account.key.display()),
            format!("--root-ca-file={}", pki.ca.display()),
            format!("--horizontal-pod-autoscaler-sync-period={}ms", timings.hpa_sync.as_millis()),
            format!(
                "--horizontal-pod-autoscaler-downscale-stabilization={}ms",
                timings.downscale_window.as_millis()
            ),
        ]);
    port.release();
    Ok((shared.processes.spawn(launch)?, url))
}

/// Starts kube-scheduler; gives its own server.
pub(super) fn scheduler(
    shared: &Shared<'_>,
    server: &Server,
    port: Reservation,
) -> anyhow::Result<(Process, Url)> {
    let name = "kube-scheduler";
    let kubeconfig = write_kubeconfig(shared, server, name, &shared.pki.scheduler)?;
    let url = Url::parse(&format!("https://{}", port.address()))?;
    let launch = Launch::new(name, &shared.programs.kube_scheduler).args(component(
        shared,
        &kubeconfig,
        &port,
    ));
    port.release();
    Ok((shared.processes.spawn(launch)?, url))
}

/// What kube-controller-manager and kube-scheduler have in common.
fn component(shared: &Shared<'_>, kubeconfig: &std::path::Path, port: &Reservation) -> [String; 9] {
    let serving = &shared.pki.serving;
    [
        format!("--kubeconfig={}", kubeconfig.display()),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", port.port()),
        format!("--tls-cert-file={}", serving.certificate.display()),
        format!("--tls-private-key-file={}", serving.key.display()),
        // Figures and the level of the log for the harness, on loopback; nothing else is served
        // without credentials.
        "--authorization-always-allow-paths=/healthz,/livez,/readyz,/metrics,/debug/flags/v"
            .to_owned(),
        // There is only one of each, and an election takes seconds.
        "--leader-elect=false".to_owned(),
        // The default of 20 a second is for the apiservers of big clusters.
        "--kube-api-qps=1000".to_owned(),
        "--kube-api-burst=2000".to_owned(),
    ]
}

/// Starts kwok, which acts the kubelet of every node.
pub(super) fn kwok(
    shared: &Shared<'_>,
    server: &Server,
    port: Reservation,
) -> anyhow::Result<Process> {
    let kubeconfig = write_kubeconfig(shared, server, "kwok", &shared.pki.kwok)?;
    let stages = shared.folder.join("kwok-stages.yaml");
    std::fs::write(&stages, STAGES)
        .with_context(|| format!("cannot write {}", stages.display()))?;
    let launch = Launch::new("kwok", &shared.programs.kwok).args([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--config={}", stages.display()),
        "--manage-all-nodes=true".to_owned(),
        format!("--server-address={}", port.address()),
        "--node-ip=127.0.0.1".to_owned(),
        format!("--node-name={NODE}"),
        format!("--node-port={}", port.port()),
        // Addresses of pods; beside the range of Services. Nothing can be reached there.
        "--cidr=10.1.0.0/16".to_owned(),
    ]);
    port.release();
    Ok(shared.processes.spawn(launch)?)
}

fn write_kubeconfig(
    shared: &Shared<'_>,
    server: &Server,
    name: &str,
    pair: &Pair,
) -> anyhow::Result<PathBuf> {
    let file = shared.folder.join(format!("{name}.kubeconfig"));
    kubeconfig::write(&file, server, Credential::Certificate(pair))?;
    Ok(file)
}
