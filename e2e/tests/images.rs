//! The images, in docker: what is in them is found by the programs, and nothing else is needed.
//!
//! Needs a docker daemon on this machine and, in `E2E_IMAGES`, what `cargo xtask image` made; a test
//! is skipped without, and says so.

#![cfg(target_os = "linux")] // where containers reach this process
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::Request,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use axum_server::tls_rustls::RustlsConfig;
use e2e::image::{Image, Origin, Platform, Product, Program, docker_archive, oci_archive};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use testcontainers::{
    ContainerAsync, ContainerRequest, GenericImage, ImageExt,
    core::{AccessMode, Host, IntoContainerPort, Mount, WaitFor},
    runners::AsyncRunner,
};
use tokio::time::{Instant, sleep, timeout};

use support::{Loaded, answers, docker, images};

#[path = "support/docker.rs"]
mod support;

const LIMIT: Duration = Duration::from_secs(60);

const METRIC: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/default/\
                      nginx.net.request_per_s?labelSelector=kube_container_name%3Dnginx";

const SCENARIO: &str = "
series:
  - metric: nginx.net.request_per_s
    tags: [kube_container_name:nginx]
    start: -5m
    shape: { step: [{ at: 0s, value: 42 }] }
";

#[test]
fn a_program_that_is_packed_twice_gives_one_image_and_docker_knows_it() {
    let origin = Origin { revision: None, created: Timestamp::from_second(1_790_000_000).unwrap() };
    let pack = || {
        let program = Program { binary: b"not to be run".to_vec(), sbom: b"{}".to_vec() };
        let platform = Platform::of_this_machine().unwrap();
        Image::new(Product::FakeDatadog, platform, program, &origin).unwrap()
    };
    let (image, again) = (pack(), pack());
    assert_eq!(image.digest(), again.digest());
    let archive = docker_archive(&image).unwrap();
    assert_eq!(archive, docker_archive(&again).unwrap());
    assert_eq!(oci_archive(&[image]).unwrap(), oci_archive(&[again]).unwrap());

    if !answers() {
        return;
    }
    let known = Loaded::new("packed", &archive).inspect();
    assert_eq!(known["Created"], "2026-09-21T14:13:20Z");
    assert_eq!(known["Config"]["User"], "65532:65532");
    assert_eq!(known["Config"]["Entrypoint"], json!(["fake-datadog"]));
    assert_eq!(known["Config"]["Labels"]["org.opencontainers.image.title"], "fake-datadog");
    assert_eq!(known["RootFS"]["Layers"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_finds_its_datadog_by_name_and_serves_what_that_says() {
    let Some(folder) = images() else { return };
    let (provider, fake) = (
        Loaded::built(&folder, Product::ClusterAgent),
        Loaded::built(&folder, Product::FakeDatadog),
    );
    let cluster = Cluster::start();
    let scenario = file(SCENARIO);
    let datadog = unique("fake-datadog");
    let _fake =
        hardened(fake.image().with_wait_for(WaitFor::message_on_either_std("listening on")))
            .with_network(&cluster.network)
            .with_container_name(&datadog)
            .with_env_var("FAKE_DATADOG_SCENARIO", "/scenario.yaml")
            .with_env_var("FAKE_DATADOG_API_KEY", "api")
            .with_env_var("FAKE_DATADOG_APP_KEY", "app")
            .with_mount(mount(&scenario, "/scenario.yaml"))
            .start()
            .await
            .unwrap();
    let begin = Instant::now();
    let provider =
        cluster.provider(&provider, &format!("http://{datadog}:8126")).start().await.unwrap();
    let port = provider.get_host_port_ipv4(8443).await.unwrap();
    get(port, "/readyz", |status, _| status == StatusCode::OK).await;
    eprintln!("ready {:?} after docker was asked to start it", begin.elapsed());
    let body = get(port, METRIC, |status, _| status == StatusCode::OK).await;
    let item = &serde_json::from_str::<Value>(&body).unwrap()["items"][0];
    assert_eq!(item["value"], "42", "{body}");

    as_nobody_with_no_rights(&provider);
    let usage = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", provider.id()]);
    eprintln!("memory: {usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_authorities_in_the_image_and_no_other() {
    let Some(folder) = images() else { return };
    let provider = Loaded::built(&folder, Product::ClusterAgent);
    let cluster = Cluster::start();
    let (port, authority) = https().await;
    let endpoint = format!("https://datadog.test:{port}");
    let at_it =
        || cluster.provider(&provider, &endpoint).with_host("datadog.test", Host::HostGateway);

    let stranger = at_it().start().await.unwrap();
    let said = says(&stranger, "query failed").await;
    assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{said}");

    let bundle = file(&authority);
    let mounted = at_it().with_mount(mount(&bundle, "/etc/ssl/certs/ca-certificates.crt"));
    let trusting = mounted.start().await.unwrap();
    let said = says(&trusting, "query failed").await;
    assert!(said.contains("HTTP 403"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_harness_runs_from_its_image() {
    let Some(folder) = images() else { return };
    let harness = Loaded::built(&folder, Product::E2e);
    let list = ["run", "--rm", "--read-only", "--cap-drop=ALL", &harness.reference(), "list"];
    assert!(docker(&list).contains("walkthrough"));
}

// === what the provider talks to ===

/// A network, and a kube-apiserver that knows one HPA and lets who has a token ask for everything.
struct Cluster {
    network: String,
    kubeconfig: NamedTempFile,
}

impl Cluster {
    fn start() -> Self {
        let listener = listener();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, Router::new().fallback(kube_apiserver)).await.unwrap();
        });
        let server = format!("http://kube-apiserver:{port}");
        let kubeconfig = json!({
            "clusters": [{"name": "test", "cluster": {"server": server}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "current-context": "test",
        });
        Self { network: unique("e2e-images"), kubeconfig: file(&kubeconfig.to_string()) }
    }

    fn provider(&self, image: &Loaded, endpoint: &str) -> ContainerRequest<GenericImage> {
        hardened(image.image().with_exposed_port(8443.tcp()))
            .with_network(&self.network)
            .with_host("kube-apiserver", Host::HostGateway)
            .with_mount(mount(&self.kubeconfig, "/kubeconfig"))
            .with_env_var("KUBECONFIG", "/kubeconfig")
            .with_env_var("DD_API_KEY", "api")
            .with_env_var("DD_APP_KEY", "app")
            .with_env_var("DD_EXTERNAL_METRICS_PROVIDER_ENABLED", "true")
            .with_env_var("DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT", endpoint)
    }
}

async fn kube_apiserver(request: Request) -> Response {
    let watched = request.uri().query().is_some_and(|query| query.contains("watch="));
    match request.uri().path() {
        "/apis/authentication.k8s.io/v1/tokenreviews" => Json(json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "status": {"authenticated": true, "user": {"username": "test"}},
        }))
        .into_response(),
        "/apis/authorization.k8s.io/v1/subjectaccessreviews" => Json(json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {},
            "status": {"allowed": true},
        }))
        .into_response(),
        "/apis/autoscaling/v2/horizontalpodautoscalers" if watched => std::future::pending().await,
        "/apis/autoscaling/v2/horizontalpodautoscalers" => Json(json!({
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscalerList",
            "metadata": {"resourceVersion": "1"},
            "items": [{
                "metadata": {"name": "nginx", "namespace": "default", "uid": "1"},
                "spec": {
                    "maxReplicas": 5,
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "nginx"},
                    "metrics": [{"type": "External", "external": {
                        "metric": {
                            "name": "nginx.net.request_per_s",
                            "selector": {"matchLabels": {"kube_container_name": "nginx"}},
                        },
                        "target": {"type": "AverageValue", "averageValue": "9"},
                    }}],
                },
            }],
        }))
        .into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// An https server that knows no key; its port, and the authority that vouches for it.
async fn https() -> (u16, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["datadog.test".to_owned()]).unwrap();
    let authority = made.cert.pem();
    let key = made.signing_key.serialize_pem();
    let config = RustlsConfig::from_pem(authority.clone().into_bytes(), key.into_bytes());
    let config = config.await.unwrap();
    let listener = listener();
    let port = listener.local_addr().unwrap().port();
    let server = axum_server::from_tcp_rustls(listener, config).unwrap();
    let refuse = Router::new().fallback(|| async { StatusCode::FORBIDDEN });
    tokio::spawn(server.serve(refuse.into_make_service()));
    (port, authority)
}

/// On all addresses: that of the containers' gateway is not known here.
fn listener() -> TcpListener {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

// === containers ===

/// As the manifests have it.
fn hardened(image: GenericImage) -> ContainerRequest<GenericImage> {
    image
        .with_readonly_rootfs(true)
        .with_cap_drop("ALL")
        .with_security_opt("no-new-privileges")
        .with_startup_timeout(LIMIT)
}

/// What the kernel says about the container's process, not what was asked for.
fn as_nobody_with_no_rights(container: &ContainerAsync<GenericImage>) {
    let process = docker(&["inspect", "--format", "{{.State.Pid}}", container.id()]);
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("Uid:"), "65532 65532 65532 65532");
    assert_eq!(line("Gid:"), "65532 65532 65532 65532");
    assert_eq!(line("CapEff:"), "0000000000000000");
    assert_eq!(line("NoNewPrivs:"), "1");
    let mounts = fs::read_to_string(format!("/proc/{process}/mounts")).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap();
    assert!(root.contains(" ro,"), "{root}");
}

/// The line with `words` in what the container says.
async fn says(container: &ContainerAsync<GenericImage>, words: &str) -> String {
    let line = async {
        loop {
            for bytes in [container.stdout_to_vec().await, container.stderr_to_vec().await] {
                let said = String::from_utf8(bytes.unwrap()).unwrap();
                if let Some(line) = said.lines().find(|line| line.contains(words)) {
                    return line.to_owned();
                }
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(LIMIT, line).await.unwrap_or_else(|_| panic!("the container never said {words:?}"))
}

/// The body of the first answer that `good` likes.
async fn get(port: u16, path: &str, good: fn(StatusCode, &str) -> bool) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let mut last = String::new();
    let body = async {
        loop {
            let request =
                client.get(format!("https://127.0.0.1:{port}{path}")).bearer_auth("token");
            match request.send().await {
                Ok(response) => {
                    let status = response.status();
                    last = response.text().await.unwrap();
                    if good(status, &last) {
                        return last.clone();
                    }
                }
                Err(error) => last = error.to_string(),
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let body = timeout(LIMIT, body).await.ok();
    body.unwrap_or_else(|| panic!("no good answer from {path}, the last was: {last}"))
}

fn unique(name: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A file that everybody can read: the container's user is none of this machine's.
fn file(content: &str) -> NamedTempFile {
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content.as_bytes()).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
    file
}

fn mount(file: &NamedTempFile, path: &str) -> Mount {
    let mount = Mount::bind_mount(file.path().to_str().unwrap(), path);
    mount.with_access_mode(AccessMode::ReadOnly)
}
