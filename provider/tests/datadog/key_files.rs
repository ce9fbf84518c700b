//! Keys that change in their files while the provider runs.

use std::{fs, path::Path};

use provider::datadog::{
    endpoints::Endpoint as Place,
    keys::{KeyRing, Kind, Source, Value},
};

use super::*;

fn from_files(fake: &FakeDatadog, folder: &Path) -> Client {
    let source = |kind, setting: &str, name: &str| {
        let value = Value::File(folder.join(name));
        Source { kind, setting: setting.to_owned(), value }
    };
    let api = source(Kind::Api, "DD_API_KEY_FILE", "api");
    let app = source(Kind::App, "DD_APP_KEY_FILE", "app");
    let keys = KeyRing::new(api, app).unwrap();
    let place = Place { url: fake.url().clone(), keys, setting: "DD_SITE".into() };
    Client::of(vec![place], TIMEOUT).unwrap()
}

fn write(folder: &Path, api: &str, app: &str) {
    fs::write(folder.join("api"), api).unwrap();
    fs::write(folder.join("app"), app).unwrap();
}

#[tokio::test]
async fn new_keys_are_taken_at_once_when_the_old_ones_are_refused() {
    let (fake, folder) = (fake().await, tempfile::tempdir().unwrap());
    write(folder.path(), "old", "old");
    let client = from_files(&fake, folder.path());
    let error = error_of(&client).await;
    assert!(error.to_string().ends_with("check DD_API_KEY_FILE, DD_APP_KEY_FILE and DD_SITE"));
    assert_eq!(fake.requests().total, 1, "the same keys are not tried again");

    let (api, app) = (fake_datadog::keys::DEFAULT_API_KEY, fake_datadog::keys::DEFAULT_APP_KEY);
    write(folder.path(), api, app);
    let exchange = ask_one(&client).await;
    assert!(exchange.result.is_ok(), "{:?}", exchange.result);
    assert_eq!(exchange.requests, 2, "the refused one and the good one");
    assert_eq!(ask_one(&client).await.requests, 1);
}

#[tokio::test]
async fn a_file_that_is_gone_leaves_the_keys_in_use() {
    let (fake, folder) = (fake().await, tempfile::tempdir().unwrap());
    let (api, app) = (fake_datadog::keys::DEFAULT_API_KEY, fake_datadog::keys::DEFAULT_APP_KEY);
    write(folder.path(), api, app);
    let client = from_files(&fake, folder.path());
    fs::remove_file(folder.path().join("api")).unwrap();
    fake.fault(Fault::new("revoked", Effect::KeyRevoked(vec!["*".into()])).times(1)).unwrap();
    assert!(matches!(error_of(&client).await, Error::Forbidden { .. }));
    assert!(ask_one(&client).await.result.is_ok());
}

/// What the program ends with when it is started with these arguments, and nothing in its
/// environment.
fn end_of_start(arguments: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_datadog-cluster-agent"))
        .env_clear()
        .args(["run", "--external-metrics-provider-enabled", "--port=0"])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let ends: Vec<_> =
        errors.lines().filter(|line| line.starts_with("datadog-cluster-agent: ")).collect();
    (output.status.code(), ends.join("\n"))
}

#[test]
fn a_start_without_usable_keys_ends_with_one_line() {
    let check = |arguments: &[&str], line: &str| {
        let expected = (Some(1), format!("datadog-cluster-agent: {line}"));
        assert_eq!(end_of_start(arguments), expected, "{arguments:?}");
    };
    check(
        &["--app-key=b"],
        "neither DD_API_KEY nor DD_API_KEY_FILE is set: an API key is needed to query Datadog",
    );
    check(
        &["--api-key=a", "--app-key=<APP_KEY>"],
        "DD_APP_KEY still is the placeholder <APP_KEY>, put your key there",
    );
    check(
        &["--api-key=a", "--app-key-file=/nowhere"],
        "DD_APP_KEY_FILE (/nowhere) cannot be read (No such file or directory (os error 2)), correct the path or mount the Secret there",
    );
    check(
        &["--api-key=a", "--app-key=b", "--endpoints=[{\"site\": \"datadoghq.eu\"}]"],
        "endpoint 1 of DD_EXTERNAL_METRICS_PROVIDER_ENDPOINTS has neither api_key nor api_key_file",
    );
}
