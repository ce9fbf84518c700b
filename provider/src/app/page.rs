//! The status page, where it is on.

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;

use crate::{
    app::{ExternalMetrics, Tasks},
    args,
    lead::{Leadership, Role},
    page::{self, Page, history::History, objects::Objects},
    serve::{
        self,
        guard::{self, Guard},
        tls::Certificates,
    },
    store::Snapshot,
};

/// The token that opens the page.
const TOKEN: &str = "DD_CLUSTER_AGENT_AUTH_TOKEN";
/// Its shortest length, as for Datadog's agents.
const SHORTEST_TOKEN: usize = 32;

/// What the page shows, and who may see it.
pub(super) struct Parts {
    pub(super) store: watch::Receiver<Arc<Snapshot>>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) token: watch::Receiver<SecretString>,
    pub(super) kube: kube::Client,
}

/// Without an election this replica leads; the token is that of the environment.
pub(super) fn parts(args: &args::Page, external: &ExternalMetrics) -> Parts {
    let leadership = Leadership { role: Role::Leader, ..Leadership::default() };
    let token = args.status_page_token.clone().unwrap_or_default();
    Parts {
        store: external.api.store.clone(),
        leadership: watch::channel(leadership).1,
        token: watch::channel(token).1,
        kube: external.kube.clone(),
    }
}

/// Serves the page on its own port, with the certificate of the API.
pub(super) fn start(
    args: &args::Page,
    parts: Parts,
    certificates: &Certificates,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let Some(port) = args.status_page_port else { return Ok(()) };
    let length = parts.token.borrow().expose_secret().len();
    anyhow::ensure!(
        length >= SHORTEST_TOKEN,
        "the status page needs {TOKEN} of at least {SHORTEST_TOKEN} characters, it has {length}"
    );
    let listener = serve::bind(Some(args.status_page_bind_address), port, "DD_STATUS_PAGE_PORT")?;
    tracing::info!(address = %listener.local_addr()?, "status page is on");
    let Parts { store, leadership, token, kube } = parts;
    let history = History::default();
    tasks.spawn("history of the status page", {
        let (history, store, stop) = (history.clone(), store.clone(), tasks.stop.clone());
        async move {
            page::history::run(history, store, stop).await;
            Ok(())
        }
    });
    let objects = Objects::new(Some(kube));
    let server = serve::Server::default();
    let guard = from_fn_with_state(Guard::new(&server.limits), guard::guard);
    let page = Page { store, leadership, token, history, objects };
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
