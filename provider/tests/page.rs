//! The status page in a real browser, over TLS.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "the helpers of these tests fail as the tests themselves do; numbers are small"
)]

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use provider::{
    agent::token::{self, Token},
    datadog::{Error, RateLimit},
    demand::{Autoscaler, Builder, Kind, MetricKey, Source},
    lead::{Leadership, LeaseView, Role},
    page::{self, Page, history::History, objects::Objects},
    query::{Ask, Overrides, Query},
    sample::Sample,
    selector::{Operator, Requirement, Selector},
    serve::{
        self,
        tls::{Certificates, Source as Certificate, metrics::Expiry},
    },
    store::{Asking, Entry, Outcome, Snapshot},
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

#[path = "../../fake-datadog/tests/support/chromium.rs"]
mod chromium;

use crate::chromium::Browser;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// What a browser would run if the page took it for markup.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";

struct Served {
    url: String,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    fn start(snapshot: Snapshot, history: History) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = serve::bind(Some(Ipv4Addr::LOCALHOST.into()), 0, "nothing").unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        let names = ["127.0.0.1".to_owned()];
        let made = Certificates::start(&Certificate::SelfSigned, &names, Expiry::default());
        let clients = rustls::server::WebPkiClientVerifier::no_client_auth();
        let tls = serve::tls::config(&made.unwrap(), clients);
        let router = page::router(Page {
            store: watch::channel(Arc::new(snapshot)).1,
            leadership: watch::channel(leadership()).1,
            tokens: watch::channel(Token::parse(TOKEN, &token::Source::Variable).unwrap()).1,
            history,
            objects: Objects::new(Some(kube::Client::new(tower::service_fn(apiserver), "default"))),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve::Server::default().run(listener, tls, router, stop.clone()));
        Self { url, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

fn leadership() -> Leadership {
    let lease = LeaseView {
        name: "default/datadog-leader-election".into(),
        holder: "datadog-cluster-agent-7d9c5b6f4-x2x9k".into(),
        address: None,
        acquired: Some(Timestamp::now()),
        renewed: Some(Timestamp::now()),
        transitions: 3,
    };
    Leadership { role: Role::Follower, lease: Some(lease), error: None }
}

/// Every autoscaler scales from 2 to 3; the hostile one cannot.
async fn apiserver(request: Request<Body>) -> Result<Response<Body>, std::convert::Infallible> {
    let condition = |type_: &str, status: &str, reason: &str, message: &str| json!({"type": type_, "status": status, "reason": reason, "message": message});
    let broken = request.uri().path().contains("img");
    let active = if broken {
        condition("ScalingActive", "False", "FailedGetExternalMetric", HOSTILE)
    } else {
        condition("ScalingActive", "True", "ValidMetricFound", "")
    };
    let body = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "any", "namespace": "any"},
        "spec": {"minReplicas": 1, "maxReplicas": 5},
        "status": {"currentReplicas": 2, "desiredReplicas": if broken { 2 } else { 3 }, "conditions": [
            condition("AbleToScale", "True", "ReadyForNewScale", ""),
            active,
            condition("ScalingLimited", "False", "DesiredWithinRange", ""),
        ]},
    });
    Ok(Response::new(Body::from(body.to_string().into_bytes())))
}

fn hpa(namespace: &str, name: &str) -> Autoscaler {
    let (kind, uid) = (Kind::Hpa, format!("uid-of-{name}"));
    Autoscaler { kind, namespace: namespace.into(), name: name.into(), uid, created: None }
}

/// A metric of an HPA: namespace, HPA, metric, what came of it.
type Wish = (&'static str, String, String, Outcome);

/// What is known at `now`, the values being those of `minute`.
fn snapshot(wishes: &[Wish], now: Timestamp, minute: f64) -> Snapshot {
    let mut demand = Builder::default();
    let container = Requirement {
        key: "kube_container_name".into(),
        operator: Operator::In(["nginx".to_owned()].into()),
    };
    let key = |namespace: &str, metric: &str| {
        MetricKey::new(namespace, metric, Selector::from_iter([container.clone()]))
    };
    for (namespace, name, metric, _) in wishes {
        let by = hpa(namespace, name);
        let (key, name) = (key(namespace, metric), metric.clone());
        demand.add(key, name, Source::Selector, Overrides::default(), by);
    }
    let demand = Arc::new(demand.build());
    let entries: Vec<_> = demand
        .iter()
        .enumerate()
        .map(|(position, (stored, wanted))| {
            let (.., outcome) = wishes.iter().find(|it| key(it.0, &it.2) == *stored).unwrap();
            let query = format!("sum:{}{{kube_container_name:nginx}}.rollup(30)", wanted.name);
            let value = 26.5 + ((minute + position as f64 * 7.0) / 6.0).sin() * 20.0;
            let at = now - SignedDuration::from_secs(20);
            Arc::new(Entry {
                ask: Ok(Ask { window: Duration::from_secs(300), query: Query::new(query) }),
                rollup: Some(Duration::from_secs(30)),
                age_limit: Duration::from_secs(120),
                fallback: None,
                since: now,
                sample: outcome.is_sample().then_some(Sample { value, at }),
                last: Some((now, outcome.clone())),
                last_error: None,
            })
        })
        .collect();
    let seconds = Duration::from_secs;
    let asking = Asking {
        budget: Some(RateLimit {
            limit: 1600,
            period: seconds(3600),
            remaining: 1210,
            reset: seconds(840),
        }),
        period: seconds(30),
        calls_per_hour: 240.0,
        refused: 1,
        ..Asking::default()
    };
    Snapshot::new(demand, &entries).with(Arc::new(asking))
}

fn wishes(well: usize) -> Vec<Wish> {
    let rejected =
        Error::Rejected { status: 200, message: format!("Invalid query input: {HOSTILE}") };
    let mut wishes = vec![
        ("shop", HOSTILE.to_owned(), "orders.open".to_owned(), Outcome::Failed(Arc::new(rejected))),
        ("shop", "search".to_owned(), "queue.dept".to_owned(), Outcome::NoSeries),
    ];
    wishes.extend((0..well).map(|number| {
        let namespace = ["shop", "mail", "web"][number % 3];
        (
            namespace,
            format!("worker-{number:03}"),
            format!("queue.{number}.depth"),
            Outcome::Sampled,
        )
    }));
    wishes
}

fn world(well: usize) -> (Snapshot, History) {
    let (history, now, wishes) = (History::default(), Timestamp::now(), wishes(well));
    for minute in (0..60_u8).filter(|minute| !(20..24).contains(minute)) {
        let at = now - SignedDuration::from_mins(59 - i64::from(minute));
        history.observe(&snapshot(&wishes, at, minute.into()));
    }
    (snapshot(&wishes, now, 59.0), history)
}

async fn log_in(browser: &mut Browser, served: &Served, width: u32, height: u32) {
    browser.open(&served.url, width, height).await;
    browser.wait_for("document.querySelector('input[name=token]')").await;
    let type_in = format!("document.querySelector('input[name=token]').value = '{TOKEN}'");
    browser.evaluate(&type_in).await;
    browser.click("document.querySelector('button[type=submit]')").await;
    browser.wait_for("document.querySelector('article, section.card')").await;
}

#[tokio::test]
async fn a_browser_logs_in_and_sees_trouble_first() {
    let Some(mut browser) = Browser::start().await else { return };
    let (snapshot, history) = world(120);
    let served = Served::start(snapshot, history);
    log_in(&mut browser, &served, 1100, 1000).await;
    let text = "document.querySelector('article').textContent";
    browser.wait_for(&format!("{text}.includes('onerror')")).await;
    browser.wait_for("document.querySelectorAll('article.trouble').length === 2").await;
    browser.wait_for("document.querySelectorAll('article').length === 50").await;
    browser.wait_for("document.querySelector('article:nth-of-type(3)').textContent.includes('2 → 3 replicas')").await;
    browser.wait_for("document.querySelectorAll('svg path').length === 48").await;
    browser
        .wait_for("getComputedStyle(document.querySelector('.tile')).borderRadius === '10px'")
        .await;
    assert_eq!(browser.evaluate("document.querySelectorAll('img, script').length").await, 0);
    assert_eq!(browser.evaluate("window.hacked || 0").await, 0);
    assert_eq!(browser.evaluate("document.cookie").await, "", "no script reads the cookie");

    browser.click("document.querySelector('a[rel=next]')").await;
    browser.wait_for("document.querySelector('nav')?.textContent.includes('Page 2 of 3')").await;
    browser.evaluate("document.querySelector('select[name=namespace]').value = 'mail'").await;
    browser.click("document.querySelector('.filter button')").await;
    browser.wait_for("document.querySelectorAll('article').length === 40").await;

    browser.click("document.querySelector('header button')").await;
    browser.wait_for("document.querySelector('input[name=token]')").await;
    served.stop().await;
}

#[tokio::test]
async fn it_fits_on_a_phone() {
    let Some(mut browser) = Browser::start().await else { return };
    let (snapshot, history) = world(9);
    let served = Served::start(snapshot, history);
    log_in(&mut browser, &served, 360, 800).await;
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(overflow).await, 0);
    served.stop().await;
}

#[tokio::test]
#[ignore = "writes target/tmp/page-*.png, to be looked at"]
async fn screenshots() {
    let mut browser = Browser::start().await.unwrap();
    let (snapshot, history) = world(9);
    let served = Served::start(snapshot, history);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    browser.open(&served.url, 1100, 700).await;
    browser.wait_for("document.querySelector('input[name=token]')").await;
    std::fs::write(folder.join("page-login.png"), browser.screenshot().await).unwrap();
    log_in(&mut browser, &served, 1100, 1150).await;
    for (name, scheme, width) in
        [("light", "light", 1100), ("dark", "dark", 1100), ("narrow", "light", 375)]
    {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", features).await;
        browser.open(&served.url, width, 1150).await;
        browser
            .wait_for("document.readyState === 'complete' && document.querySelector('article')")
            .await;
        std::fs::write(folder.join(format!("page-{name}.png")), browser.screenshot().await)
            .unwrap();
    }
    served.stop().await;
    let served = Served::start(Snapshot::new(Arc::default(), &[]), History::default());
    // The cookie holds for every replica.
    browser.open(&served.url, 1100, 700).await;
    browser.wait_for("document.querySelector('section.card pre')").await;
    std::fs::write(folder.join("page-empty.png"), browser.screenshot().await).unwrap();
    served.stop().await;
}
