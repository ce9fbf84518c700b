use std::io::Read;

use axum::{
    Json,
    body::{Body, to_bytes},
    http::Request,
    routing::get,
};
use clap::CommandFactory;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::Client;
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::{
    agent::{
        config::Settings,
        facts::{External, Metamap},
        status::tests::{leadership, snapshot},
    },
    api::health::Readiness,
    args::Args,
    datadog::client::Keys,
    store::Snapshot,
    telemetry::Recent,
};

/// A cluster with one HPA.
fn cluster(hpa: &HorizontalPodAutoscaler) -> Client {
    let list = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscalerList",
        "metadata": {}, "items": [hpa]});
    let answer = async move || Json(list);
    let router = Router::new().route("/apis/autoscaling/v2/horizontalpodautoscalers", get(answer));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        router.clone().oneshot(request.map(Body::new))
    });
    Client::new(service, "default")
}

fn hpa(annotation: &str) -> HorizontalPodAutoscaler {
    serde_json::from_value(json!({
        "metadata": {"name": "nginxext", "namespace": "default",
            "annotations": {"note": annotation}, "managedFields": [{"manager": "kubectl"}]},
        "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "nginx"}},
        "status": {"desiredReplicas": 1, "conditions": [{"type": "ScalingActive",
            "status": "False", "reason": "FailedGetExternalMetric", "message": annotation}]},
    }))
    .unwrap()
}

/// An agent with `snapshot`, run with `arguments`, that has said `line` in its log.
pub(crate) fn facts(
    arguments: &[&str],
    snapshot: Snapshot,
    line: &str,
    annotation: &str,
) -> Arc<Facts> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let command = Args::command();
    let arguments = ["datadog-cluster-agent", "run"].iter().chain(arguments);
    let matches = command.clone().try_get_matches_from(arguments).unwrap();
    let run = command.find_subcommand("run").unwrap();
    let settings = Settings::of(run, matches.subcommand().unwrap().1);
    let recent = Recent::default();
    let mut writer = tracing_subscriber::fmt::MakeWriter::make_writer(&recent);
    writer.write_all(line.as_bytes()).unwrap();
    let keys = Keys { api: "a".into(), app: "b".into() };
    let url = url::Url::parse("https://api.datadoghq.com").unwrap();
    let external = External {
        store: watch::channel(Arc::new(snapshot)).1,
        client: crate::datadog::Client::new(&url, keys, std::time::Duration::from_secs(1)).unwrap(),
        kube: cluster(&hpa(annotation)),
        config_map: Some("default/datadog-hpa".to_owned()),
        datadog_metrics: false,
    };
    let readiness = Readiness::new(CancellationToken::new());
    let warning = annotation.to_owned();
    let map = move || {
        json!({"Nodes": {"n1": {"services": {"default": {"nginx-1": ["nginx"]}}}},
            "Warnings": [warning]})
    };
    Arc::new(Facts {
        started: Timestamp::UNIX_EPOCH,
        pod: Some("dca-0".to_owned()),
        log_level: "info".to_owned(),
        settings: Arc::new(settings),
        recent,
        metrics: Arc::default(),
        readiness: readiness.with("demand", || Err("HPAs not read yet".to_owned())),
        election: true,
        leadership: watch::channel(leadership()).1,
        external: Some(external),
        metamap: Some(Metamap(Arc::new(map))),
    })
}

async fn flare(facts: &Arc<Facts>) -> Vec<(String, String)> {
    let request = Request::post("/flare").body(Body::empty()).unwrap();
    let answer = routes(facts.clone()).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    unpack(&bytes)
}

pub(crate) fn unpack(bytes: &[u8]) -> Vec<(String, String)> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..zip.len())
        .map(|index| {
            let mut file = zip.by_index(index).unwrap();
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        })
        .collect()
}

