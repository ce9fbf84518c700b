//! An HPA that refers to a `DatadogMetric`: it scales on a query of the user's own, here the sum of two
//! metrics.

use std::time::Duration;

use anyhow::ensure;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};

use crate::{
    cluster::Cluster,
    observe::Watched,
    phase::Recorder,
    scenario::{METRIC, NGINX_HPA, SCALED, hold, judge, near, scale_down, stage, watched},
    wait::{self, Probe},
};

const DEFINITION: &str = "manifests/datadogmetric-crd.yaml";
const DEFINED: &str = "datadogmetrics.datadoghq.com";
/// How long kube-apiserver may take to serve a new kind, and the provider to write a status.
const SERVED_WITHIN: Duration = Duration::from_secs(30);
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The `DatadogMetric` and the HPA, both in the namespace of the walkthrough.
const MANIFEST: &str = "e2e/manifests/datadog-metric.yaml";
const NAME: &str = "nginx-traffic";
const REFERENCE: &str = "datadogmetric@default:nginx-traffic";
/// The other metric.
const CONNECTIONS: &str = "nginx.net.connections";
/// What both together are for three replicas.
const REQUESTS_OF_THREE: f64 = 20.0;
const CONNECTIONS_OF_THREE: f64 = 5.0;

pub(super) async fn run<C: Cluster>(cluster: &C, recorder: &Recorder) -> anyhow::Result<()> {
    ensure!(
        cluster.name() != "existing",
        "datadog-metric installs a CustomResourceDefinition: run it on local or kind"
    );
    recorder.phase("definition", define(cluster)).await?;
    let crd = ("DD_EXTERNAL_METRICS_PROVIDER_USE_DATADOGMETRIC_CRD", "true");
    recorder.phase("provider", cluster.install_provider(&[crd])).await?;
    recorder.phase("nginx", cluster.install_nginx()).await?;
    stage::script(cluster, METRIC, REQUESTS_OF_THREE).await?;
    stage::script(cluster, CONNECTIONS, CONNECTIONS_OF_THREE).await?;
    let watched =
        Watched { metric: REFERENCE.to_owned(), selector: String::new(), ..watched(cluster) };
    let observer = stage::scale_to_three(cluster, recorder, MANIFEST, &watched).await?;
    let held = recorder.phase("stays at 3", hold(cluster, &observer, recorder)).await?;
    let expected = REQUESTS_OF_THREE + CONNECTIONS_OF_THREE;
    recorder.assertion(
        "the provider serves the value of the query",
        near(held.mean_served, expected, 0.0001, "in all"),
    )?;
    recorder.assertion("its status shows value and user", status(cluster).await)?;
    stage::script(cluster, METRIC, stage::AT_REST).await?;
    recorder.phase("3 → 1", scale_down(cluster, &observer, recorder)).await?;
    judge(cluster, &observer, recorder, SCALED).await
}

/// Installs the definition, and waits until objects of its kind can be made.
async fn define<C: Cluster>(cluster: &C) -> anyhow::Result<()> {
    cluster.apply(DEFINITION).await?;
    let definitions = Api::<CustomResourceDefinition>::all(cluster.client().clone());
    wait::until("the kind DatadogMetric to be served", SERVED_WITHIN, LOOK_EVERY, async || {
        let status = definitions.get(DEFINED).await?.status;
        let mut conditions = status.into_iter().flat_map(|it| it.conditions.unwrap_or_default());
        let established = conditions.any(|it| it.type_ == "Established" && it.status == "True");
        let not_yet = || Probe::NotYet("it is not established".to_owned());
        anyhow::Ok(if established { Probe::Ready(()) } else { not_yet() })
    })
    .await?;
    Ok(())
}

/// Waits until the `DatadogMetric` says that it is valid, for whom it is, and its value.
async fn status<C: Cluster>(cluster: &C) -> Result<String, String> {
    let kind = GroupVersionKind::gvk("datadoghq.com", "v1alpha1", "DatadogMetric");
    let (client, resource) = (cluster.client().clone(), ApiResource::from_gvk(&kind));
    let metrics = Api::<DynamicObject>::namespaced_with(client, cluster.namespace(), &resource);
    let value = (REQUESTS_OF_THREE + CONNECTIONS_OF_THREE).to_string();
    let looked = wait::until("its status", WRITTEN_WITHIN, LOOK_EVERY, async || {
        let status = metrics.get(NAME).await?.data["status"].take();
        let conditions = status["conditions"].as_array().into_iter().flatten();
        let valid =
            conditions.into_iter().any(|it| it["type"] == "Valid" && it["status"] == "True");
        let user = status["autoscalerReferences"].as_str().unwrap_or_default();
        let well = valid && status["currentValue"] == value && user.contains(NGINX_HPA);
        let text = format!("value {}, references {user}, valid {valid}", status["currentValue"]);
        anyhow::Ok(if well { Probe::Ready(text) } else { Probe::NotYet(text) })
    });
    looked.await.map_err(|timeout| timeout.to_string())
}
