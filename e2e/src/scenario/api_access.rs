//! Who may read a metric at the provider's own port, where kube-apiserver has not refused anybody yet.
//!
//! The bodies are those of Kubernetes' own servers: where kube-apiserver can be asked the same, its
//! answer is what is expected, byte for byte.

use std::time::Duration;

use anyhow::Context;

use crate::{
    cluster::{
        Cluster,
        local::{LocalCluster, direct::Answer},
    },
    phase::Recorder,
    pki::{Pair, issuer::Issuer},
    scenario::{
        HPA, METRIC,
        api::{READER, STRANGER, USERS, local, metric_path, path_of},
        stage,
    },
    wait::{self, Probe},
};

mod expected;

use expected::Expected;

const SERVED_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A namespace of which the reader may not read anything.
const ELSEWHERE: &str = "kube-system";
/// Who is in this group may do everything, if it is believed.
const MASTERS: &str = "system:masters";

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let cluster = local(cluster)?;
    recorder.phase("provider", cluster.install_provider(&[])).await?;
    recorder.phase("metric", metric(cluster)).await?;
    recorder.phase("tokens", tokens(cluster, recorder)).await?;
    recorder.phase("certificates", certificates(cluster, recorder)).await?;
    recorder.phase("front proxy", front_proxy(cluster, recorder)).await?;
    recorder.phase("nobody", nobody(cluster, recorder)).await?;
    recorder.phase("as kube-apiserver", as_the_apiserver(cluster, recorder)).await
}

/// The users, and a metric with a value: the HPA is all that it takes, there need not be an nginx.
pub(super) async fn metric(cluster: &LocalCluster) -> anyhow::Result<()> {
    cluster.apply(USERS).await.context("users")?;
    stage::script(cluster, METRIC, stage::AT_REST).await?;
    cluster.apply(HPA).await?;
    let admin = cluster.apiserver_as(Some(&cluster.plane().pki().admin))?;
    wait::until("the metric to have a value", SERVED_WITHIN, LOOK_EVERY, async || {
        let answer = admin.get(&metric_path(), &[]).await?;
        let not_yet = || Probe::NotYet(answer.describe());
        anyhow::Ok(if answer.status == 200 { Probe::Ready(()) } else { not_yet() })
    })
    .await?;
    Ok(())
}

/// Name and value.
type Header<'a> = (&'a str, &'a str);

/// What a client shows.
struct Case<'a> {
    name: &'a str,
    pair: Option<&'a Pair>,
    headers: &'a [Header<'a>],
    path: &'a str,
    expected: Expected<'a>,
}

/// Asks the provider, and asserts what it says.
async fn check(cluster: &LocalCluster, recorder: &Recorder, case: Case<'_>) -> anyhow::Result<()> {
    let answer = cluster.provider_as(case.pair)?.get(case.path, case.headers).await;
    let seen = match answer {
        Ok(answer) => case.expected.judge(&answer),
        Err(error) => Err(format!("no answer: {error:#}")),
    };
    Ok(recorder.assertion(case.name, seen)?)
}

