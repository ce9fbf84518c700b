//! The saved samples in a real kube-apiserver: its limits, its versions, its fields. Needs etcd and
//! kube-apiserver in `$E2E_ASSETS/bin`; skipped without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use provider::{
    api::selector,
    demand::{Autoscaler, Builder, Kind, MetricKey, Source},
    lead::{Leadership, Role},
    query::{Ask, Overrides, Query},
    sample::Sample,
    store::{Entry, Outcome, Snapshot, persist},
};
use serde_json::json;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

const NAME: &str = "datadog-custom-metrics";
const METRICS: usize = 10_000;

/// A program that ends with the test.
struct Program(Child);

impl Program {
    fn start(assets: &Path, name: &str, folder: &Path, arguments: &[String]) -> Self {
        let log = File::create(folder.join(format!("{name}.log"))).unwrap();
        let mut command = Command::new(assets.join(name));
        command.args(arguments).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn start(assets: &Path, folder: &Path) -> (Vec<Program>, Client) {
    let (client_port, peer_port, api_port) = (port(), port(), port());
    let at = |port: u16| format!("http://127.0.0.1:{port}");
    let path = |name: &str| folder.join(name).display().to_string();
    let etcd = [
        format!("--data-dir={}", path("etcd")),
        format!("--listen-client-urls={}", at(client_port)),
        format!("--advertise-client-urls={}", at(client_port)),
        format!("--listen-peer-urls={}", at(peer_port)),
        "--unsafe-no-fsync".to_owned(),
    ];
    let made = rcgen::generate_simple_self_signed(vec!["accounts".to_owned()]).unwrap();
    std::fs::write(path("accounts.crt"), made.cert.pem()).unwrap();
    std::fs::write(path("accounts.key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(path("tokens"), "test,admin,1,system:masters\n").unwrap();
    let apiserver = [
        format!("--etcd-servers={}", at(client_port)),
        format!("--secure-port={api_port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--endpoint-reconciler-type=none".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        format!("--token-auth-file={}", path("tokens")),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", path("accounts.crt")),
        format!("--service-account-signing-key-file={}", path("accounts.key")),
        format!("--cert-dir={}", path("certificates")),
    ];
    let programs = vec![
        Program::start(assets, "etcd", folder, &etcd),
        Program::start(assets, "kube-apiserver", folder, &apiserver),
    ];
    let mut config = Config::new(format!("https://127.0.0.1:{api_port}").parse().unwrap());
    config.accept_invalid_certs = true;
    config.auth_info.token = Some("test".to_owned().into());
    let client = Client::try_from(config).unwrap();
    let ready = async {
        let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
        while maps.list(&ListParams::default()).await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(120), ready).await.expect("kube-apiserver starts");
    (programs, client)
}

fn fleet(metrics: usize) -> Snapshot {
    let mut demand = Builder::default();
    for n in 0..metrics {
        let by = Autoscaler {
            kind: Kind::Hpa,
            namespace: format!("team-{:03}", n % 100),
            name: format!("web-{n:05}"),
            uid: "c5e1f5d4-3f0e-4d27-9d8e-5b2f6c0d7a11".to_owned(),
            created: None,
        };
        let name = "nginx.net.request_per_s".to_owned();
        let selector = format!("env=production,kube_deployment=web-{n:05}");
        let key = MetricKey::new(&by.namespace, &name, selector::parse(&selector).unwrap());
        demand.add(key, name, Source::Selector, Overrides::default(), by);
    }
    let now = Timestamp::now();
    let entries = (0..u32::try_from(metrics).unwrap()).map(|n| {
        let query = format!(
            "avg:nginx.net.request_per_s{{env:production,kube_deployment:web-{n:05}}}.rollup(30)"
        );
        Arc::new(Entry {
            ask: Ok(Ask { window: Duration::from_secs(300), query: Query::new(query) }),
            rollup: Some(Duration::from_secs(30)),
            age_limit: Duration::from_secs(86_400),
            fallback: None,
            since: now,
            sample: Some(Sample { value: f64::from(n) * 1.37, at: now }),
            last: Some((now, Outcome::Sampled)),
            last_error: None,
        })
    });
    let entries: Vec<_> = entries.collect();
    Snapshot::new(Arc::new(demand.build()), &entries)
}

/// Reads until the number of entries is this one.
async fn saved(client: &Client, metrics: usize) {
    let reading = async {
        while persist::read(client, "default", NAME).await.known.len() != metrics {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(120), reading).await.expect("as many entries as metrics");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_kube_apiserver_keeps_ten_thousand_samples() {
    let assets = std::env::var_os("E2E_ASSETS").map(|assets| PathBuf::from(assets).join("bin"));
    let Some(assets) = assets.filter(|it| it.join("kube-apiserver").exists()) else {
        return eprintln!("skipped: there is no kube-apiserver in E2E_ASSETS");
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (programs, client) = start(&assets, folder.path()).await;
    let (store, store_receiver) = watch::channel(Arc::new(fleet(METRICS)));
    let leads = Leadership { role: Role::Leader, ..Leadership::default() };
    let (_leadership, leadership) = watch::channel(leads);
    let stop = CancellationToken::new();
    let config = persist::Config {
        namespace: "default".to_owned(),
        name: NAME.to_owned(),
        period: Duration::from_secs(1),
    };
    let began = Instant::now();
    let running = tokio::spawn(persist::run(
        client.clone(),
        config,
        store_receiver,
        leadership,
        stop.clone(),
    ));
    saved(&client, METRICS).await;
    let took = began.elapsed();

    let maps = Api::<ConfigMap>::namespaced(client.clone(), "default");
    let ours = async || {
        let maps = maps.list(&ListParams::default()).await.unwrap();
        let maps = maps.items.into_iter();
        maps.filter(|map| map.metadata.name.as_ref().unwrap().starts_with(NAME)).collect::<Vec<_>>()
    };
    for map in ours().await {
        let fields = serde_json::to_string(&map.metadata.managed_fields).unwrap().len();
        let data: usize = map.data.iter().flatten().map(|(key, text)| key.len() + text.len()).sum();
        let name = map.metadata.name.unwrap();
        println!("{name}: {data} bytes, and {fields} of managed fields; all written in {took:?}");
        assert!(data < 900 << 10 && data + fields < 1_400_000);
    }

    // Garbage, then no ConfigMap at all: both are mended without a change of the store.
    let garbage = json!({"data": {"external_metric-horizontal-x-y-z": "{", "notes": "mine"}});
    maps.patch(NAME, &PatchParams::default(), &Patch::Merge(garbage)).await.unwrap();
    let swept = async {
        loop {
            let data = maps.get(NAME).await.unwrap().data.unwrap();
            if !data.contains_key("external_metric-horizontal-x-y-z") {
                return assert_eq!(data["notes"], "mine");
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), swept).await.expect("garbage is swept");
    maps.delete(NAME, &DeleteParams::default()).await.unwrap();
    saved(&client, METRICS).await;

    store.send_replace(Arc::new(fleet(10)));
    saved(&client, 10).await;
    stop.cancel();
    timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
    drop(programs);
}
