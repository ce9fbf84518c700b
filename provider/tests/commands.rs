//! The commands as a shell runs them: the built binary, its standard output, its exit code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    path::Path,
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_datadog-cluster-agent");
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Runs `program` with nothing in its environment but `variables`.
fn run(program: impl AsRef<Path>, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

/// Standard output of a run that must succeed.
fn said(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(BINARY, arguments, variables);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Exit code and standard error.
fn failed(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = run(BINARY, arguments, variables);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// A port on which nobody listens.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn env_shows_no_key_also_when_called_by_a_link() {
    let variables = [
        ("DD_SITE", "datadoghq.eu"),
        ("DD_CLUSTER_AGENT_AUTH_TOKEN", KEY),
        ("DD_API_KEY", KEY),
        ("NOTE", "the key is 0123456789abcdef0123456789abcdef"),
    ];
    let expected = "\
        DD_API_KEY=(32 characters, fingerprint 3eb1bd43)\n\
        DD_CLUSTER_AGENT_AUTH_TOKEN=(32 characters, fingerprint 3eb1bd43)\n\
        DD_SITE=datadoghq.eu\n\
        NOTE=the key is ********\n";
    assert_eq!(said(&["env"], &variables), expected);
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("env");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let output = run(&link, &[], &variables);
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let json: serde_json::Value =
        serde_json::from_str(&said(&["env", "--json"], &variables)).unwrap();
    assert_eq!(json["DD_SITE"], "datadoghq.eu");
}

#[test]
fn version_and_completion_ask_nobody() {
    let version = said(&["version"], &[]);
    assert_eq!(version, said(&["--version"], &[]));
    let json: serde_json::Value = serde_json::from_str(&said(&["version", "--json"], &[])).unwrap();
    assert_eq!(format!("datadog-cluster-agent {}\n", json["version"].as_str().unwrap()), version);
    assert!(said(&["completion", "bash"], &[]).contains("complete -F"));
}

#[test]
fn a_configuration_is_good_or_says_all_that_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("config");
    let text = "{apiVersion: v1, kind: Config, current-context: c, users: [], \
        contexts: [{name: c, context: {cluster: c}}], \
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]}";
    std::fs::write(&kubeconfig, text).unwrap();
    let kubeconfig = kubeconfig.to_str().unwrap();
    let on = ("DD_EXTERNAL_METRICS_PROVIDER_ENABLED", "true");
    let good = [on, ("DD_API_KEY", KEY), ("DD_APP_KEY", KEY), ("KUBECONFIG", kubeconfig)];
    let text = said(&["check-config"], &good);
    assert!(text.lines().all(|line| line.starts_with("ok ")), "{text}");
    let bad = [on, ("DD_LOG_LEVEL", "loud"), ("KUBECONFIG", kubeconfig)];
    let output = run(BINARY, &["check-config", "--json"], &bad);
    assert_eq!(output.status.code(), Some(1));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors = findings.as_array().unwrap().iter().filter(|it| it["level"] == "error");
    assert_eq!(errors.count(), 2, "{findings}");
}

#[tokio::test]
async fn online_datadog_is_asked_about_the_keys() {
    let fake = fake_datadog::FakeDatadog::start().await.unwrap();
    let url = fake.url().to_string();
    let check = |key: &'static str| {
        let url = url.clone();
        let run = move || {
            let variables = [
                ("DD_EXTERNAL_METRICS_PROVIDER_ENABLED", "true"),
                ("DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT", url.as_str()),
                ("DD_API_KEY", key),
                ("DD_APP_KEY", fake_datadog::keys::DEFAULT_APP_KEY),
            ];
            let output = run(BINARY, &["check-config", "--online"], &variables);
            String::from_utf8(output.stdout).unwrap()
        };
        tokio::task::spawn_blocking(run)
    };
    let good = check(fake_datadog::keys::DEFAULT_API_KEY).await.unwrap();
    assert!(good.contains("ok       Datadog takes the keys at http://127.0.0.1"), "{good}");
    let bad = check("wrong").await.unwrap();
    assert!(bad.contains("error    Datadog rejects the keys at "), "{bad}");
}

#[test]
fn without_an_agent_there_is_one_line_and_an_exit_code() {
    let port = free_port();
    for command in ["status", "health", "metamap", "config"] {
        let (code, line) = failed(&[command], &[("DD_CLUSTER_AGENT_CMD_PORT", &port)]);
        assert_eq!(code, Some(1));
        let start = format!("datadog-cluster-agent: no agent at 127.0.0.1:{port} (");
        assert!(line.starts_with(&start) && line.lines().count() == 1, "{line}");
    }
}

#[test]
fn config_is_to_be_had_without_an_agent() {
    let variables = [("DD_SITE", "datadoghq.eu"), ("DD_API_KEY", KEY)];
    let text = said(&["config", "--local"], &variables);
    let line = |start: &str| {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(start));
        line.unwrap().split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("DD_SITE"), "environment datadoghq.eu");
    assert_eq!(line("DD_API_KEY"), "environment (32 characters, fingerprint 3eb1bd43)");
    assert_eq!(line("DD_EXTERNAL_METRICS_PROVIDER_ROLLUP"), "default 30");
    assert_eq!(line("DD_CLUSTER_NAME"), "default (not set)");
}

#[test]
fn without_an_agent_a_flare_is_made_locally() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let temporary = folder.path().to_str().unwrap();
    let variables =
        [("DD_CLUSTER_AGENT_CMD_PORT", port.as_str()), ("DD_API_KEY", KEY), ("TMPDIR", temporary)];
    let output = run(BINARY, &["flare"], &variables);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("initiating flare locally"));
    let path = String::from_utf8(output.stdout).unwrap();
    let path = Path::new(path.trim());
    assert_eq!(path.parent(), Some(folder.path()));
    let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut names = Vec::new();
    for index in 0..zip.len() {
        let mut file = zip.by_index(index).unwrap();
        let text = std::io::read_to_string(&mut file).unwrap();
        assert!(!text.contains(KEY));
        names.push(file.name().unwrap().into_owned());
    }
    assert_eq!(names, ["config.json", "envvars.log", "local", "version.json"]);
    let output = run(BINARY, &["flare", "--out", "-"], &variables);
    assert!(output.stdout.starts_with(b"PK"));
}
