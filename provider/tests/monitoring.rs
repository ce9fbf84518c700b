//! Alerts and dashboard of `manifests/monitoring`: every metric in them is one that the provider
//! tells, and promtool finds nothing wrong with them.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::body::to_bytes;
use jiff::{SignedDuration, Timestamp};
use provider::{
    api::review,
    datadog::{Exchange, RateLimit},
    demand::{Autoscaler, Builder, Kind, MetricKey, Source},
    metrics::{Metrics, api::Request},
    query::{Ask, Overrides, Query},
    sample::Sample,
    selector::Selector,
    serve::{
        self,
        tls::metrics::{Expiry, Which},
    },
    store::{Asking, Entry, Outcome, Snapshot},
};
use serde_json::Value;

/// What Prometheus makes by itself, and what only a review counts (its own unit test has the name).
const OTHERS: [&str; 3] = ["up", "ALERTS", "reviews_total"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/monitoring")
}

fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(folder().join(file)).unwrap()).unwrap()
}

/// A provider that leads and has seen everything once.
async fn told() -> String {
    let metrics = Metrics::default();
    let (expiry, reviews) = (Expiry::default(), review::metrics::Metrics::default());
    let server = serve::metrics::Metrics::default();
    // Asked for, they are there.
    assert_eq!((server.open_connections(), server.failed_handshakes()), (0, 0));
    metrics.register_with(|registry| {
        server.register(registry);
        expiry.register(registry);
        reviews.register(registry);
    });
    let now = Timestamp::now();
    expiry.set(Which::Serving, now);
    metrics.api_request(Request { verb: "LIST", resource: "metric" }, 200, Duration::ZERO);
    metrics.served("external.metrics.k8s.io", now, now);
    let seconds = Duration::from_secs;
    let budget = RateLimit { limit: 1600, period: seconds(3600), remaining: 9, reset: seconds(9) };
    let exchange = Exchange {
        result: Ok(vec![]),
        endpoint: "https://api.datadoghq.com".into(),
        requests: 1,
        rate_limit: Some(budget),
        clock_skew: None,
    };
    metrics.datadog_request(&exchange, std::iter::empty(), now);
    metrics.set_external_metrics(&snapshot(now, budget), now);
    let body = to_bytes(metrics.encode().into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn snapshot(now: Timestamp, budget: RateLimit) -> Snapshot {
    let by = Autoscaler {
        kind: Kind::Hpa,
        namespace: "default".into(),
        name: "hpa".into(),
        uid: "1".into(),
        created: None,
    };
    let mut demand = Builder::default();
    let key = MetricKey::new("default", "m", Selector::default());
    demand.add(key, "m".into(), Source::Selector, Overrides::default(), by);
    let entry = Entry {
        ask: Ok(Ask { window: Duration::from_secs(300), query: Query::new("avg:m{*}") }),
        rollup: None,
        age_limit: Duration::from_secs(120),
        fallback: None,
        since: now,
        sample: Some(Sample { value: 1.0, at: now }),
        last: Some((now, Outcome::Sampled)),
        last_error: None,
    };
    let clock_skew = Some(SignedDuration::ZERO);
    let asking = Asking { budget: Some(budget), clock_skew, ..Asking::default() };
    Snapshot::new(Arc::new(demand.build()), &[Arc::new(entry)]).with(Arc::new(asking))
}

/// The names of the series in the text, as Prometheus has them.
fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split(['{', ' ']).next()?.to_owned())).collect()
}

