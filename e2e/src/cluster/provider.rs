//! What is the same on every backend about the provider's manifests: who is meant, what it is told, and
//! in which order it is applied.

use std::time::Duration;

use fake_datadog::keys;
use kube::Client;

use crate::{
    deploy::{Deployer, ManifestError, Manifests},
    wait,
};

/// The Deployment.
pub(super) const NAME: &str = "datadog-cluster-agent";
/// Its container.
pub(super) const CONTAINER: &str = "cluster-agent";
/// What registers it.
pub(super) const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";
/// How long kube-apiserver may take to find it.
const REGISTERED_WITHIN: Duration = Duration::from_secs(90);

/// Has the provider ask the fake at `url`.
pub(super) fn point_to_fake(manifests: &mut Manifests, url: &str) -> Result<(), ManifestError> {
    let environment = [
        ("DD_API_KEY", keys::DEFAULT_API_KEY),
        ("DD_APP_KEY", keys::DEFAULT_APP_KEY),
        ("DD_EXTERNAL_METRICS_PROVIDER_ENDPOINT", url),
    ];
    set_environment(manifests, &environment)
}

/// Tells the provider something else than its manifests do.
pub(super) fn set_environment(
    manifests: &mut Manifests,
    environment: &[(&str, &str)],
) -> Result<(), ManifestError> {
    for (variable, value) in environment {
        manifests.set_env(("Deployment", NAME), CONTAINER, variable, value)?;
    }
    Ok(())
}

/// Applies everything but the APIService, waits for `started`, and registers the provider then: an
/// APIService without a backend makes discovery fail for the whole cluster, and kube-apiserver asks
/// again only after a while.
pub(super) async fn install(
    (client, deployer): (&Client, &Deployer),
    manifests: &Manifests,
    started: impl Future<Output = anyhow::Result<()>>,
    look_every: Duration,
) -> anyhow::Result<()> {
    let (api_service, others): (Vec<_>, Vec<_>) =
        manifests.iter().partition(|object| object.kind() == "APIService");
    deployer.apply(others).await?;
    started.await?;
    deployer.apply(api_service).await?;
    wait::until("the APIService to be available", REGISTERED_WITHIN, look_every, async || {
        wait::api_service_available(client, API_SERVICE).await
    })
    .await?;
    Ok(())
}
