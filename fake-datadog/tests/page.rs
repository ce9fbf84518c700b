//! The page at `/` in a real browser.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use fake_datadog::{
    FakeDatadog,
    control::{Effect, Fault, Script, Shape, Span, Start},
};
use reqwest::StatusCode;

#[path = "support/chromium.rs"]
mod chromium;
#[path = "support/client.rs"]
mod client;

use crate::{
    chromium::Browser,
    client::{ask, fake, get, now, scenario, start},
};

/// What a browser would run if the page took it for markup.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";

#[tokio::test]
async fn the_page_is_for_browsers_and_not_counted() {
    let fake = fake().await;
    let root = async |accept: &str| {
        let request = reqwest::Client::new().get(fake.url().clone()).header("accept", accept);
        request.send().await.unwrap()
    };
    let page = root("text/html").await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert_eq!(fake.requests().total, 0);

    assert_eq!(root("application/json").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(fake.requests().total, 1);
}

#[tokio::test]
async fn events_tell_what_happens_and_end_with_the_fake() {
    let fake = fake().await;
    get(&fake, "api/v1/validate").send().await.unwrap();
    let url = fake.url().join("fake/live?past=60").unwrap();
    let mut events = reqwest::get(url).await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut text = String::new();
    while !text.contains("event: series") {
        text += &String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap());
    }
    assert!(text.contains(r#""path":"/api/v1/validate""#), "{text}");
    fake.stop().await;
    while events.chunk().await.unwrap().is_some() {}
}

#[tokio::test]
async fn the_page_shows_what_happens_and_sets_faults() {
    let Some(mut browser) = Browser::start().await else { return };
    let fake = start(scenario(include_str!("../scenarios/walkthrough.yaml"))).await;
    browser.open(fake.url().as_str(), 1280, 900).await;
    browser.evaluate("window.mark = 1").await;

    // The scripted series is plotted, and so is its future.
    browser.wait_for("document.querySelector('#plot path.curve:not(.ahead)')").await;
    browser.wait_for("document.querySelector('#plot path.curve.ahead')").await;
    browser.wait_for("document.querySelector('#legend').textContent.includes('nginx.net')").await;

    // A submitted one joins it.
    fake.submit("queue.depth", ["queue:mail"], &[(now() - 10, 3.0), (now(), 4.0)]);
    browser.wait_for("document.querySelector('#list').textContent.includes('queue.depth')").await;

    // A request shows up by itself, with the exchange behind it; markup in it stays text.
    ask(&fake, HOSTILE, 0, 60).send().await.unwrap();
    let row = "document.querySelector('#requests .row')";
    browser.wait_for(&format!("{row}?.textContent.includes('onerror')")).await;
    browser.click(row).await;
    browser.wait_for("document.querySelector('.exchange')?.textContent.includes('rror')").await;

    // A click sets a fault, another one lifts it.
    let button = |name: &str| {
        format!("[...document.querySelectorAll('button')].find(it => it.textContent === '{name}')")
    };
    browser.click(&button("503 unavailable")).await;
    browser.wait_for("document.querySelector('.fault.on')").await;
    let status = async || get(&fake, "api/v1/validate").send().await.unwrap().status();
    assert_eq!(status().await, StatusCode::SERVICE_UNAVAILABLE);
    browser.click(&button("Lift")).await;
    browser.wait_for("!document.querySelector('.fault')").await;
    assert_eq!(status().await, StatusCode::OK);

    fake.fault(Fault::new(HOSTILE, Effect::Empty)).unwrap();
    browser.wait_for("document.querySelector('.fault')?.textContent.includes('onerror')").await;
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length").await, 0);
    assert_eq!(browser.evaluate("window.hacked || 0").await, 0);
    assert_eq!(browser.evaluate("window.mark").await, 1, "it was loaded once");
}

#[tokio::test]
async fn the_page_says_how_to_begin_and_holds_many_series() {
    let Some(mut browser) = Browser::start().await else { return };
    let fake = fake().await;
    browser.open(fake.url().as_str(), 390, 800).await;
    browser.wait_for("document.querySelector('#no-series')?.textContent.includes('curl')").await;
    for index in 0..200 {
        let tag = format!("host:{index}");
        fake.submit("load", [tag.as_str()], &[(now() - 5, 1.0), (now(), 2.0)]);
    }
    browser.wait_for("document.querySelectorAll('#list button').length === 200").await;
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(overflow).await, 0);
}

#[tokio::test]
#[ignore = "writes docs/images/fake-datadog.png: cargo test -p fake-datadog --test page -- --ignored"]
async fn the_screenshot_of_the_docs() {
    let mut browser = Browser::start().await.unwrap();
    let fake = start(FakeDatadog::builder()).await;
    let start = Start::Ago(Span::from_secs(600));
    let sine =
        |mean, amplitude, period| Shape::Sine { mean, amplitude, period: Span::from_secs(period) };
    for (metric, tag, shape) in [
        ("nginx.net.request_per_s", "kube_deployment:shop", sine(22.0, 14.0, 700)),
        ("nginx.net.request_per_s", "kube_deployment:search", sine(14.0, 6.0, 400)),
        ("queue.depth", "queue:mail", sine(120.0, 80.0, 500)),
    ] {
        let tags = [tag, "env:prod"];
        fake.script(Script::new(metric, tags, shape).starting(start)).unwrap();
    }
    let points: Vec<_> = (0..40_u8)
        .map(|index| (now() - 600 + i64::from(index) * 15, f64::from(index % 11 * 7 % 11) + 8.0))
        .collect();
    fake.submit("nginx.net.request_per_s", ["kube_deployment:blog", "env:prod"], &points);
    fake.fault(
        Fault::new("slow by 50 ms", Effect::Delay(Span::from_secs(0)))
            .lasting(Span::from_secs(600)),
    )
    .unwrap();
    browser.open(fake.url().as_str(), 1280, 860).await;
    for round in 0..120 {
        ask(
            &fake,
            "avg:nginx.net.request_per_s{*} by {kube_deployment}.rollup(30)",
            now() - 300,
            now(),
        )
        .send()
        .await
        .unwrap();
        if round % 3 == 0 {
            get(&fake, "api/v1/validate").send().await.unwrap();
        }
        if round % 9 == 0 {
            get(&fake, "api/v1/unknown").send().await.unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
    }
    browser.wait_for("document.querySelector('#plot path.curve.ahead')").await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images/fake-datadog.png");
    std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/images")).unwrap();
    std::fs::write(path, browser.screenshot().await).unwrap();
}