async fn tokens(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let bearer = async |account, audience| {
        let token = cluster.token(account, audience).await?;
        anyhow::Ok(format!("Bearer {token}"))
    };
    let reader = bearer(READER, None).await?;
    let stranger = bearer(STRANGER, None).await?;
    let other = bearer(READER, Some("https://another.example")).await?;
    let [here, elsewhere] = [metric_path(), path_of(ELSEWHERE, METRIC)];
    let [reader_name, stranger_name] = [READER, STRANGER].map(account);
    let cases: [(&str, &str, &str, Expected<'_>); 5] = [
        ("a token with rights reads the metric", &reader, &here, Expected::Metric),
        (
            "a token without rights is forbidden",
            &stranger,
            &here,
            Expected::Forbidden { user: &stranger_name, namespace: "default" },
        ),
        (
            "rights in one namespace are none in another",
            &reader,
            &elsewhere,
            Expected::Forbidden { user: &reader_name, namespace: ELSEWHERE },
        ),
        ("a token for another audience is not believed", &other, &here, Expected::Unauthorized),
        ("a made-up token is not believed", "Bearer ey.a.b", &here, Expected::Unauthorized),
    ];
    for (name, token, path, expected) in cases {
        let headers = [("authorization", token)];
        check(cluster, recorder, Case { name, pair: None, headers: &headers, path, expected })
            .await?;
    }
    Ok(())
}

async fn certificates(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let pki = cluster.plane().pki();
    let stranger = Issuer::new(&cluster.path("strangers"), "e2e-strangers-ca")?;
    let stranger = stranger.client("admin", "e2e-admin")?;
    let scheduler = "system:kube-scheduler";
    let cases: [(&str, &Pair, Expected<'_>); 3] = [
        ("a certificate of the client CA with rights reads it", &pki.admin, Expected::Metric),
        (
            "a certificate of the client CA without rights is forbidden",
            &pki.scheduler,
            Expected::Forbidden { user: scheduler, namespace: "default" },
        ),
        ("a certificate of another CA is not believed", &stranger, Expected::Unauthorized),
    ];
    let path = metric_path();
    for (name, pair, expected) in cases {
        let case = Case { name, pair: Some(pair), headers: &[], path: &path, expected };
        check(cluster, recorder, case).await?;
    }
    // What only the front proxy may say, said by others.
    let forged = [("x-remote-user", "e2e-admin"), ("x-remote-group", MASTERS)];
    let cases: [(&str, Option<&Pair>, Expected<'_>); 3] = [
        (
            "X-Remote-* without a certificate are nobody's",
            None,
            Expected::Forbidden { user: "system:anonymous", namespace: "default" },
        ),
        (
            "X-Remote-* with a client's certificate are not believed",
            Some(&pki.scheduler),
            Expected::Forbidden { user: scheduler, namespace: "default" },
        ),
        (
            "X-Remote-* with a certificate of another CA are not believed",
            Some(&stranger),
            Expected::Unauthorized,
        ),
    ];
    for (name, pair, expected) in cases {
        let case = Case { name, pair, headers: &forged, path: &path, expected };
        check(cluster, recorder, case).await?;
    }
    Ok(())
}

async fn front_proxy(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let pair = Some(&cluster.plane().pki().front_proxy);
    let [reader, stranger] = [READER, STRANGER].map(account);
    let path = metric_path();
    let cases: [(&str, &[Header<'_>], Expected<'_>); 4] = [
        (
            "the front proxy reads it for a user with rights",
            &[("X-Remote-User", &reader), ("X-Remote-Group", "system:serviceaccounts")],
            Expected::Metric,
        ),
        (
            "the front proxy reads it for a group with all rights",
            &[("X-Remote-User", "somebody"), ("X-Remote-Group", MASTERS)],
            Expected::Metric,
        ),
        (
            "the front proxy does not for a user without rights",
            &[("X-Remote-User", &stranger)],
            Expected::Forbidden { user: &stranger, namespace: "default" },
        ),
        // No user is told, and for clients its authority does not vouch.
        ("the front proxy itself is nobody", &[], Expected::Unauthorized),
    ];
    for (name, headers, expected) in cases {
        check(cluster, recorder, Case { name, pair, headers, path: &path, expected }).await?;
    }
    Ok(())
}

async fn nobody(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let path = metric_path();
    let user = "system:anonymous";
    let cases: [(&str, &str, Expected<'_>); 5] = [
        ("nobody reads the metric", &path, Expected::Forbidden { user, namespace: "default" }),
        ("nobody reads /metrics", "/metrics", Expected::ForbiddenPath { user, path: "/metrics" }),
        ("anybody reads /livez", "/livez", Expected::Healthy),
        ("anybody reads /readyz", "/readyz", Expected::Healthy),
        ("anybody reads /healthz", "/healthz", Expected::Healthy),
    ];
    for (name, path, expected) in cases {
        check(cluster, recorder, Case { name, pair: None, headers: &[], path, expected }).await?;
    }
    Ok(())
}

/// What is refused, is refused as kube-apiserver does, to the byte, in both formats.
async fn as_the_apiserver(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let bearer = format!("Bearer {}", cluster.token(STRANGER, None).await?);
    let (path, metrics) = (metric_path(), "/metrics".to_owned());
    let cases: [(&str, &str, &str); 4] = [
        ("401 of a metric", "Bearer ey.a.b", &path),
        ("403 of a metric", &bearer, &path),
        ("401 of a path", "Bearer ey.a.b", &metrics),
        ("403 of a path", &bearer, &metrics),
    ];
    for (name, token, path) in cases {
        for accept in ["application/json", "application/vnd.kubernetes.protobuf, */*"] {
            let headers = [("authorization", token), ("accept", accept)];
            let theirs = cluster.apiserver_as(None)?.get(path, &headers).await?;
            let ours = cluster.provider_as(None)?.get(path, &headers).await?;
            let format = if accept.contains("proto") { "protobuf" } else { "JSON" };
            recorder.assertion(
                format!("{name} is as kube-apiserver's, in {format}"),
                same(&ours, &theirs),
            )?;
        }
    }
    Ok(())
}

fn same(ours: &Answer, theirs: &Answer) -> Result<String, String> {
    let sent = |answer: &Answer| {
        let value = answer.headers.get(http::header::CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let differs =
        ours.status != theirs.status || ours.body != theirs.body || sent(ours) != sent(theirs);
    if differs {
        return Err(format!(
            "{} ({}), kube-apiserver says {} ({})",
            ours.describe(),
            sent(ours),
            theirs.describe(),
            sent(theirs)
        ));
    }
    Ok(format!("{}, {} bytes of {}", ours.status, ours.body.len(), sent(ours)))
}

/// How a service account of the walkthrough's namespace is called.
fn account(name: &str) -> String {
    format!("system:serviceaccount:default:{name}")
}
