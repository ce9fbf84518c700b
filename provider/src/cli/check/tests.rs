use clap::Parser;

use super::*;
use crate::args::{Args, Command};

async fn check(arguments: &[&str]) -> Vec<Finding> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = ["datadog-cluster-agent", "check-config"].iter().chain(arguments);
    let command = Args::try_parse_from(arguments).unwrap().command;
    let Command::CheckConfig(args) = command else { panic!("not check-config") };
    all(&args).await
}

const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u, namespace: web}}]
clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443"}}]
users: [{name: u, user: {token: canary}}]
"#;

#[tokio::test]
async fn what_is_good_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, KUBECONFIG).unwrap();
    let file = format!("--kubeconfig={}", file.display());
    let on = "--external-metrics-provider-enabled";
    let findings = check(&[on, "--api-key=a", "--app-key=b", &file]).await;
    assert!(is_good(&findings));
    insta::assert_snapshot!(text(&findings, Paint::Plain));
}

#[tokio::test]
async fn all_that_is_wrong_is_said_at_once() {
    let findings = check(&[
        "--external-metrics-provider-enabled",
        "--log-level=loud",
        "--tls-cert-file=/nowhere/cert",
        "--tls-private-key-file=/nowhere/key",
        "--refresh-period=60",
        "--max-age=45",
        "--bucket-size=300",
        "--max-time-window=100",
        "--chunk-size=50",
        "--kubeconfig=/nowhere/config",
        "--api-key=<API_KEY>",
        "--app-key=b",
    ])
    .await;
    assert!(!is_good(&findings));
    insta::assert_snapshot!(text(&findings, Paint::Plain));
}

#[tokio::test]
async fn off_is_no_error() {
    let findings = check(&[]).await;
    assert!(is_good(&findings));
    let json = serde_json::to_string_pretty(&findings).unwrap();
    insta::assert_snapshot!(json);
}
