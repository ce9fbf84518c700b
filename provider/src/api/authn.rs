//! Who sends a request, by the certificate of its connection: kube-apiserver on behalf of a user
//! (the front proxy), or a user.
//!
//! The rules are those of `k8s.io/apiserver/pkg/authentication`: `request/headerrequest`,
//! `request/x509` and `request/union`.
//!
//! 1. **Front proxy**: a chain that a request-header CA vouches for, with a common name that is
//!    allowed. The user is what the headers say; without a user's name in them the front proxy has
//!    no opinion.
//! 2. **Client certificate**: a chain that the client CA vouches for. The user is its common name,
//!    the groups are its organisations; without a common name there is no opinion.
//! 3. Bearer tokens come next, but not here.
//!
//! The first that names a user wins. One that *refuses* (the chain does not verify, the name is not
//! allowed) does not end the search, since the certificate of a kubelet is no front proxy's and the
//! other way round. Only if nothing names a user, a token neither, a refusal counts: the answer is
//! then 401, and never the anonymous user's.
//!
//! Two things differ from Go, both to the safe side. A certificate that comes before the CAs are
//! known is refused, where Go ignores it and calls its owner anonymous. And headers of a front proxy
//! that cannot be read as text are refused, where Go passes the bytes on.
//!
//! What is stricter than Go because `rustls-webpki` is: certificates must be of version 3, a CA
//! cannot be a client itself, RSA keys have at least 2048 bits, and P-521 is unknown. None of it is
//! what kubeadm, k3s or `OpenShift` make for their front proxies.

use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::api::{peer::Peer, user::User};

pub mod config;
mod headers;
mod judgement;
mod subject;
mod trust;

pub use headers::Names as HeaderNames;
pub(crate) use judgement::Judgement;
pub use trust::{Allowed, BadBundle, Roots, Trust};

/// What the certificate of a connection says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Who sends it.
    User(User),
    /// There is a certificate, and nobody vouches for it: 401, unless a token says who it is. For
    /// our log, not for the client.
    Refused(String),
    /// There is none, or it says nothing.
    NoOpinion,
}

/// Judges the certificates of connections by the newest trust; cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticator {
    trust: watch::Receiver<Arc<Trust>>,
}

impl Authenticator {
    /// Judges by what `trust` says at each request.
    pub fn new(trust: watch::Receiver<Arc<Trust>>) -> Self {
        Self { trust }
    }

    /// Whether the certificate authorities have been read once. Before, every certificate is
    /// refused.
    pub fn known(&self) -> bool {
        self.trust.borrow().known
    }

    /// Who sends the request with `headers` over the connection of `peer`, now.
    ///
    /// Takes the front proxy's headers out of `headers`, whoever sent them and whatever the verdict
    /// is: nobody further in can believe them by mistake.
    pub fn certificate(&self, peer: &Peer, headers: &mut HeaderMap) -> Verdict {
        self.certificate_at(peer, headers, Timestamp::now())
    }

    /// [`Self::certificate`] at a time.
    pub fn certificate_at(&self, peer: &Peer, headers: &mut HeaderMap, now: Timestamp) -> Verdict {
        let trust = self.trust.borrow().clone();
        let verdict = judge(&trust, peer, headers, now);
        trust.headers.remove_from(headers);
        verdict
    }
}

fn judge(trust: &Trust, peer: &Peer, headers: &HeaderMap, now: Timestamp) -> Verdict {
    if peer.chain.is_empty() {
        return Verdict::NoOpinion;
    }
    if !trust.known {
        return Verdict::Refused("the certificate authorities are not known yet".to_owned());
    }
    let now = now.as_second();
    let judgement = peer.judged(
        |judgement| judgement.holds(trust.generation, now),
        || Judgement::of(&peer.chain, trust, now),
    );
    let mut refusals = Vec::new();
    match &judgement.front_proxy {
        Ok(true) => match trust.headers.user(headers) {
            Ok(Some(user)) => return Verdict::User(user),
            Ok(None) => {}
            // Not a user of its own: it meant to speak for another.
            Err(reason) => return Verdict::Refused(format!("front proxy: {reason}")),
        },
        Ok(false) => {}
        Err(reason) => refusals.push(format!("front proxy: {reason}")),
    }
    match &judgement.client {
        Ok(Some(user)) => return Verdict::User(user.clone()),
        Ok(None) => {}
        Err(reason) => refusals.push(format!("client certificate: {reason}")),
    }
    if refusals.is_empty() { Verdict::NoOpinion } else { Verdict::Refused(refusals.join("; ")) }
}

#[cfg(test)]
mod tests;
