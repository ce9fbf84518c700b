//! Keys that change in their files while the provider runs.

use std::{fs, path::Path};

use provider::datadog::{
    endpoints::Endpoint as Place,
    keys::{KeyRing, Kind, Source, Value},
};
use tokio_util::sync::CancellationToken;

use super::*;

fn place(fake: &FakeDatadog, folder: &Path) -> Place {
    let source = |kind, setting: &str, name: &str| {
        let value = Value::File(folder.join(name));
        Source { kind, setting: setting.to_owned(), value }
    };
    let api = source(Kind::Api, "DD_API_KEY_FILE", "api");
    let app = source(Kind::App, "DD_APP_KEY_FILE", "app");
    let keys = KeyRing::new(api, app).unwrap();
    Place { url: fake.url().clone(), keys, setting: "DD_SITE".into() }
}

fn from_files(fake: &FakeDatadog, folder: &Path) -> Client {
    Client::of(vec![place(fake, folder)], TIMEOUT).unwrap()
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

#[tokio::test]
async fn an_endpoint_with_new_keys_is_not_skipped_any_more() {
    let (main, other, folder) = (fake().await, fake().await, tempfile::tempdir().unwrap());
    write(folder.path(), "old", "old");
    let keys = KeyRing::fixed(right_keys());
    let second = Place { url: other.url().clone(), keys, setting: "url of 1".into() };
    let client = Client::of(vec![place(&main, folder.path()), second], TIMEOUT).unwrap();
    assert!(ask_one(&client).await.result.is_ok());
    assert!(client.endpoints()[0].skipped_until.is_some());

    let (api, app) = (fake_datadog::keys::DEFAULT_API_KEY, fake_datadog::keys::DEFAULT_APP_KEY);
    write(folder.path(), api, app);
    let stop = CancellationToken::new();
    let watch = tokio::spawn({
        let (client, stop) = (client.clone(), stop.clone());
        async move { client.watch_keys(stop).await }
    });
    let seen = async {
        while client.endpoints()[0].skipped_until.is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(MINUTE, seen).await.expect("the first look at the files comes at once");
    let exchange = ask_one(&client).await;
    assert_eq!(*exchange.endpoint, *main.url().as_str().trim_end_matches('/'));
    stop.cancel();
    watch.await.unwrap();
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
