//! What is measured: the provider's serving stack as `app` starts it, over a store that is full.
//!
//! All that this benchmark knows of how the provider serves is here.

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc};

use anyhow::anyhow;
use kube::config::{KubeConfigOptions, Kubeconfig};
use provider::{
    api::{
        self,
        access::Access,
        authn::{self, Trust},
        health::Readiness,
        review::{self, rights},
    },
    serve::{
        self,
        client_certs::AnyClient,
        guard::Guard,
        tls::{Certificates, Source, metrics::Expiry},
    },
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fleet;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of metrics
    metrics: usize,

    /// Where to listen on loopback
    #[arg(long)]
    port: u16,

    /// The kube-apiserver that knows whom to believe and what is allowed
    #[arg(long)]
    kubeconfig: PathBuf,
}

/// Serves until it is killed.
pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let listener = serve::bind(Some(Ipv4Addr::LOCALHOST.into()), args.port, "--port")?;
    let kubeconfig = Kubeconfig::read_from(&args.kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    let client = kube::Client::try_from(config)?;
    let stop = CancellationToken::new();

    let (sender, trust) = watch::channel(Arc::<Trust>::default());
    tokio::spawn(authn::config::run(client.clone(), sender, stop.clone()));
    let (rights, reviews) = (rights::Config::default(), review::metrics::Metrics::default());
    let access = Access::delegated(Some(client), trust, rights, reviews)
        .map_err(|_| anyhow!("no random numbers"))?;

    let names = ["localhost".to_owned()];
    let certificates = Certificates::start(&Source::SelfSigned, &names, Expiry::default())?;
    let tls = serve::tls::config(&Arc::new(certificates), Arc::new(AnyClient::default()));
    let (_store, store) = watch::channel(Arc::new(fleet::snapshot(args.metrics)));
    let server = serve::Server::default();
    let router = api::guarded(
        Some(api::Config { store }),
        Readiness::new(stop.clone()),
        Arc::default(),
        Guard::new(&server.limits),
        access,
    );
    Ok(server.run(listener, tls, router, stop).await?)
}
