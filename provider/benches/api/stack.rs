//! What is measured: the provider's serving stack as `app` starts it, over a store that is full.
//!
//! All that this benchmark knows of how the provider serves is here.

use std::{net::Ipv4Addr, path::PathBuf, sync::Arc};

use provider::{
    api::{self, health::Readiness},
    serve::{self, tls::Source},
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
    let tls = serve::tls::config(&Source::SelfSigned { names: vec!["localhost".to_owned()] })?;
    let (_store, receiver) = watch::channel(Arc::new(fleet::snapshot(args.metrics)));
    let stop = CancellationToken::new();
    let readiness = Readiness { store: Some(receiver.clone()), stopping: stop.clone() };
    let router = api::router(Some(api::Config { store: receiver }), readiness, Arc::default());
    Ok(serve::run(listener, tls, router, stop).await?)
}
