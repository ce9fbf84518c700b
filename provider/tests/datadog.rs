//! The real client against an in-process fake Datadog, and against canned bytes where the fake has
//! no such fault.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::time::Duration;

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Endpoint, Fault, Script, Shape, Span},
};
use jiff::Timestamp;
use provider::{
    datadog::{Client, Error, Exchange, keys::Keys},
    query::Query,
};
use url::Url;

#[path = "datadog/answers.rs"]
mod answers;
#[path = "datadog/errors.rs"]
mod errors;
#[path = "datadog/failover.rs"]
mod failover;
#[path = "datadog/hostile.rs"]
mod hostile;
#[path = "datadog/key_files.rs"]
mod key_files;
#[path = "datadog/retries.rs"]
mod retries;

const MINUTE: Duration = Duration::from_secs(60);

async fn fake() -> FakeDatadog {
    let _ = rustls::crypto::ring::default_provider().install_default();
    FakeDatadog::start().await.unwrap()
}

const TIMEOUT: Duration = Duration::from_millis(500);

fn client_with(url: &str, keys: Keys, timeout: Duration) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new(&Url::parse(url).unwrap(), keys, timeout).unwrap()
}

fn client(fake: &FakeDatadog) -> Client {
    client_with(fake.url().as_str(), right_keys(), TIMEOUT)
}

fn right_keys() -> Keys {
    Keys {
        api: fake_datadog::keys::DEFAULT_API_KEY.into(),
        app: fake_datadog::keys::DEFAULT_APP_KEY.into(),
    }
}

fn wrong_keys() -> Keys {
    Keys { api: "wrong".into(), app: "wrong".into() }
}

/// A series that has had this value for a minute.
fn constant(metric: &str, value: f64) -> Script {
    let since = fake_datadog::control::Start::Ago(Span::from_secs(60));
    Script::new(metric, ["queue:a"], Shape::Constant(value)).starting(since)
}

fn query(metric: &str) -> Query {
    Query::new(format!("avg:{metric}{{queue:a}}.rollup(1)"))
}

/// One question for one query.
async fn ask_one(client: &Client) -> Exchange {
    client.ask(&[query("depth")], Timestamp::now(), MINUTE).await
}

/// The same, which fails.
async fn error_of(client: &Client) -> Error {
    ask_one(client).await.result.unwrap_err()
}

/// Waits until no fault is in force any more: the last one has hit its request.
async fn faults_are_spent(fake: &FakeDatadog) {
    let control = fake_datadog::control::Client::new(fake.url().clone()).unwrap();
    let spent = async { while 0 < control.health().await.unwrap().faults {} };
    tokio::time::timeout(Duration::from_secs(20), spent).await.expect("not spent in time");
}
