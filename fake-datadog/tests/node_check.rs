//! The node check against real sockets: status pages, Datadog's intake and the Kubernetes API are
//! small servers in this process.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    io::Write,
    sync::{Arc, Once},
    time::Duration,
};

use axum::http::StatusCode;
use fake_datadog::{
    FakeDatadog, keys,
    node_check::{
        self, Args, SubmitError,
        round::{Checker, Config, Round},
    },
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

#[path = "node_check/servers.rs"]
mod servers;

use crate::servers::{Pages, Server, Submission, intake, kubernetes, nowhere};

const INTERVAL: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(20);
const KEY: &str = "a key for tests";

// === fixtures ===

fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::ring::default_provider().install_default().unwrap();
    });
}

fn pod_json(name: &str, pages: &Server) -> Value {
    let url = format!("http://%%host%%:{}/{name}", pages.address.port());
    json!({
        "metadata": {
            "name": name, "namespace": "default", "uid": name,
            "annotations": {
                "ad.datadoghq.com/nginx.check_names": r#"["nginx"]"#,
                "ad.datadoghq.com/nginx.init_configs": "[{}]",
                "ad.datadoghq.com/nginx.instances": json!([{"nginx_status_url": url}]).to_string(),
            },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "nginx-6d4cf56db6",
                "uid": "1", "controller": true,
            }],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "nginx"}]},
        "status": {"phase": "Running", "podIP": "127.0.0.1"},
    })
}

fn pod(name: &str, pages: &Server) -> Arc<Pod> {
    Arc::new(serde_json::from_value(pod_json(name, pages)).unwrap())
}

fn broken_pod() -> Arc<Pod> {
    let json = json!({
        "metadata": {
            "name": "broken", "namespace": "default",
            "annotations": {"ad.datadoghq.com/nginx.check_names": "[nginx"},
        },
        "spec": {"containers": [{"name": "nginx"}]},
        "status": {"phase": "Running", "podIP": "127.0.0.1"},
    });
    Arc::new(serde_json::from_value(json).unwrap())
}

fn checker(datadog: &Server, shared: Option<&Server>) -> Checker {
    checker_of(format!("http://{}", datadog.address).parse().unwrap(), KEY, shared)
}

fn checker_of(datadog_url: Url, api_key: &str, shared: Option<&Server>) -> Checker {
    install_crypto_provider();
    Checker::new(Config {
        datadog_url,
        api_key: api_key.into(),
        interval: INTERVAL,
        shared_status_url: shared
            .map(|server| format!("http://{}/shared", server.address).parse().unwrap()),
        cluster_agent: None,
    })
    .unwrap()
}

/// A round when the one before it says that it is time, and when it was.
async fn timed_round(checker: &mut Checker, pods: &[Arc<Pod>], before: Option<&Timed>) -> Timed {
    if let Some(before) = before {
        tokio::time::sleep(before.round.until_next).await;
    }
    let start = Instant::now();
    let round = checker.round(pods).await;
    Timed { round, start, end: Instant::now() }
}

struct Timed {
    round: Round,
    start: Instant,
    end: Instant,
}

/// Asserts that `rate` is `increase` over some time that can lie between reads in these rounds.
#[track_caller]
fn assert_rate(rate: f64, increase: f64, first: &Timed, second: &Timed) {
    let shortest = second.start - first.end;
    let longest = second.end - first.start;
    let possible = increase / longest.as_secs_f64()..=increase / shortest.as_secs_f64();
    assert!(possible.contains(&rate), "{rate} is not in {possible:?}");
}

/// The values of a metric in a submission, by pod.
fn values(submission: &Submission, metric: &str) -> Vec<(String, f64)> {
    let series = submission.1["series"].as_array().unwrap();
    let mut values: Vec<_> = series
        .iter()
        .filter(|series| series["metric"] == metric)
        .map(|series| {
            let tags = series["tags"].as_array().unwrap();
            let pod = tags.iter().find_map(|tag| tag.as_str()?.strip_prefix("pod_name:"));
            (pod.unwrap().to_owned(), series["points"][0][1].as_f64().unwrap())
        })
        .collect();
    values.sort_by(|one, other| one.0.cmp(&other.0));
    values
}

// === tests of rounds ===

