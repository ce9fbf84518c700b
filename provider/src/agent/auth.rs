//! Who may ask on port 5005: whoever shows the token.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tokio::{sync::watch, time::Instant};

use crate::{
    agent::token::Token, api::peer::Peer, hex::fingerprint, serve::connection::CloseConnection,
};

/// At most one line about refusals in this time.
const QUIET: Duration = Duration::from_secs(10);

/// What the check needs. Clones share what they count.
#[derive(Debug, Clone)]
pub struct Auth {
    tokens: watch::Receiver<Token>,
    refusals: Arc<Mutex<Refusals>>,
}

/// Those that no line was written about yet.
#[derive(Debug, Default)]
struct Refusals {
    last: Option<Instant>,
    unsaid: u64,
}

/// Why somebody gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No header.
    NoToken,
    /// A header of another kind, or more than one.
    NoBearer,
    /// Somebody else's token.
    WrongToken,
}

impl Auth {
    /// Lets in whoever shows the newest of `tokens`.
    pub fn new(tokens: watch::Receiver<Token>) -> Self {
        Self { tokens, refusals: Arc::default() }
    }

    /// Says who asked with what, unless a line about others was written just now. The token that
    /// was shown may be a good one elsewhere: only what tells it from ours is written.
    fn log(&self, refusal: Refusal, shown: Option<&str>, peer: Option<&Peer>) {
        let now = Instant::now();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.last.is_some_and(|last| now.duration_since(last) < QUIET) {
            refusals.unsaid += 1;
            return;
        }
        refusals.last = Some(now);
        let others = std::mem::take(&mut refusals.unsaid);
        drop(refusals);
        let shown = shown.map(|it| (it.len(), fingerprint(it)));
        tracing::warn!(
            peer = peer.map(|peer| tracing::field::display(peer.address)),
            reason = refusal.text(),
            shown = shown.map(|(length, fingerprint)| {
                tracing::field::display(format!("{length} characters, fingerprint {fingerprint}"))
            }),
            ours = %*self.tokens.borrow(),
            others_meanwhile = others,
            "a request to the agent's port was refused"
        );
    }
}

/// The token in the headers, if there is one.
pub fn shown(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::NoToken)?;
    if values.next().is_some() {
        return Err(Refusal::NoBearer);
    }
    let text = value.to_str().map_err(|_| Refusal::NoBearer)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refusal::NoBearer)?;
    if scheme.eq_ignore_ascii_case("Bearer") { Ok(token.trim()) } else { Err(Refusal::NoBearer) }
}

impl Refusal {
    /// One line: what is wrong, and how to find out whose fault it is. Nothing about our token.
    pub fn text(self) -> &'static str {
        match self {
            Self::NoToken => {
                "no token was sent: the header Authorization must be Bearer and the cluster \
                 agent's token (DD_CLUSTER_AGENT_AUTH_TOKEN)"
            }
            Self::NoBearer => {
                "no bearer token was sent: the header Authorization must be Bearer and the cluster \
                 agent's token (DD_CLUSTER_AGENT_AUTH_TOKEN), once"
            }
            Self::WrongToken => {
                "the token is not that of this cluster agent: compare `datadog-cluster-agent env` \
                 here with `env` there (DD_CLUSTER_AGENT_AUTH_TOKEN)"
            }
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::NoBearer => StatusCode::UNAUTHORIZED,
            Self::WrongToken => StatusCode::FORBIDDEN,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status(), format!("{}\n", self.text())).into_response();
        let challenge = HeaderValue::from_static("Bearer realm=\"datadog-cluster-agent\"");
        if self.status() == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        // Whoever has no token takes no place from those who have.
        response.extensions_mut().insert(CloseConnection);
        response
    }
}

/// Middleware: 401 for who shows no token, 403 for who shows another one.
pub async fn check(State(auth): State<Auth>, mut request: Request, next: Next) -> Response {
    let token = shown(request.headers());
    let judged = token.and_then(|token| {
        if auth.tokens.borrow().is(token) { Ok(()) } else { Err(Refusal::WrongToken) }
    });
    if let Err(refusal) = judged {
        let peer = request.extensions().get::<Arc<Peer>>();
        auth.log(refusal, token.ok(), peer.map(AsRef::as_ref));
        return refusal.into_response();
    }
    // Nobody further in needs it, and nobody can write it into a log by accident.
    request.headers_mut().remove(AUTHORIZATION);
    next.run(request).await
}

/// Requests by what they ask for and HTTP status, as Datadog's agent counts them. Clones share what
/// they count.
#[derive(Debug, Clone, Default)]
pub struct Requests(Family<Answered, Counter>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    handler: String,
    status: u16,
}

impl Requests {
    /// Adds the metric to those that are told.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Requests to the agent's port by handler and HTTP status";
        registry.register("api_requests", help, self.0.clone());
    }
}

/// Middleware: counts each request.
pub async fn count(State(requests): State<Requests>, request: Request, next: Next) -> Response {
    // A route's template, so that no client can make up labels.
    let path = request.extensions().get::<MatchedPath>().map(|path| handler(path.as_str()));
    let handler = path.unwrap_or_else(|| "other".to_owned());
    let response = next.run(request).await;
    let answered = Answered { handler, status: response.status().as_u16() };
    requests.0.get_or_create(&answered).inc();
    response
}

/// Datadog's name of the handler, where it has one.
fn handler(path: &str) -> String {
    let name = match path {
        "/version" => "getVersion",
        "/hostname" => "getHostname",
        "/api/v1/tags/pod/{node}/{namespace}/{pod}"
        | "/api/v1/metadata/{node}/{namespace}/{pod}" => "getPodMetadata",
        "/api/v1/tags/pod/{node}" => "getPodMetadataForNode",
        "/api/v1/tags/pod" => "getAllMetadata",
        "/api/v1/tags/node/{node}" => "getNodeLabels",
        "/api/v1/annotations/node/{node}" => "getNodeAnnotations",
        "/api/v1/tags/namespace/{namespace}" => "getNamespaceLabels",
        "/api/v1/metadata/namespace/{namespace}" => "getNamespaceMetadata",
        "/api/v1/cluster/id" => "getClusterID",
        other => other,
    };
    name.to_owned()
}
