//! The status page, where it is on.

use anyhow::Context;
use axum::middleware::from_fn_with_state;

use crate::{
    agent::token::Cluster,
    app::{Tasks, agent::Opened, external::External},
    args,
    page::{self, Page, history::History, objects::Objects},
    serve::{
        self,
        guard::{self, Guard},
        tls::Certificates,
    },
};

/// Serves the page on its own port, with the certificate of the API.
pub(super) fn start(
    args: &args::Page,
    cluster: &Cluster,
    external: &External,
    agent: Option<&Opened>,
    certificates: &Certificates,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let Some(port) = args.status_page_port else { return Ok(()) };
    let agent = agent.context(
        "the status page wants the cluster agent's token, set DD_CLUSTER_AGENT_CMD_PORT to a port",
    )?;
    let listener = serve::bind(Some(args.status_page_bind_address), port, "DD_STATUS_PAGE_PORT")?;
    tracing::info!(address = %listener.local_addr()?, "status page is on");
    let store = external.api.store.clone();
    let history = History::default();
    tasks.spawn("history of the status page", {
        let (history, store, stop) = (history.clone(), store.clone(), tasks.stop.clone());
        async move {
            page::history::run(history, store, stop).await;
            Ok(())
        }
    });
    let objects = Objects::new(Some(cluster.kube.clone()));
    let server = serve::Server::default();
    let guard = from_fn_with_state(Guard::new(&server.limits), guard::guard);
    let (leadership, tokens) = (external.leadership.clone(), agent.tokens.clone());
    let page = Page { store, leadership, tokens, history, objects };
    let router = page::router(page).layer(guard);
    let tls =
        serve::tls::config(certificates, rustls::server::WebPkiClientVerifier::no_client_auth());
    // With the others, not with the API's server: whatever ends first ends all.
    let stopping = tasks.stop.clone();
    tasks.spawn(
        "status page",
        async move { Ok(server.run(listener, tls, router, stopping).await?) },
    );
    Ok(())
}