#[tokio::test]
async fn the_second_round_submits_the_rate_of_each_pod_with_the_agents_tags() {
    let pages = Pages::default();
    let nginx = pages.serve().await;
    let (datadog, mut submissions) = intake(StatusCode::ACCEPTED).await;
    let mut checker = checker(&datadog, None);
    let pods = [pod("a", &nginx), pod("b", &nginx)];

    pages.set("a", 1000);
    pages.set("b", 50);
    let first = timed_round(&mut checker, &pods, None).await;
    let submission = submissions.recv().await.unwrap();
    assert_eq!(first.round.submitted.as_ref().unwrap(), &8);
    assert_eq!(values(&submission, "nginx.net.request_per_s"), []);
    assert_eq!(values(&submission, "nginx.net.waiting"), [("a".into(), 3.0), ("b".into(), 3.0)]);

    pages.set("a", 1025);
    pages.set("b", 50);
    let second = timed_round(&mut checker, &pods, Some(&first)).await;
    let submission = submissions.recv().await.unwrap();
    assert_eq!(second.round.submitted.as_ref().unwrap(), &14);
    let rates = values(&submission, "nginx.net.request_per_s");
    assert_rate(rates[0].1, 25.0, &first, &second);
    assert_eq!(rates[1], ("b".into(), 0.0));
    assert_eq!(
        values(&submission, "nginx.net.conn_dropped_per_s"),
        [("a".into(), 0.0), ("b".into(), 0.0)]
    );

    let (key, body) = &submission;
    assert_eq!(key, KEY);
    let of_a: Vec<_> = body["series"].as_array().unwrap().iter().take(7).collect();
    for series in of_a {
        assert_eq!((&series["type"], &series["host"]), (&json!("gauge"), &json!("node-1")));
        assert_eq!(series["tags"].as_array().unwrap().len(), 4);
        assert!(series["points"][0][0].is_i64());
    }
    assert!(
        body["series"][0]["tags"].as_array().unwrap().contains(&json!("kube_deployment:nginx"))
    );
}

#[tokio::test]
async fn neither_a_broken_pod_nor_a_dead_one_hurts_the_others() {
    let pages = Pages::default();
    let nginx = pages.serve().await;
    let (datadog, mut submissions) = intake(StatusCode::ACCEPTED).await;
    let mut checker = checker(&datadog, None);
    let pods = [broken_pod(), pod("dead", &nginx), pod("a", &nginx)];

    pages.set("a", 1);
    let Timed { round, .. } = timed_round(&mut checker, &pods, None).await;
    assert_eq!((round.targets, round.read, round.failed), (2, 1, 1));
    let submission = submissions.recv().await.unwrap();
    assert_eq!(values(&submission, "nginx.net.connections"), [("a".into(), 6.0)]);
}

#[tokio::test]
async fn after_a_failed_read_the_next_rate_is_one_over_both_intervals() {
    let pages = Pages::default();
    let nginx = pages.serve().await;
    let (datadog, mut submissions) = intake(StatusCode::ACCEPTED).await;
    let mut checker = checker(&datadog, None);
    let pods = [pod("a", &nginx)];

    pages.set("a", 100);
    let first = timed_round(&mut checker, &pods, None).await;
    submissions.recv().await.unwrap();
    pages.remove("a");
    let second = timed_round(&mut checker, &pods, Some(&first)).await;
    assert_eq!((second.round.failed, second.round.submitted.as_ref().unwrap()), (1, &0));
    pages.set("a", 160);
    let third = timed_round(&mut checker, &pods, Some(&second)).await;
    let submission = submissions.recv().await.unwrap();
    assert_rate(values(&submission, "nginx.net.request_per_s")[0].1, 60.0, &first, &third);
}

#[tokio::test]
async fn a_shared_page_is_divided_among_the_pods_and_read_without_any() {
    let pages = Pages::default();
    let nginx = pages.serve().await;
    let (datadog, mut submissions) = intake(StatusCode::ACCEPTED).await;
    let mut checker = checker(&datadog, Some(&nginx));

    pages.set("shared", 7000);
    let first = timed_round(&mut checker, &[], None).await;
    assert_eq!((first.round.read, first.round.submitted.as_ref().unwrap()), (1, &0));

    pages.set("shared", 7075);
    let pods = [pod("a", &nginx), pod("b", &nginx), pod("c", &nginx)];
    let second = timed_round(&mut checker, &pods, Some(&first)).await;
    let submission = submissions.recv().await.unwrap();
    let rates = values(&submission, "nginx.net.request_per_s");
    assert_eq!(rates.len(), 3);
    assert!(rates.iter().all(|rate| (rate.1 - rates[0].1).abs() < f64::EPSILON));
    assert_rate(rates.iter().map(|rate| rate.1).sum(), 75.0, &first, &second);
    assert_eq!(values(&submission, "nginx.net.connections")[0], ("a".into(), 2.0));
    assert!(submissions.is_empty(), "nothing was submitted for the round without pods");
}

#[tokio::test]
async fn a_rejected_key_is_told_apart_and_the_check_goes_on() {
    #[track_caller]
    fn check(submitted: &Result<usize, SubmitError>, status: StatusCode) {
        let expected = match submitted {
            Err(SubmitError::KeyRejected { .. }) => StatusCode::FORBIDDEN,
            Err(SubmitError::Status { status, .. }) => *status,
            other => panic!("{other:?}"),
        };
        assert_eq!(expected, status);
        assert!(!submitted.as_ref().unwrap_err().to_string().contains(KEY));
    }
    let pages = Pages::default();
    pages.set("a", 1);
    let nginx = pages.serve().await;
    for status in [StatusCode::FORBIDDEN, StatusCode::SERVICE_UNAVAILABLE] {
        let (datadog, mut submissions) = intake(status).await;
        let mut checker = checker(&datadog, None);
        let pods = [pod("a", &nginx)];
        let first = timed_round(&mut checker, &pods, None).await;
        check(&first.round.submitted, status);
        let second = timed_round(&mut checker, &pods, Some(&first)).await;
        check(&second.round.submitted, status);
        submissions.recv().await.unwrap();
        let submission = submissions.recv().await.unwrap();
        assert_eq!(values(&submission, "nginx.net.request_per_s").len(), 1);
    }
}

