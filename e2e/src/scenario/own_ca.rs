//! The provider keeps an authority of its own, and replaces certificate and authority while requests flow
//! through a kube-apiserver that verifies them.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Api;
use tokio::time::Instant;

use crate::{
    cluster::{
        Cluster,
        local::{LocalCluster, provider::Provider},
    },
    phase::Recorder,
    scenario::{
        HPA, METRIC, SOME_SYNCS,
        api::{API_SERVICE, READER, USERS, local, metric_path},
        stage::{self, UNDER_LOAD, script},
        steady::{Steady, held},
        syncs, watched,
    },
    wait::{self, Probe},
};

/// What the provider may do for it, out of the overlay.
const RIGHTS: &str = "manifests/overlays/own-ca/rbac-own-ca.yaml";
const SECRET: &str = "datadog-cluster-agent-tls";
/// The authority lives as short as can be, with a few seconds for each of its changes: it is replaced after
/// two thirds of its life, and goes when the last certificate that it signed has ended.
const CA_LIFE: Duration = Duration::from_secs(15);
const CERTIFICATE_LIFE: Duration = Duration::from_secs(8);
const MARGIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The authorities that kube-apiserver trusts at one time, as PEM.
type Bundle = BTreeSet<String>;

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    let cluster = local(cluster)?;
    cluster.apply(USERS).await?;
    cluster.apply(RIGHTS).await?;
    let [ca, certificate, margin] =
        [CA_LIFE, CERTIFICATE_LIFE, MARGIN].map(|life| format!("{}s", life.as_secs()));
    let environment = [
        ("DD_EXTERNAL_METRICS_PROVIDER_TLS_OWN_CA_SECRET", SECRET),
        ("DD_EXTERNAL_METRICS_PROVIDER_TLS_CA_LIFE", &ca),
        ("DD_EXTERNAL_METRICS_PROVIDER_TLS_CERT_LIFE", &certificate),
        ("DD_EXTERNAL_METRICS_PROVIDER_TLS_CA_MARGIN", &margin),
    ];
    let provider = Provider::prepare(cluster, &environment).await?.verified()?;
    recorder.phase("provider", provider.install(cluster)).await?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    script(cluster, METRIC, UNDER_LOAD).await?;
    let hpa = watched(cluster);
    let observer = stage::scale_to_three(cluster, recorder, HPA, &hpa).await?;

    let start = Instant::now();
    let token = cluster.token(READER, None).await?;
    let mut steady = Steady::default();
    steady.add("kube-apiserver's client", cluster.apiserver_as(None)?, &token, metric_path());
    steady.add("a new connection", cluster.provider_as(None)?, &token, metric_path());
    let replaced = recorder.phase("a new authority", async { anyhow::Ok(replaced(cluster).await) });
    let replaced = replaced.await?;
    recorder.assertion("authority and certificate are replaced", replaced)?;
    let syncs = recorder.phase("goes on", syncs(cluster, SOME_SYNCS)).await?;
    steady.judge(recorder)?;
    held(recorder, &observer, start, &syncs)
}

/// Watches until kube-apiserver trusts another authority than at first, and no other.
async fn replaced(cluster: &LocalCluster) -> Result<String, String> {
    let mut bundles = Vec::<Bundle>::new();
    let mut certificates = BTreeSet::new();
    let provider = cluster.provider_as(None).map_err(|error| format!("{error:#}"))?;
    let within = CA_LIFE * 3;
    let looked = wait::until("another authority", within, LOOK_EVERY, async || {
        certificates.insert(provider.get("/livez", &[]).await?.certificate);
        let bundle = bundle(cluster).await?;
        if bundles.last() != Some(&bundle) {
            bundles.push(bundle);
        }
        anyhow::Ok(if is_replaced(&bundles) {
            Probe::Ready(())
        } else {
            let sizes: Vec<usize> = bundles.iter().map(BTreeSet::len).collect();
            Probe::NotYet(format!("bundles of {sizes:?} authorities"))
        })
    });
    looked.await.map_err(|timeout| timeout.to_string())?;
    let overlap = bundles.iter().filter(|bundle| bundle.len() > 1).count();
    let text = format!(
        "{} bundles, {overlap} of them with several authorities, {} certificates seen",
        bundles.len(),
        certificates.len()
    );
    // A bundle without both, and kube-apiservers that see the change late would refuse the provider.
    if overlap == 0 || certificates.len() < 2 { Err(text) } else { Ok(text) }
}

async fn bundle(cluster: &LocalCluster) -> anyhow::Result<Bundle> {
    let services = Api::<APIService>::all(cluster.client().clone());
    let spec = services.get(API_SERVICE).await?.spec.context("an APIService without a spec")?;
    let pem = String::from_utf8(spec.ca_bundle.unwrap_or_default().0).context("the bundle")?;
    Ok(authorities(&pem))
}

fn authorities(pem: &str) -> Bundle {
    let begin = "-----BEGIN CERTIFICATE-----";
    pem.split(begin).skip(1).map(|rest| rest.trim().to_owned()).collect()
}

/// Whether nothing is left of the first bundle in the last.
fn is_replaced(bundles: &[Bundle]) -> bool {
    match bundles {
        [first, .., last] => !first.is_empty() && !last.is_empty() && first.is_disjoint(last),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_replaced_when_it_is_trusted_no_more() {
        let bundle = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let steps: [Bundle; 3] = [bundle(&["a"]), bundle(&["a", "b"]), bundle(&["b"])];
        assert!(!is_replaced(&steps[..1]));
        assert!(!is_replaced(&steps[..2]));
        assert!(is_replaced(&steps));
        assert!(!is_replaced(&[bundle(&[]), bundle(&["b"])]));
    }

    #[test]
    fn a_bundle_is_told_apart_by_its_certificates() {
        let pem = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n";
        assert_eq!(authorities(&pem.repeat(2)).len(), 1);
        assert_eq!(authorities(&(pem.to_owned() + &pem.replace("\nA\n", "\nB\n"))).len(), 2);
    }
}
