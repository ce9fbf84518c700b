//! A port-forward to the leader's pod, as `kubectl port-forward` does it.

use futures::FutureExt;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Pod, Service},
};
use kube::{
    Api, Client, Config,
    api::ListParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{
    args::commands::Connect,
    cli::connect::{Error, Way, token::Cluster},
};

/// The cluster through which to forward, where `args` ask for that.
pub(super) async fn wanted(args: &Connect) -> Result<Option<Cluster>, Error> {
    let Connect { port, kubeconfig, context, namespace, pod } = args;
    let named = [context, namespace, pod].iter().any(|it| it.is_some()) || kubeconfig.is_some();
    if !named || port.address.is_some() {
        return Ok(None);
    }
    cluster(args).await.map(Some)
}

/// The cluster of the kubeconfig.
pub(super) async fn cluster(args: &Connect) -> Result<Cluster, Error> {
    let Connect { kubeconfig, context, namespace, .. } = args;
    let unusable =
        |error: &dyn std::error::Error| Error::Kubeconfig(super::first_line(&error.to_string()));
    let read = kubeconfig.as_ref().map_or_else(Kubeconfig::read, Kubeconfig::read_from);
    let options = KubeConfigOptions { context: context.clone(), ..Default::default() };
    let config = match read {
        Ok(read) => Config::from_custom_kubeconfig(read, &options).await,
        Err(error) => Err(error),
    };
    let config = config.map_err(|error| unusable(&error))?;
    let namespace = namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let kube = Client::try_from(config).map_err(|error| unusable(&error))?;
    Ok(Cluster { kube, namespace })
}

pub(super) async fn open(args: &Connect, cluster: &Cluster) -> Result<Way, Error> {
    let namespace = &cluster.namespace;
    let pod = match &args.pod {
        Some(pod) => pod.clone(),
        None => find(args, cluster).await?,
    };
    let pods: Api<Pod> = Api::namespaced(cluster.kube.clone(), namespace);
    let action = format!("port-forward to pod {pod} (create pods/portforward)");
    let forwarder = pods.portforward(&pod, &[args.port.cmd_port]).await;
    let mut forwarder = forwarder.map_err(|error| Error::of_kube(&error, &action, namespace))?;
    let place = format!("port {} of pod {namespace}/{pod}", args.port.cmd_port);
    let broken = || Error::Broken { place: place.clone(), reason: "no stream".to_owned() };
    let stream = forwarder.take_stream(args.port.cmd_port).ok_or_else(broken)?;
    let broken = forwarder.take_error(args.port.cmd_port).map(FutureExt::boxed);
    Ok(Way { stream: Box::new(stream), place, broken })
}

/// The pod that holds the Lease, else one that is ready behind the Service.
async fn find(args: &Connect, cluster: &Cluster) -> Result<String, Error> {
    let Cluster { kube, namespace, .. } = cluster;
    let pods: Api<Pod> = Api::namespaced(kube.clone(), namespace);
    let leases: Api<Lease> = Api::namespaced(kube.clone(), namespace);
    // Who may not read Leases may still forward to a pod of the Service.
    let lease = leases.get_opt(&args.port.lease).await.ok().flatten();
    let holder = lease.and_then(|lease| lease.spec?.holder_identity);
    if let Some(holder) = holder.filter(|holder| !holder.is_empty())
        && let Ok(Some(pod)) = pods.get_opt(&holder).await
        && is_ready(&pod)
    {
        return Ok(holder);
    }
    let services: Api<Service> = Api::namespaced(kube.clone(), namespace);
    let service = services.get_opt(&args.port.service).await;
    let action = format!("read Service {} (get services)", args.port.service);
    let service = service.map_err(|error| Error::of_kube(&error, &action, namespace))?;
    let no_pod = || Error::NoPod {
        namespace: namespace.clone(),
        lease: args.port.lease.clone(),
        service: args.port.service.clone(),
    };
    let labels = service.and_then(|service| service.spec?.selector).ok_or_else(no_pod)?;
    let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let found = pods.list(&ListParams::default().labels(&labels.join(","))).await;
    let found =
        found.map_err(|error| Error::of_kube(&error, "read pods (list pods)", namespace))?;
    let ready = found.items.into_iter().find(is_ready);
    ready.and_then(|pod| pod.metadata.name).ok_or_else(no_pod)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|it| it.type_ == "Ready" && it.status == "True")
    })
}

#[cfg(test)]
mod tests;
