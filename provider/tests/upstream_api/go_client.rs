//! Kubernetes' own client, which is a Go module, reads from the API over TLS (`tests/go`).

use std::{
    collections::BTreeMap,
    io::Write,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use provider::serve::{
    self,
    client_certs::AnyClient,
    tls::{Certificates, Source, files::Files, metrics::Expiry},
};
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::upstream_api::fixture::{Metric, QUERY, router};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON: &str = "application/json";
const METRICS: [Metric; 5] = [
    Metric { name: "Queue.Depth", selector: "queue=A.b", value: Some(1.5) },
    Metric { name: "picky", selector: "a in (x,y),!b,c,d notin (z)", value: Some(1_500_000.0) },
    Metric { name: "errors|rate(5m)", selector: "", value: Some(-0.000_25) },
    Metric { name: "huge", selector: "", value: Some(9.0e15) },
    Metric { name: "silent", selector: "", value: None },
];

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    requests: usize,
    uri: String,
    accept: String,
    content_type: String,
    items: Option<Vec<Item>>,
    error: Option<Fault>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Item {
    metric: String,
    /// None in protobuf is an empty map in JSON.
    labels: Option<BTreeMap<String, String>>,
    timestamp: String,
    window: Option<i64>,
    value: String,
    milli: i64,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fault {
    is_status: bool,
    code: u16,
    reason: String,
    message: String,
    not_found: bool,
    retry: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_of_the_hpa_controller_reads_values_and_errors() {
    let program = match spawn_blocking(build).await.unwrap() {
        Ok(program) => program,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let (router, now) = router(&METRICS);
    let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let listener = serve::bind(Some(Ipv4Addr::LOCALHOST.into()), 0, "nothing").unwrap();
    let server = format!("https://{}", listener.local_addr().unwrap());
    let source = Source::Files(Files { certificate: certificate.clone(), key });
    let certificates = Certificates::start(&source, &[], Expiry::default()).unwrap();
    let tls = serve::tls::config(&certificates, Arc::new(AnyClient::default()));
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve::Server::default().run(listener, tls, router, stop.clone()));

    for content_type in [PROTOBUF, JSON] {
        let command = ask(&program, &server, &certificate, content_type);
        let answers = spawn_blocking(command).await.unwrap();
        check(&answers, content_type, &now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}

/// The program, or why it cannot be had. Where its modules are, it must compile.
fn build() -> Result<PathBuf, String> {
    let go = "go";
    Command::new(go).arg("version").output().map_err(|_| "Go is not installed")?;
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go");
    let run = |arguments: &[&str]| {
        Command::new(go).current_dir(&module).args(arguments).output().unwrap()
    };
    let fetched = run(&["mod", "download"]);
    if !fetched.status.success() {
        return Err(format!("no Go modules: {}", String::from_utf8_lossy(&fetched.stderr)));
    }
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("external-metrics-client");
    let built = run(&["build", "-mod=readonly", "-o", program.to_str().unwrap()]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Ok(program)
}

fn ask(
    program: &Path,
    server: &str,
    ca: &Path,
    content_type: &str,
) -> impl FnOnce() -> Vec<Answer> + Send + 'static {
    let mut command = Command::new(program);
    command.args(["-server", server, "-content-type", content_type, "-ca"]).arg(ca);
    let question = |metric: &str, selector| json!({"namespace": "default", "metric": metric, "selector": selector});
    let picky = json!({
        "matchLabels": {},
        "matchExpressions": [
            {"key": "d", "operator": "NotIn", "values": ["z"]},
            {"key": "c", "operator": "Exists"},
            {"key": "b", "operator": "DoesNotExist"},
            {"key": "a", "operator": "In", "values": ["y", "x"]},
        ],
    });
    let questions = json!([
        question("Queue.Depth", json!({"matchLabels": {"queue": "A.b"}})),
        question("picky", picky),
        question("errors|rate(5m)", json!(null)),
        question("huge", json!({})),
        question("silent", json!(null)),
        question("unknown", json!(null)),
    ]);
    move || {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(questions.to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let mut answers: Vec<Answer> = serde_json::from_slice(&output.stdout).unwrap();
        for item in answers.iter_mut().filter_map(|answer| answer.items.as_mut()).flatten() {
            item.labels.get_or_insert_default();
        }
        answers
    }
}

fn check(answers: &[Answer], content_type: &str, timestamp: &str) {
    for answer in answers {
        assert_eq!(answer.requests, 1, "{answer:?}");
        assert_eq!(answer.content_type, content_type, "{answer:?}");
        assert_eq!(answer.accept, format!("{content_type}, */*"), "{answer:?}");
    }
    let item = |metric: &str, labels: Option<(String, String)>, value: &str, milli| Item {
        metric: metric.to_owned(),
        labels: Some(BTreeMap::from_iter(labels)),
        timestamp: timestamp.to_owned(),
        window: Some(30),
        value: value.to_owned(),
        milli,
    };
    let [depth, picky, rate, huge, silent, unknown] = answers else { panic!("{answers:?}") };
    assert!(depth.uri.ends_with("/default/queue.depth?labelSelector=queue%3DA.b"), "{depth:?}");
    let value = item("Queue.Depth", Some(("queue".to_owned(), "A.b".to_owned())), "1500m", 1500);
    assert_eq!(depth.items.as_deref(), Some([value].as_slice()));
    assert!(
        picky.uri.ends_with("labelSelector=a+in+%28x%2Cy%29%2C%21b%2Cc%2Cd+notin+%28z%29"),
        "{picky:?}"
    );
    let value = item("picky", None, "1500k", 1_500_000_000);
    assert_eq!(picky.items.as_deref(), Some([value].as_slice()));
    for (answer, milli) in [(rate, -1), (huge, 9_000_000_000_000_000_000)] {
        let items = answer.items.as_deref().unwrap_or_default();
        assert_eq!(items.iter().map(|item| item.milli).collect::<Vec<_>>(), [milli], "{answer:?}");
    }
    let silence = format!(
        "Returned series slice empty: Datadog has no series for {QUERY} in the last 300s, check the \
         metric's name and tags"
    );
    let stranger = "no HPA in namespace default wants the external metric unknown with selector {}";
    for (answer, message) in [(silent, silence.as_str()), (unknown, stranger)] {
        let expected = Fault {
            is_status: true,
            code: 404,
            reason: "NotFound".to_owned(),
            message: message.to_owned(),
            not_found: true,
            retry: 0,
        };
        assert_eq!(answer.error.as_ref(), Some(&expected));
        assert_eq!(answer.items, None);
    }
}
