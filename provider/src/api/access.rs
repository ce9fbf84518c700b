//! Who sends a request, and whether it is answered: delegated authentication and authorization.
//!
//! The order and the answers are those of `k8s.io/apiserver/pkg/endpoints/filters`: a certificate
//! (that of the front proxy, whose headers then count, or the client's own), a bearer token, and
//! without either the anonymous user. Credentials that are not believed are a 401, unless others of
//! the same request are; what a known user may not do is a 403.

use std::{fmt, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Version,
        header::{AUTHORIZATION, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};

use rustls::crypto::GetRandomFailed;
use tokio::sync::watch;

use crate::{
    api::{
        attributes::{Attributes, quote},
        authn::{Authenticator, Trust, Verdict},
        peer::Peer,
        review::{
            Failure,
            metrics::Metrics,
            rights::{self, Decision, Rights},
            tokens::Tokens,
        },
        status::{Details, Status},
        user::{UNAUTHENTICATED, User},
    },
    serve::connection::CloseConnection,
};

/// Judges the certificate of a connection.
pub trait Certificates: Send + Sync {
    /// Who sends the request with `headers`. Takes the headers of the front proxy out of them,
    /// whoever sent them.
    fn certificate(&self, peer: &Peer, headers: &mut HeaderMap) -> Verdict;
}

impl Certificates for Authenticator {
    fn certificate(&self, peer: &Peer, headers: &mut HeaderMap) -> Verdict {
        self.certificate(peer, headers)
    }
}

/// What decides; cheap to clone.
#[derive(Clone)]
pub struct Access {
    /// Judges certificates.
    pub certificates: Arc<dyn Certificates>,
    /// Judges bearer tokens.
    pub tokens: Arc<Tokens>,
    /// Judges what a user may do.
    pub rights: Arc<Rights>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { certificates: _, tokens, rights } = self;
        let mut all = f.debug_struct("Access");
        all.field("tokens", tokens).field("rights", rights).finish_non_exhaustive()
    }
}

/// Middleware around all routes, inside of [`crate::api::respond::finish`], which writes what is
/// refused here as the client wants it.
///
/// Wants an `Arc<Peer>` in the extensions of the request. Who it is, as `Arc<User>`, is in the
/// extensions of the request for the handlers and in those of the response for what is further out.
pub async fn check(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let is_http2 = request.version() == Version::HTTP_2;
    let Some(peer) = request.extensions().get::<Arc<Peer>>().cloned() else {
        // Without it a certificate would go unseen. It is the server's mistake, not the client's.
        tracing::error!("a request has no peer");
        return Status::internal("the connection of the request is not known").into_response();
    };
    let user = access.identify(&peer, request.headers_mut()).await;
    let (mut response, is_stranger) = match user {
        Ok(user) => {
            let mut response = access.authorize(&user, request, next).await;
            let is_stranger = is_stranger(&user);
            response.extensions_mut().insert(user);
            (response, is_stranger)
        }
        Err(refusal) => {
            tracing::debug!(peer = %peer.address, refusal, "request not authenticated");
            (Status::unauthorized().into_response(), true)
        }
    };
    // As Go: over HTTP/2 it costs a stranger little to send much (CVE-2023-44487).
    if is_http2 && is_stranger {
        response.extensions_mut().insert(CloseConnection);
    }
    response
}

