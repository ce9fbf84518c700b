//! Port 5005: for node agents, for the other replicas and for our own commands.
//!
//! ```text
//!  token ─┬─▶ identity: the certificate, and whom replicas and commands trust
//!         └─▶ auth: who may ask ─▶ routes ◀─ service_map ◀─ watches (slices, nodes, namespaces)
//! ```

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
};
use tokio::sync::watch;

use crate::{
    agent::{
        auth::{Auth, Requests},
        facts::Facts,
        token::Token,
    },
    serve::guard::{self, Guard},
};

pub mod auth;
pub mod cluster_id;
pub mod config;
pub mod facts;
pub mod flare;
pub mod health;
pub mod identity;
pub mod routes;
pub mod service_map;
pub mod status;
pub mod token;

/// What is around all routes.
#[derive(Debug)]
pub struct Parts {
    /// Who may ask.
    pub tokens: watch::Receiver<Token>,
    /// How much may be asked at a time.
    pub guard: Guard,
    /// What is counted.
    pub requests: Requests,
}

/// All of `routers`, each path only for who shows the token.
pub fn router(parts: Parts, routers: impl IntoIterator<Item = Router>) -> Router {
    let Parts { tokens, guard, requests } = parts;
    let merged = routers.into_iter().fold(Router::new(), Router::merge);
    merged
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Auth::new(tokens), auth::check))
        .layer(middleware::from_fn_with_state(guard, guard::guard))
        .layer(middleware::from_fn_with_state(requests, auth::count))
}

/// What our commands ask for: `/status`, `/status/health`, `/config`, `/flare`.
pub fn commands(facts: &Arc<Facts>) -> Router {
    status::routes(facts.clone())
        .merge(health::routes(facts.readiness.clone()))
        .merge(config::routes(facts.settings.clone()))
        .merge(flare::routes(facts.clone()))
}

async fn unknown_path(uri: Uri) -> Response {
    let text = format!("the cluster agent has no {}\n", uri.path());
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let text = format!("the cluster agent does not allow {method} on {}\n", uri.path());
    (StatusCode::METHOD_NOT_ALLOWED, text).into_response()
}

/// Our address on the way to `remote`, by the routes of this machine. Nothing is sent.
pub fn local_address(remote: SocketAddr) -> std::io::Result<SocketAddr> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(remote)?;
    socket.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towards_loopback_we_are_loopback() {
        let address = local_address((Ipv4Addr::LOCALHOST, 443).into()).unwrap();
        assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
    }
}
