//! Two candidates over a kube-apiserver that keeps one Lease, with tokio's paused time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of these tests fail as the tests themselves do"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response};
use kube::client::Body;
use prometheus_client::{encoding::text, registry::Registry};
use provider::lead::{Candidate, Config, Leadership, Permit, Role, metrics::Metrics};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;
use tower_test::mock;

const LEASE: Duration = Duration::from_secs(15);
const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/datadog/leases";

/// The Lease, and what kube-apiserver says instead while it is out of order.
#[derive(Debug, Default)]
struct Kept {
    lease: Option<Value>,
    version: u64,
    fails: Option<(u16, &'static str)>,
    requests: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Apiserver(Arc<Mutex<Kept>>);

impl Apiserver {
    fn client(&self) -> kube::Client {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let kept = self.0.clone();
        tokio::spawn(async move {
            while let Some((request, respond)) = handle.next_request().await {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let sent = serde_json::from_slice(&body).unwrap_or_default();
                let (code, answer) =
                    kept.lock().unwrap().answer(&parts.method, parts.uri.path(), sent);
                let answer = Body::from(answer.to_string().into_bytes());
                respond.send_response(Response::builder().status(code).body(answer).unwrap());
            }
        });
        kube::Client::new(service, "datadog")
    }

    fn lease(&self) -> Value {
        self.0.lock().unwrap().lease.clone().unwrap_or_default()
    }

    fn fails(&self, how: Option<(u16, &'static str)>) {
        self.0.lock().unwrap().fails = how;
    }
}

impl Kept {
    fn answer(&mut self, method: &Method, path: &str, mut sent: Value) -> (u16, Value) {
        self.requests.push(method.to_string());
        let status = |code: u16, message: &str| {
            let reason = match code {
                403 => "Forbidden",
                404 => "NotFound",
                409 => "Conflict",
                _ => "InternalError",
            };
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                "status": "Failure", "code": code, "reason": reason, "message": message});
            (code, status)
        };
        if let Some((code, message)) = self.fails {
            return status(code, message);
        }
        let named = format!("{PATH}/election");
        let version = self.lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (method, path == named, version) {
            (&Method::GET, true, None) => return status(404, "not found"),
            (&Method::GET, true, Some(_)) => return (200, self.lease()),
            (&Method::POST, false, None) => assert_eq!(path, PATH),
            (&Method::PUT, true, Some(version))
                if version == sent["metadata"]["resourceVersion"] => {}
            (&Method::POST | &Method::PUT, ..) => return status(409, "conflict"),
            other => unreachable!("{other:?} {path}"),
        }
        self.version += 1;
        sent["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.lease = Some(sent);
        (200, self.lease())
    }

    fn lease(&self) -> Value {
        self.lease.clone().unwrap()
    }
}

struct Replica {
    leadership: watch::Receiver<Leadership>,
    permit: Permit,
    stop: CancellationToken,
    /// Of what the leader does.
    idle: CancellationToken,
    registry: Registry,
    task: JoinHandle<()>,
}

impl Replica {
    fn start(apiserver: &Apiserver, identity: &str, release: bool) -> Self {
        let config = Config {
            namespace: "datadog".into(),
            name: "election".into(),
            identity: identity.into(),
            duration: LEASE,
            release,
            address: Some("127.0.0.1:5005".parse().unwrap()),
        };
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        let (candidate, leadership, permit) = Candidate::new(config, metrics);
        let (stop, idle) = (CancellationToken::new(), CancellationToken::new());
        let done = idle.clone().cancelled_owned();
        let task = tokio::spawn(candidate.run(apiserver.client(), stop.clone(), done));
        Self { leadership, permit, stop, idle, registry, task }
    }

    /// Waits until it is told so; the time that it took.
    async fn is(&mut self, wanted: impl Fn(&Leadership) -> bool) -> Duration {
        let begin = Instant::now();
        let told = self.leadership.wait_for(|leadership| wanted(leadership));
        timeout(Duration::from_secs(600), told).await.expect("never told").unwrap();
        begin.elapsed()
    }

    async fn leads(&mut self) -> Duration {
        let took = self.is(|leadership| leadership.role == Role::Leader).await;
        assert!(self.permit.holds(Instant::now()));
        took
    }

    async fn follows(&mut self, whom: &str) {
        let holder =
            |leadership: &Leadership| leadership.lease.as_ref().map(|it| it.holder.clone());
        self.is(|leadership| holder(leadership).as_deref() == Some(whom)).await;
        assert_eq!(self.leadership.borrow().role, Role::Follower);
        assert!(!self.permit.holds(Instant::now()));
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        text::encode(&mut text, &self.registry).unwrap();
        text
    }
}

async fn two() -> (Apiserver, Replica, Replica) {
    let apiserver = Apiserver::default();
    let mut a = Replica::start(&apiserver, "a", true);
    a.leads().await;
    let mut b = Replica::start(&apiserver, "b", true);
    b.follows("a").await;
    (apiserver, a, b)
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_knows_where_it_is() {
    let (apiserver, a, b) = two().await;
    let address = b.leadership.borrow().lease.as_ref().unwrap().address;
    assert_eq!(address, Some("127.0.0.1:5005".parse().unwrap()));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(a.leadership.borrow().role, Role::Leader, "for as long as it renews");
    assert!(a.permit.holds(Instant::now()) && !b.permit.holds(Instant::now()));
    assert_eq!(apiserver.lease()["spec"]["leaseTransitions"], 0);
    let writes = apiserver.0.lock().unwrap().requests.iter().filter(|it| *it != "GET").count();
    assert!((955..=965).contains(&writes), "every 3.75 s, not {writes} in an hour");
    let line =
        |leads| format!("leader_election_is_leader{{is_leader=\"{leads}\",join_leader=\"true\"}}");
    assert!(a.metrics().contains(&format!("{} 1\n", line(true))), "{}", a.metrics());
    assert!(b.metrics().contains(&format!("{} 0\n", line(false))), "{}", b.metrics());
}

#[tokio::test(start_paused = true)]
async fn a_release_hands_over_at_once_but_not_before_the_work_is_done() {
    let (apiserver, mut a, mut b) = two().await;
    a.stop.cancel();
    a.is(|leadership| leadership.role == Role::Follower).await;
    assert!(!a.permit.holds(Instant::now()), "no new work");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(apiserver.lease()["spec"]["holderIdentity"], "a", "a call is still under way");
    a.idle.cancel();
    a.task.await.unwrap();
    assert_eq!(apiserver.lease()["spec"].get("holderIdentity"), None);
    let took = b.leads().await;
    assert!(took <= Duration::from_secs(1), "{took:?}");
    assert_eq!(apiserver.lease()["spec"]["leaseTransitions"], 1);
}

#[tokio::test(start_paused = true)]
async fn who_dies_is_succeeded_after_the_duration() {
    let (_apiserver, a, mut b) = two().await;
    a.task.abort();
    let took = b.leads().await;
    // Since b saw the last renewal, and a look later.
    assert!(LEASE <= took + LEASE / 4 && took <= LEASE + Duration::from_secs(2), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_release_the_others_wait() {
    let apiserver = Apiserver::default();
    let mut a = Replica::start(&apiserver, "a", false);
    a.leads().await;
    a.stop.cancel();
    a.idle.cancel();
    a.task.await.unwrap();
    assert_eq!(apiserver.lease()["spec"]["holderIdentity"], "a");
    let took = Replica::start(&apiserver, "b", false).leads().await;
    assert!(LEASE <= took, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn while_kube_apiserver_is_away_nobody_leads_and_then_the_same_one_goes_on() {
    let (apiserver, mut a, b) = two().await;
    apiserver.fails(Some((503, "out of order")));
    let took = a.is(|leadership| leadership.role == Role::Follower).await;
    // A timer rings up to a millisecond late.
    assert!(took <= LEASE / 2 + Duration::from_millis(10), "{took:?}");
    let error = a.leadership.borrow().error.clone();
    assert_eq!(error.as_deref(), Some("Lease datadog/election: out of order"));
    // The permit ended by itself, at the same moment.
    assert!(!a.permit.holds(Instant::now()) && !b.permit.holds(Instant::now()));
    apiserver.fails(None);
    let took = a.leads().await;
    assert!(took <= Duration::from_secs(2), "{took:?}");
    assert_eq!(a.leadership.borrow().error, None);
    assert_eq!(b.leadership.borrow().role, Role::Follower);
}

#[tokio::test(start_paused = true)]
async fn missing_rights_are_told() {
    let apiserver = Apiserver::default();
    apiserver.fails(Some((403, "leases is forbidden")));
    let mut a = Replica::start(&apiserver, "a", true);
    a.is(|leadership| leadership.error.is_some()).await;
    let error = a.leadership.borrow().error.clone();
    assert_eq!(
        error.as_deref(),
        Some(
            "Lease datadog/election: the right to get leases in namespace datadog is missing, see Role dca"
        )
    );
    apiserver.fails(None);
    a.leads().await;
}
