//! The provider is there before kube-apiserver is, and stays when kube-apiserver goes and comes back.

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
        HPA, METRIC, SCALED,
        api::{self, local},
        scale_down,
        stage::{AT_REST, UNDER_LOAD, script},
        ten_syncs, watched,
    },
    wait::{self, Probe},
};

/// How long the provider is alone: long enough to have tried more than once. Not longer: the HPA controller
/// waits longer and longer itself before it watches again.
const ALONE: Duration = Duration::from_secs(2);
/// How long the provider may take to answer anything at all.
const ALIVE_WITHIN: Duration = Duration::from_secs(20);
/// How long it may take to have read the cluster, and to be found.
const FOUND_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let cluster = local(cluster)?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    script(cluster, METRIC, UNDER_LOAD).await?;
    let provider = Provider::prepare(cluster, &[]).await?;
    let prepared = async {
        // Registered before it is there, as after an outage of everything.
        provider.start_forward(cluster).await?;
        provider.apply(cluster).await?;
        cluster.apply(HPA).await?;
        provider.kubeconfig(cluster).await
    };
    let kubeconfig = recorder.phase("objects", prepared).await?;
    recorder.phase("kube-apiserver ends", cluster.stop_apiserver()).await?;
    let process = provider.start_with(cluster, kubeconfig)?;
    recorder.phase("alone", alone(&provider, recorder)).await?;
    recorder.phase("kube-apiserver starts", cluster.start_apiserver()).await?;
    recorder.phase("found", found(cluster, &provider, &process, recorder)).await?;

    let observer = Observer::start(cluster.client(), &watched(cluster), recorder);
    let within = cluster.timings().follows_within();
    let reached = observer.until(within, |seen| seen.is_active() && seen.is_at(SCALED)).await;
    recorder.assertion("the HPA scales to 3 replicas", reached)?;
    restart(cluster, &observer, recorder).await?;
    script(cluster, METRIC, AT_REST).await?;
    recorder.phase("3 → 1", scale_down(cluster, &observer, recorder)).await
}

/// Without kube-apiserver the provider lives, and says that it is not ready.
async fn alone(provider: &Provider, recorder: &Recorder) -> anyhow::Result<()> {
    let looked = wait::until("the provider to answer", ALIVE_WITHIN, LOOK_EVERY, async || {
        let (status, text) = provider.health("livez").await?;
        let not_yet = || Probe::NotYet(format!("{status} {text}"));
        anyhow::Ok(if status == 200 { Probe::Ready(text.clone()) } else { not_yet() })
    });
    let start = Instant::now();
    let looked = looked.await.map_err(|timeout| timeout.to_string());
    let text = |_| format!("after {:.1} s", start.elapsed().as_secs_f64());
    recorder.assertion("without kube-apiserver the provider is alive", looked.map(text))?;
    sleep(ALONE).await;
    let [alive, ready] = [provider.health("livez").await?, provider.health("readyz").await?];
    let text = format!("livez {}, readyz {} {:?}", alive.0, ready.0, ready.1);
    let right = alive.0 == 200 && ready.0 == 500;
    recorder
        .assertion("it stays alive, and is not ready", if right { Ok(text) } else { Err(text) })?;
    Ok(())
}

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
    recorder.assertion("its APIService becomes available", looked.map(|()| after()))?;
    Ok(())
}

/// kube-apiserver goes away under an HPA at three replicas, and comes back.
async fn restart(
    cluster: &LocalCluster,
    observer: &Observer,
    recorder: &Recorder,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let away = async {
        cluster.stop_apiserver().await?;
        cluster.start_apiserver().await
    };
    recorder.phase("kube-apiserver restarts", away).await?;
    let back = Instant::now();
    let syncs = recorder.phase("syncs go on", ten_syncs(cluster)).await?;
    let within = cluster.timings().follows_within();
    let fresh = observer
        .until(within, |seen| {
            let age = seen.served.as_ref().map_or(f64::MAX, |served| served.age);
            seen.is_active() && seen.refusal.is_none() && age < back.elapsed().as_secs_f64() + 1.0
        })
        .await;
    recorder.assertion("the HPA reads its metric again by itself", fresh)?;
    let history = observer.since(start);
    let moved = history.iter().find(|seen| !seen.is_at(SCALED));
    recorder.assertion(
        "replicas do not move when kube-apiserver restarts",
        match moved {
            None => Ok(format!("{} states seen, {syncs} after it", history.len())),
            Some(seen) => Err(seen.describe()),
        },
    )?;
    Ok(())
}