/// The names in an expression of `PromQL`: a word before a selector, or one with an underscore that is no
/// function, label or variable.
fn metrics_in(expression: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for (at, _) in expression.match_indices('{') {
        let before = &expression[..at];
        let start = before.rfind(|c| !is_part(c)).map_or(0, |at| at + 1);
        found.insert(before[start..].to_owned());
    }
    found.remove("");
    found
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn metrics_are_found_in_an_expression() {
    let expression = "max by (a) (x_total{j=\"{\"}) / rate(y{}[5m]) > 1 and up == 1";
    assert_eq!(metrics_in(expression), BTreeSet::from(["x_total".to_owned(), "y".to_owned()]));
}

#[tokio::test]
async fn alerts_and_dashboard_use_only_metrics_that_there_are() {
    let mut told = names(&told().await);
    told.extend(OTHERS.map(str::to_owned));
    let dashboard = std::fs::read_to_string(folder().join("dashboard.json")).unwrap();
    let mut used = Vec::new();
    expressions(&yaml("rules.yaml"), &mut used);
    let alerts = used.len();
    expressions(&serde_json::from_str(&dashboard).unwrap(), &mut used);
    assert!(alerts > 15 && used.len() > alerts + 20, "{alerts} {}", used.len());
    for expression in used {
        let metrics = metrics_in(&expression);
        assert!(!metrics.is_empty(), "{expression}");
        for metric in metrics {
            assert!(told.contains(&metric), "no metric {metric} in {expression}\n{told:#?}");
        }
    }
}

#[tokio::test]
async fn the_documentation_has_all_metrics() {
    let page = include_str!("../../docs/monitoring.md");
    for name in names(&told().await) {
        let name = ["_bucket", "_sum", "_count", "_total"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(&name);
        assert!(page.contains(name), "docs/monitoring.md does not tell of {name}");
    }
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    let rules = yaml("rules.yaml");
    assert_eq!(rules["groups"], yaml("prometheus-rule.yaml")["spec"]["groups"]);
    let documentation = include_str!("../../docs/monitoring.md");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        for field in ["summary", "description", "remedy"] {
            assert!(rule["annotations"][field].is_string(), "{name} has no {field}");
        }
        assert!(rule["for"].is_string(), "{name} comes at once");
        assert!(documentation.contains(name), "docs/monitoring.md does not tell of {name}");
    }
}

#[test]
fn promtool_finds_nothing_wrong() {
    let promtool = match promtool() {
        Ok(program) => program,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    for arguments in [
        &["check", "rules", "rules.yaml"][..],
        &["check", "config", "--syntax-only", "scrape-config.yaml"],
        &["test", "rules", "test-rules.yaml"],
    ] {
        let ran = Command::new(&promtool).current_dir(folder()).args(arguments).output().unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}", said(&ran));
    }
}

#[tokio::test]
async fn prometheus_can_read_what_is_told() {
    let promtool = match promtool() {
        Ok(program) => program,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    // In the format of `promtool check metrics`, which knows no end mark; names that are Datadog's
    // are not to its taste, so that only what it cannot parse counts.
    std::fs::write(file.path(), told().await.replace("# EOF\n", "")).unwrap();
    let input = std::fs::File::open(file.path()).unwrap();
    let ran = Command::new(promtool).args(["check", "metrics"]).stdin(input).output().unwrap();
    let said = said(&ran);
    assert!(!said.contains("error while linting") && !said.contains("parsing error"), "{said}");
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it).into_owned()).concat()
}

/// The promtool of the environment or the PATH, else one that Go builds once (a quarter of an hour
/// on a small machine), or why there is none.
fn promtool() -> Result<PathBuf, String> {
    static PROGRAM: LazyLock<Result<PathBuf, String>> = LazyLock::new(find_or_build);
    PROGRAM.clone()
}

fn find_or_build() -> Result<PathBuf, String> {
    if let Some(given) = std::env::var_os("PROMTOOL") {
        return Ok(given.into());
    }
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).join("promtool");
    if built.is_file() {
        return Ok(built);
    }
    if Command::new("promtool").arg("--version").output().is_ok() {
        return Ok("promtool".into());
    }
    Command::new("go")
        .arg("version")
        .output()
        .map_err(|_| "neither promtool nor Go is installed")?;
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promtool");
    let run = |arguments: &[&str]| {
        Command::new("go").current_dir(&module).args(arguments).output().unwrap()
    };
    let fetched = run(&["mod", "download"]);
    if !fetched.status.success() {
        return Err(format!("no Go modules: {}", said(&fetched)));
    }
    // Under another name first: a build that is broken off leaves nothing to be taken for whole.
    let partial = built.with_extension(format!("{}.partial", std::process::id()));
    let made = run(&[
        "build",
        "-mod=readonly",
        "-tags=remove_all_sd",
        "-o",
        partial.to_str().unwrap(),
        "github.com/prometheus/prometheus/cmd/promtool",
    ]);
    assert!(made.status.success(), "{}", said(&made));
    std::fs::rename(&partial, &built).unwrap();
    Ok(built)
}
