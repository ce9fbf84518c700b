//! Certificates and authorities change on both sides while requests flow, and nobody notices.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    cluster::{
        Cluster,
        local::{
            LocalCluster,
            direct::{Direct, Trust},
        },
    },
    load::Connections,
    phase::Recorder,
    pki::{Pair, issuer::Issuer},
    scenario::{
        HPA, METRIC, SOME_SYNCS,
        api::{READER, USERS, local, metric_path, trust_in_api_service},
        stage::{self, UNDER_LOAD, script},
        steady::{Steady, held},
        syncs, watched,
    },
    wait::{self, Probe},
};

mod front_proxy;

/// The names by which kube-apiserver and the harness know the provider.
const NAMES: [&str; 2] = ["datadog-custom-metrics-server.default.svc", "localhost"];
/// How long the provider may take to see that a file has changed.
const RELOADED_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let cluster = local(cluster)?;
    let authorities = [
        Issuer::new(&cluster.path("serving-1"), "e2e-serving-ca-1")?,
        Issuer::new(&cluster.path("serving-2"), "e2e-serving-ca-2")?,
    ];
    let served = authorities[0].server("served", &NAMES)?;
    let file = |path: &std::path::Path| path.display().to_string();
    let environment = [
        ("DD_EXTERNAL_METRICS_PROVIDER_TLS_CERT_FILE", file(&served.certificate)),
        ("DD_EXTERNAL_METRICS_PROVIDER_TLS_PRIVATE_KEY_FILE", file(&served.key)),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    cluster.apply(USERS).await?;
    recorder.phase("provider", cluster.install_provider(&environment)).await?;
    // From now on kube-apiserver looks at the provider's certificate.
    trust_in_api_service(cluster, Some(&authorities[0].pem())).await?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    script(cluster, METRIC, UNDER_LOAD).await?;
    let hpa = watched(cluster);
    let observer = stage::scale_to_three(cluster, recorder, HPA, &hpa).await?;

    let start = Instant::now();
    let steady = clients(cluster, &authorities).await?;
    let serving = Serving { cluster, recorder, served: &served };
    let before = serving.begin(&authorities).await?;
    // Both at the same time: the provider looks at its files every ten seconds.
    recorder.phase("front proxy", front_proxy::rotate(cluster, recorder)).await?;
    recorder.phase("serving certificate", serving.end(&authorities, &before)).await?;
    let syncs = recorder.phase("goes on", syncs(cluster, SOME_SYNCS)).await?;
    steady.judge(recorder)?;
    held(recorder, &observer, start, &syncs)
}

/// Who asks all the while: through kube-apiserver, and at the provider's port over one connection and
/// over a new one each time.
async fn clients(cluster: &LocalCluster, authorities: &[Issuer; 2]) -> anyhow::Result<Steady> {
    let token = cluster.token(READER, None).await?;
    let pem = authorities.iter().map(Issuer::pem).collect::<String>();
    let provider = |connections| {
        Direct::new(cluster.provider_url()?, Trust::Authority(pem.as_bytes()), None, connections)
    };
    let mut steady = Steady::default();
    steady.add("kube-apiserver's client", cluster.apiserver_as(None)?, &token, metric_path());
    let clients =
        [("a new connection", Connections::New), ("a kept connection", Connections::Kept)];
    for (name, connections) in clients {
        steady.add(name, provider(connections)?, &token, metric_path());
    }
    Ok(steady)
}

/// The provider's own certificate.
struct Serving<'a> {
    cluster: &'a LocalCluster,
    recorder: &'a Recorder,
    /// The files that it reads.
    served: &'a Pair,
}

impl Serving<'_> {
    /// Gives it a certificate of the second authority, as an administrator would: who verifies it trusts
    /// both before. The certificate that it had.
    async fn begin(&self, [first, second]: &[Issuer; 2]) -> anyhow::Result<Vec<u8>> {
        let before = self.shown().await?;
        let both = first.pem() + &second.pem();
        trust_in_api_service(self.cluster, Some(&both)).await?;
        self.served.replace_by(&second.server("renewed", &NAMES)?)?;
        Ok(before)
    }

    /// Waits until it shows the new certificate; from then on the second authority alone is trusted.
    async fn end(&self, [_, second]: &[Issuer; 2], before: &[u8]) -> anyhow::Result<()> {
        let looked = wait::until("another certificate", RELOADED_WITHIN, LOOK_EVERY, async || {
            let same = self.shown().await? == before;
            let not_yet = || Probe::NotYet("it is the one before".to_owned());
            anyhow::Ok(if same { not_yet() } else { Probe::Ready(()) })
        });
        let looked = looked.await.map_err(|timeout| timeout.to_string());
        let text = |()| "without a restart".to_owned();
        self.recorder.assertion("the renewed certificate is served", looked.map(text))?;
        trust_in_api_service(self.cluster, Some(&second.pem())).await
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.cluster.provider_as(None)?.get("/livez", &[]).await?.certificate)
    }
}
