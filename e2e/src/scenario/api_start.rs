//! kube-apiserver goes under the provider and comes back; later the provider is there before it is.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    cluster::{
        Cluster,
        local::{LocalCluster, provider::Provider},
    },
    observe::Observer,
    phase::Recorder,
    process::Process,
    scenario::{
        HPA, METRIC, SCALED, SOME_SYNCS,
        api::{self, local, metric_path},
        stage::{self, UNDER_LOAD, script},
        syncs, watched,
    },
    wait::{self, Probe},
};

/// How long the provider is alone: long enough to have tried more than once.
const ALONE: Duration = Duration::from_secs(2);
/// How long the provider may take to answer anything at all.
const ALIVE_WITHIN: Duration = Duration::from_secs(20);
/// How long it may take to have read the cluster, and to be found.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let cluster = local(cluster)?;
    let provider = Provider::prepare(cluster, &[]).await?;
    recorder.phase("provider", provider.install(cluster)).await?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    script(cluster, METRIC, UNDER_LOAD).await?;
    let hpa = watched(cluster);
    let observer = stage::scale_to_three(cluster, recorder, HPA, &hpa).await?;
    let start = Instant::now();
    restart(cluster, &observer, recorder).await?;

    // In this order: the HPA controller waits longer and longer before it watches again.
    let kubeconfig = provider.kubeconfig(cluster).await?;
    let gone = async {
        provider.kill(cluster).await?;
        cluster.stop_apiserver().await
    };
    recorder.phase("both end", gone).await?;
    let process = provider.start_with(cluster, &kubeconfig)?;
    recorder.phase("alone", alone(&provider, recorder)).await?;
    recorder.phase("kube-apiserver starts", cluster.start_apiserver()).await?;
    recorder.phase("found", found(cluster, &provider, &process, recorder)).await?;
    let history = observer.since(start);
    let moved = history.iter().find(|seen| !seen.is_at(SCALED));
    recorder.assertion(
        "no replica moves in all that time",
        match moved {
            None => Ok(format!("{} states seen", history.len())),
            Some(seen) => Err(seen.describe()),
        },
    )?;
    Ok(())
}

/// kube-apiserver is killed under an HPA at three replicas, and comes back.
async fn restart(
    cluster: &LocalCluster,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let away = async {
        cluster.stop_apiserver().await?;
        cluster.start_apiserver().await
    };
    recorder.phase("kube-apiserver restarts", away).await?;
    let back = Instant::now();
    let syncs = recorder.phase("syncs go on", syncs(cluster, SOME_SYNCS)).await?;
    let within = cluster.timings().follows_within();
    let fresh = observer.until(within, |seen| {
        let age = seen.served.as_ref().map_or(f64::MAX, |served| served.age);
        seen.is_active() && seen.refusal.is_none() && age < back.elapsed().as_secs_f64()
    });
    let fresh = fresh.await.map(|counts| format!("{counts}, {syncs}"));
    recorder.assertion("the HPA reads its metric again by itself", fresh)?;
    Ok(())
}

/// Without kube-apiserver the provider lives, and says that it is not ready.
async fn alone(provider: &Provider, recorder: &Recorder) -> anyhow::Result<()> {
    let start = Instant::now();
    let looked = wait::until("the provider to answer", ALIVE_WITHIN, LOOK_EVERY, async || {
        let (status, text) = provider.health("livez").await?;
        let not_yet = || Probe::NotYet(format!("{status} {text}"));
        anyhow::Ok(if status == 200 { Probe::Ready(()) } else { not_yet() })
    });
    let looked = looked.await.map_err(|timeout| timeout.to_string());
    let text = |()| format!("after {:.1} s", start.elapsed().as_secs_f64());
    recorder.assertion("without kube-apiserver the provider is alive", looked.map(text))?;
    sleep(ALONE).await;
    let [alive, ready] = [provider.health("livez").await?, provider.health("readyz").await?];
    let text = format!("livez {}, readyz {} {:?}", alive.0, ready.0, ready.1);
    let right = alive.0 == 200 && ready.0 == 500;
    recorder
        .assertion("it stays alive, and is not ready", if right { Ok(text) } else { Err(text) })?;
    Ok(())
}

/// With kube-apiserver it is ready, is found, and serves.
async fn found(
    cluster: &LocalCluster,
    provider: &Provider,
    process: &Process,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let after = || format!("{:.1} s after kube-apiserver", start.elapsed().as_secs_f64());
    let ready = provider.ready(process).await;
    recorder.assertion(
        "it becomes ready by itself",
        ready.map(|_| after()).map_err(|error| format!("{error:#}")),
    )?;
    let looked =
        wait::until("the APIService to be available", FOUND_WITHIN, LOOK_EVERY, async || {
            wait::api_service_available(cluster.client(), api::API_SERVICE).await
        });
    let looked = looked.await.map_err(|timeout| timeout.to_string());
    recorder.assertion("its APIService is available", looked.map(|()| after()))?;
    let admin = cluster.apiserver_as(Some(&cluster.plane().pki().admin))?;
    let looked = wait::until("the metric", FOUND_WITHIN, LOOK_EVERY, async || {
        let answer = admin.get(&metric_path(), &[]).await?;
        let not_yet = || Probe::NotYet(answer.describe());
        anyhow::Ok(if answer.status == 200 { Probe::Ready(()) } else { not_yet() })
    });
    let looked = looked.await.map_err(|timeout| timeout.to_string());
    recorder.assertion("kube-apiserver's clients read the metric", looked.map(|()| after()))?;
    Ok(())
}
