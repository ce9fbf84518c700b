//! The front proxy gets another authority, by kube-apiserver's own files: the ConfigMap from which the
//! provider knows whom to trust changes, and then kube-apiserver's certificate.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{
    cluster::local::LocalCluster,
    phase::Recorder,
    pki::{
        FRONT_PROXY_NAME, Pair,
        issuer::{Issuer, replace},
    },
    scenario::api::metric_path,
    wait::{self, Probe},
};

/// kube-apiserver watches its files, and the provider the ConfigMap.
const SEEN_WITHIN: Duration = Duration::from_secs(70);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const CONFIG_MAP: &str = "extension-apiserver-authentication";
const KEY: &str = "requestheader-client-ca-file";

pub(super) async fn rotate(cluster: &LocalCluster, recorder: &Recorder) -> anyhow::Result<()> {
    let pki = cluster.plane().pki();
    let first = std::fs::read_to_string(&pki.front_proxy_ca).context("the first authority")?;
    let folder = cluster.path("front-proxy-1");
    std::fs::create_dir(&folder)?;
    let old = copy(&pki.front_proxy, &folder)?;
    let issuer = Issuer::new(&cluster.path("front-proxy-2"), "e2e-front-proxy-ca-2")?;
    let new = issuer.client("front-proxy", FRONT_PROXY_NAME)?;
    let misnamed = issuer.client("misnamed", "somebody-else")?;

    // Both are trusted, before anybody shows a certificate of the second.
    let both = first.clone() + &issuer.pem();
    replace(&pki.front_proxy_ca, both.as_bytes())?;
    let trusted = believed(cluster, &new, 200).await;
    recorder.assertion("a second front-proxy authority is trusted", trusted)?;
    let refused = believed(cluster, &misnamed, 401).await;
    recorder.assertion("its certificate for another name is not", refused)?;

    let log = cluster.apiserver_log_at(2).await?;
    pki.front_proxy.replace_by(&new)?;
    let loaded = log.says(&["Loaded a new cert/key pair", "aggregator-proxy-cert"]).await;
    recorder.assertion("kube-apiserver takes its new certificate", loaded)?;

    // kube-apiserver adds to the ConfigMap what is in its file, and takes nothing out of it.
    replace(&pki.front_proxy_ca, issuer.pem().as_bytes())?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.plane().client().clone(), "kube-system");
    let only = json!({"data": {KEY: issuer.pem()}});
    maps.patch(CONFIG_MAP, &PatchParams::default(), &Patch::Merge(only)).await?;
    let refused = believed(cluster, &old, 401).await;
    recorder.assertion("the first front-proxy authority is trusted no more", refused)?;
    Ok(())
}

/// Waits until the provider answers so to who shows this certificate as the front proxy.
async fn believed(cluster: &LocalCluster, pair: &Pair, status: u16) -> Result<String, String> {
    let proxy = cluster.provider_as(Some(pair)).map_err(|error| format!("{error:#}"))?;
    let headers = [("X-Remote-User", "e2e-admin"), ("X-Remote-Group", "system:masters")];
    let start = tokio::time::Instant::now();
    let looked = wait::until("the provider's judgement", SEEN_WITHIN, LOOK_EVERY, async || {
        let answer = proxy.get(&metric_path(), &headers).await?;
        let not_yet = || Probe::NotYet(answer.describe());
        anyhow::Ok(if answer.status == status { Probe::Ready(()) } else { not_yet() })
    });
    looked.await.map_err(|timeout| timeout.to_string())?;
    Ok(format!("{status} after {:.1} s", start.elapsed().as_secs_f64()))
}

fn copy(pair: &Pair, folder: &std::path::Path) -> anyhow::Result<Pair> {
    let copied = |path: &std::path::Path| {
        let to = folder.join(path.file_name().unwrap_or_default());
        std::fs::copy(path, &to).map(|_| to)
    };
    Ok(Pair { certificate: copied(&pair.certificate)?, key: copied(&pair.key)? })
}
