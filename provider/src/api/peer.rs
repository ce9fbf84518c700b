//! What a connection says about who is at its other end.

use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;

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
}

impl Peer {
    /// The other end of a connection whose handshake is done.
    pub fn new(address: SocketAddr, chain: Vec<CertificateDer<'static>>) -> Self {
        Self { address, chain }
    }
}
