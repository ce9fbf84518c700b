//! A fake to test and the ways to ask it.

#![allow(dead_code, reason = "no test crate uses all of it")]

use fake_datadog::{
    FakeDatadog, Scenario,
    control::{self, Script, Shape, Span, Start},
    keys::{DEFAULT_API_KEY, DEFAULT_APP_KEY},
};
use jiff::Timestamp;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

pub(crate) async fn start(builder: fake_datadog::Builder) -> FakeDatadog {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    builder.start().await.unwrap()
}

pub(crate) async fn fake() -> FakeDatadog {
    start(FakeDatadog::builder()).await
}

pub(crate) fn scenario(yaml: &str) -> fake_datadog::Builder {
    FakeDatadog::builder().scenario(Scenario::parse(yaml).unwrap())
}

pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}

/// A multiple of 100 s that is at least five minutes ago, so that buckets are easy to read.
pub(crate) fn base() -> i64 {
    (now() - 300) / 100 * 100
}

pub(crate) fn get(fake: &FakeDatadog, path: &str) -> RequestBuilder {
    let url = fake.url().join(path).unwrap();
    reqwest::Client::new()
        .get(url)
        .header("DD-API-KEY", DEFAULT_API_KEY)
        .header("DD-APPLICATION-KEY", DEFAULT_APP_KEY)
}

pub(crate) fn ask(fake: &FakeDatadog, query: &str, from: i64, to: i64) -> RequestBuilder {
    get(fake, "api/v1/query").query(&[("from", from), ("to", to)]).query(&[("query", query)])
}

pub(crate) async fn body_of(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

pub(crate) fn submit(fake: &FakeDatadog) -> RequestBuilder {
    let url = fake.url().join("api/v1/series").unwrap();
    reqwest::Client::new().post(url).header("DD-API-KEY", DEFAULT_API_KEY)
}

pub(crate) fn control(fake: &FakeDatadog) -> control::Client {
    control::Client::new(fake.url().clone()).unwrap()
}

/// Status and body as text, one line for each series and list of points.
pub(crate) async fn golden(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let mut text = response.text().await.unwrap();
    for start in [r#""series":["#, r#"{"metric""#, r#""pointlist""#, r#""group_by""#] {
        text = text.replace(start, &format!("\n{start}"));
    }
    format!("{status} {text}")
}

/// The same with the times of this run counted from `base`.
pub(crate) async fn golden_since(base: i64, request: RequestBuilder) -> String {
    let mut text = golden(request).await;
    for offset in -10..1000 {
        text = text.replace(&(base + offset).to_string(), &format!("<{offset}>"));
    }
    text
}

pub(crate) fn constant(metric: &str, tag: &str, value: f64) -> Script {
    Script::new(metric, [tag], Shape::Constant(value)).starting(Start::Ago(Span::from_secs(3600)))
}

pub(crate) async fn last_value(fake: &FakeDatadog, query: &str) -> Value {
    let (_, body) = body_of(ask(fake, query, now() - 60, now())).await;
    let points = body["series"][0]["pointlist"].as_array().cloned().unwrap_or_default();
    points.iter().rev().map(|point| point[1].clone()).find(|value| !value.is_null()).into()
}
