//! What the agent tells of itself on its own port: to our commands, to node agents, to replicas.

use std::sync::Arc;

use axum::Router;

use crate::agent::facts::Facts;

pub mod config;
pub mod facts;
pub mod flare;
pub mod health;
pub mod status;

/// What our commands ask for: `/status`, `/status/health`, `/config`, `/flare`. To be served only
/// to those who know the token.
pub fn commands(facts: &Arc<Facts>) -> Router {
    status::routes(facts.clone())
        .merge(health::routes(facts.readiness.clone()))
        .merge(config::routes(facts.settings.clone()))
        .merge(flare::routes(facts.clone()))
}