#[tokio::test]
async fn an_intake_that_is_not_there_fails_the_submission_only() {
    let pages = Pages::default();
    pages.set("a", 1);
    let nginx = pages.serve().await;
    let gone = nowhere().await;
    let mut checker = checker(&gone, None);
    let Timed { round, .. } = timed_round(&mut checker, &[pod("a", &nginx)], None).await;
    assert_eq!(round.read, 1);
    assert!(matches!(round.submitted, Err(SubmitError::Request(_))));
}

#[tokio::test]
async fn what_the_check_submits_is_what_a_query_finds() {
    install_crypto_provider();
    let pages = Pages::default();
    let nginx = pages.serve().await;
    let datadog = FakeDatadog::start().await.unwrap();
    let mut checker = checker_of(datadog.url().clone(), keys::DEFAULT_API_KEY, Some(&nginx));
    let pods = [pod("a", &nginx), pod("b", &nginx), pod("c", &nginx)];

    pages.set("shared", 7000);
    let first = timed_round(&mut checker, &pods, None).await;
    pages.set("shared", 7027);
    let second = timed_round(&mut checker, &pods, Some(&first)).await;
    assert_eq!(second.round.submitted.as_ref().unwrap(), &21);

    let now = Timestamp::now().as_second();
    let query =
        "sum:nginx.net.request_per_s{kube_container_name:nginx,kube_deployment:nginx}.rollup(1)";
    let answer: Value = reqwest::Client::new()
        .get(datadog.url().join("api/v1/query").unwrap())
        .header("DD-API-KEY", keys::DEFAULT_API_KEY)
        .header("DD-APPLICATION-KEY", keys::DEFAULT_APP_KEY)
        .query(&[("from", now - 60), ("to", now)])
        .query(&[("query", query)])
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let points = answer["series"][0]["pointlist"].as_array().unwrap();
    let value = points.iter().rev().find_map(|point| point[1].as_f64()).unwrap();
    assert_rate(value, 27.0, &first, &second);
}

// === test of the whole ===

#[tokio::test]
async fn the_check_finds_its_pods_in_the_cluster_and_stops_when_told() {
    install_crypto_provider();
    let pages = Pages::default();
    pages.set("a", 1);
    let nginx = pages.serve().await;
    let (datadog, mut submissions) = intake(StatusCode::ACCEPTED).await;
    let (cluster, mut selectors) = kubernetes(vec![pod_json("a", &nginx)]).await;
    let mut kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let content = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": format!("http://{}", cluster.address)}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    kubeconfig.write_all(content.to_string().as_bytes()).unwrap();

    let stop = CancellationToken::new();
    let args = Args {
        datadog_url: format!("http://{}/", datadog.address).parse().unwrap(),
        api_key: KEY.into(),
        interval: INTERVAL,
        kubeconfig: Some(kubeconfig.path().to_owned()),
        node: Some("node-1".into()),
        namespace: None,
        shared_status_url: None,
        cluster_agent_enabled: false,
        cluster_agent_url: "https://127.0.0.1:1".parse().unwrap(),
        cluster_agent_auth_token: None,
    };
    let check = tokio::spawn(node_check::run(args, stop.clone()));
    tokio::time::timeout(DEADLINE, async {
        assert_eq!(selectors.recv().await.unwrap().as_deref(), Some("spec.nodeName=node-1"));
        let first = submissions.recv().await.unwrap();
        assert_eq!(values(&first, "nginx.net.request_per_s"), []);
        let second = submissions.recv().await.unwrap();
        assert_eq!(values(&second, "nginx.net.request_per_s"), [("a".into(), 0.0)]);
        stop.cancel();
        check.await.unwrap().unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_kubeconfig_that_is_not_there_is_named() {
    install_crypto_provider();
    let args = Args {
        datadog_url: "http://127.0.0.1:1".parse().unwrap(),
        api_key: KEY.into(),
        interval: INTERVAL,
        kubeconfig: Some("does/not/exist.yaml".into()),
        node: None,
        namespace: None,
        shared_status_url: None,
        cluster_agent_enabled: false,
        cluster_agent_url: "https://127.0.0.1:1".parse().unwrap(),
        cluster_agent_auth_token: None,
    };
    let error = node_check::run(args, CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot read the kubeconfig does/not/exist.yaml");
}
