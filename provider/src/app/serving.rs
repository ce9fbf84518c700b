//! What the server is built from: its certificate, and who may ask it what.

use std::sync::Arc;

use anyhow::anyhow;
use tokio::sync::watch;

use crate::{
    api::{
        access::Access,
        authn::{self, Trust},
        review,
    },
    app::Tasks,
    args,
    serve::{
        self,
        tls::{Certificates, Source, metrics::Expiry},
    },
};

/// Has a certificate to serve with, and starts what replaces it. `cluster` is the way to
/// kube-apiserver and our namespace.
pub(super) fn start_certificates(
    args: &args::Serving,
    cluster: Option<(&kube::Client, &str)>,
    expiry: Expiry,
    tasks: &mut Tasks,
) -> anyhow::Result<Arc<Certificates>> {
    let source = args.certificate();
    let names = serve::tls::names(cluster.map_or("default", |(_, namespace)| namespace));
    let certificates = Arc::new(Certificates::start(&source, &names, expiry)?);
    let (shared, stop) = (certificates.clone(), tasks.stop.clone());
    match (source, cluster) {
        (Source::Files(files), _) => tasks.spawn("watch of certificate files", async move {
            files.watch(serve::tls::files::LOOK, shared, stop).await;
            Ok(())
        }),
        (Source::OwnCa { secret, lifetimes }, Some((kube, namespace))) => {
            let config = serve::ca::Config {
                namespace: namespace.to_owned(),
                secret,
                api_service: "v1beta1.external.metrics.k8s.io".to_owned(),
                names,
                lifetimes,
            };
            let kube = kube.clone();
            tasks.spawn("own CA", async move {
                serve::ca::run(kube, config, shared, stop).await;
                Ok(())
            });
        }
        (Source::OwnCa { .. }, None) => tracing::warn!(
            "external metrics are off, so is the own CA: a self-signed certificate is served"
        ),
        (Source::SelfSigned, _) => {}
    }
    Ok(certificates)
}

/// Delegates to kube-apiserver who is who and who may do what. Without a cluster there is nobody to
/// ask, so that only the health endpoints answer.
pub(super) fn start_access(
    args: &args::Serving,
    kube: Option<kube::Client>,
    metrics: review::metrics::Metrics,
    tasks: &mut Tasks,
) -> anyhow::Result<Access> {
    let (sender, trust) = watch::channel(Arc::<Trust>::default());
    if let Some(kube) = kube.clone() {
        let stop = tasks.stop.clone();
        tasks.spawn("watch of certificate authorities", async move {
            authn::config::run(kube, sender, stop).await;
            Ok(())
        });
    }
    let rights = review::rights::Config { broad: args.broad_reviews, ..Default::default() };
    Access::delegated(kube, trust, rights, metrics)
        .map_err(|_| anyhow!("the system has no random numbers to hash tokens with"))
}