#[tokio::test]
async fn a_flare_holds_what_support_needs() {
    let facts = facts(&["--api-key=a"], snapshot(), "INFO it runs\n", "a note");
    let files = flare(&facts).await;
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    insta::assert_snapshot!(names.join("\n"), @r"
    config.json
    custom-metrics-provider.log
    envvars.log
    health.json
    hpas.yaml
    leader.json
    logs/datadog-cluster-agent.log
    metamap.log
    metrics.txt
    status.json
    status.log
    version.json
    ");
    let text = |wanted: &str| &files.iter().find(|(name, _)| name == wanted).unwrap().1;
    insta::assert_snapshot!(text("hpas.yaml"));
    insta::assert_snapshot!(text("metamap.log"));
    insta::assert_snapshot!(text("health.json"));
    assert_eq!(text("logs/datadog-cluster-agent.log"), "INFO it runs\n");
    assert!(text("custom-metrics-provider.log").contains("    ConfigMap name: datadog-hpa\n"));
    assert!(text("metrics.txt").ends_with("# EOF\n"));
    assert!(text("config.json").contains("\"variable\": \"DD_API_KEY\""));
    serde_json::from_str::<crate::agent::status::Status>(text("status.json")).unwrap();
}

/// Canaries in the flags, in files, in the log, in an error of Datadog, in a query, in an annotation
/// and a condition, in a URL.
#[tokio::test]
async fn no_file_of_a_flare_has_a_secret() {
    const KNOWN: &str = "canary-that-has-no-shape";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("app-key");
    std::fs::write(&file, "canary-of-a-file\n").unwrap();
    let file = format!("--app-key-file={}", file.display());
    let list = r#"[{"url": "https://u:canary-of-a-list@h", "api_key": "canary-key-in-list", "app_key": "b"}]"#;
    let arguments = [
        "--api-key=canary-that-has-no-shape",
        &file,
        "--endpoints",
        list,
        "--endpoint=ftp://user:canary-of-a-url@host",
        "--cluster-name=canary-that-has-no-shape",
    ];
    let said = "WARN sent canary-that-has-no-shape and canary-of-a-file and canary-key-in-list\n\
        DEBUG Authorization: Bearer canary-of-a-header to https://u:canary-of-a-log@h/\n";
    let annotation = "{\"api_key\":\"canary-of-json\"} token=canary-of-a-token canary-of-a-file";
    let key = "0123456789abcdef0123456789abcdef";
    let mut snapshot = snapshot();
    let mut entry = crate::testing::entry("avg:canary-of-a-file{*}");
    entry.last = Some((
        Timestamp::UNIX_EPOCH,
        crate::store::Outcome::Failed(Arc::new(crate::testing::rejected(&format!(
            "no {KNOWN}, {key}"
        )))),
    ));
    *snapshot.at_mut(0).unwrap() = entry;
    let facts = facts(&arguments, snapshot, said, annotation);
    let files = flare(&facts).await;
    for (name, text) in &files {
        assert!(!text.contains("canary-") && !text.contains(key), "{name}:\n{text}");
    }
    let hidden = |wanted: &str| {
        let (_, text) = files.iter().find(|(name, _)| name == wanted).unwrap();
        text.contains(scrub::MASK)
    };
    for name in [
        "config.json",
        "hpas.yaml",
        "logs/datadog-cluster-agent.log",
        "metamap.log",
        "status.json",
        "status.log",
        "custom-metrics-provider.log",
    ] {
        assert!(hidden(name), "{name}");
    }
    // The other answers of the port say no more of the keys.
    let router = crate::agent::commands(&facts);
    let request = Request::get("/config").body(Body::empty()).unwrap();
    let answer = router.oneshot(request).await.unwrap();
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("canary-"));
}

#[test]
fn the_same_files_make_the_same_zip() {
    let made = || {
        let files = vec![File::new("b", "2"), File::new("a", "1")];
        zip(files, &Scrubber::default(), "2026-11-25T12:00:02Z".parse().unwrap()).unwrap()
    };
    assert_eq!(made(), made());
    assert_eq!(unpack(&made()), [("a".into(), "1".into()), ("b".into(), "2".into())]);
}
