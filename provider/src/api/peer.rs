//! What a connection says about who is at its other end.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::pki_types::CertificateDer;

use crate::api::authn::Judgement;

/// The longest chain that is judged; real ones have one to three certificates.
pub const MOST_CERTIFICATES: usize = 6;

/// One per connection, as `Arc<Peer>` in the extensions of each of its requests.
///
/// The handshake proves that the peer has the key of the first certificate, and nothing else:
/// whether anyone vouches for it is the authenticator's business, as in Go's servers.
#[derive(Debug)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The certificates that the peer showed, its own first; empty where it showed none.
    pub chain: Vec<CertificateDer<'static>>,
    judgement: Mutex<Option<Arc<Judgement>>>,
}

impl Peer {
    /// The other end of a connection whose handshake is done.
    pub fn new(address: SocketAddr, chain: Vec<CertificateDer<'static>>) -> Self {
        Self { address, chain, judgement: Mutex::default() }
    }

    /// What was judged of the chain, if that still `holds`; else judges it, once for all requests
    /// that wait for it.
    pub(super) fn judged(
        &self,
        holds: impl FnOnce(&Judgement) -> bool,
        judge: impl FnOnce() -> Judgement,
    ) -> Arc<Judgement> {
        let mut known = self.judgement.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some(judgement) if holds(judgement) => judgement.clone(),
            _ => known.insert(Arc::new(judge())).clone(),
        }
    }
}