impl Access {
    /// Delegates to kube-apiserver: the authorities of certificates as they are in `trust`, tokens
    /// and rights by review. Without a client nothing can be reviewed.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn delegated(
        client: Option<kube::Client>,
        trust: watch::Receiver<Arc<Trust>>,
        rights: rights::Config,
        metrics: Metrics,
    ) -> Result<Self, GetRandomFailed> {
        let tokens = Tokens::new(client.clone(), Vec::new(), metrics.clone())?;
        Ok(Self {
            certificates: Arc::new(Authenticator::new(trust)),
            tokens: Arc::new(tokens),
            rights: Arc::new(Rights::new(client, rights, metrics)),
        })
    }

    /// The user, or why the credentials are not believed. Takes the credentials out of `headers`.
    async fn identify(&self, peer: &Peer, headers: &mut HeaderMap) -> Result<Arc<User>, String> {
        let verdict = self.certificates.certificate(peer, headers);
        let token = bearer(headers);
        headers.remove(AUTHORIZATION);
        let refused = match verdict {
            Verdict::User(user) => return Ok(Arc::new(user.authenticated())),
            Verdict::Refused(reason) => Some(reason),
            Verdict::NoOpinion => None,
        };
        match token {
            Token::None => {}
            Token::Unreadable(reason) => return Err(reason.to_owned()),
            Token::Bearer(token) => {
                return match self.tokens.review(&token).await {
                    Ok(Some(user)) => Ok(Arc::new(User::clone(&user).authenticated())),
                    Ok(None) => Err("the bearer token is not believed".to_owned()),
                    Err(failure) => Err(failure.to_string()),
                };
            }
        }
        refused.map_or_else(|| Ok(Arc::new(User::anonymous())), Err)
    }

    /// The answer, where the user may have it.
    async fn authorize(&self, user: &Arc<User>, mut request: Request, next: Next) -> Response {
        let attributes = Attributes::of(request.method(), request.uri());
        let refused = match self.rights.review(user, &attributes).await {
            Ok(Decision::Allowed) => {
                request.extensions_mut().insert(user.clone());
                return next.run(request).await;
            }
            Ok(Decision::Denied(reason)) => forbidden(user, &attributes, &reason),
            Err(failure) => undecided(user, &attributes, &failure),
        };
        tracing::debug!(refusal = refused.message(), "request not allowed");
        let no_sniff = HeaderValue::from_static("nosniff");
        let headers: [(HeaderName, _); 1] = [(X_CONTENT_TYPE_OPTIONS, no_sniff)];
        (headers, refused).into_response()
    }
}

/// As `isAnonymousUser` in `filters/authentication.go`.
fn is_stranger(user: &User) -> bool {
    user.name == "system:anonymous" || user.groups.iter().any(|group| group == UNAUTHENTICATED)
}

/// What the header `Authorization` holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Nothing that we know: there may be other credentials.
    None,
    /// Something that must not be guessed at.
    Unreadable(&'static str),
    Bearer(String),
}

/// Reads the header as `authentication/request/bearertoken` does: the scheme in any case, one
/// blank, the token, and what follows another blank is ignored. Two headers are refused, where Go
/// takes the first: a proxy before us may have judged the second.
pub(crate) fn bearer(headers: &HeaderMap) -> Token {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Token::None };
    if values.next().is_some() {
        return Token::Unreadable("there are several Authorization headers");
    }
    let Ok(value) = value.to_str() else {
        return Token::Unreadable("the Authorization header is not ASCII");
    };
    let mut parts = value.trim().splitn(3, ' ');
    match (parts.next(), parts.next()) {
        (Some(scheme), Some(token))
            if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() =>
        {
            Token::Bearer(token.to_owned())
        }
        _ => Token::None,
    }
}

/// 403 in the words of `responsewriters.ForbiddenStatusError` and `errors.NewForbidden`.
fn forbidden(user: &User, attributes: &Attributes, reason: &str) -> Status {
    let mut message = escape(&format!("User {} cannot {attributes}", quote(&user.name)));
    if !reason.is_empty() {
        message = format!("{message}: {reason}");
    }
    let Attributes::Resource(resource) = attributes else {
        return Status::forbidden(format!("forbidden: {message}"), Details::default());
    };
    let dot = if resource.group.is_empty() { "" } else { "." };
    let mut what = format!("{}{dot}{}", resource.resource, resource.group);
    if !resource.name.is_empty() {
        what = format!("{what} {}", quote(&resource.name));
    }
    let details = Details {
        name: resource.name.clone(),
        group: resource.group.clone(),
        kind: resource.resource.clone(),
        causes: vec![],
    };
    Status::forbidden(format!("{what} is forbidden: {message}"), details)
}

/// 500, where Go answers in plain text: the HPA controller shows the words of a Status.
fn undecided(user: &User, attributes: &Attributes, failure: &Failure) -> Status {
    Status::internal(format!(
        "whether User {} can {attributes} is not known: {failure}",
        quote(&user.name)
    ))
}

/// No error may look like HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
