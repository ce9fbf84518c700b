//! `GET /status/health`: what is well and what is not.

use axum::{Json, Router, routing::get};
use serde::{Deserialize, Serialize};

use crate::api::health::Readiness;

/// The checks of `/readyz`, each with the reason, as only who is known may ask here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Names of what is well.
    pub healthy: Vec<String>,
    /// What is not.
    pub unhealthy: Vec<Unhealthy>,
}

/// A check that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unhealthy {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

impl Health {
    /// What the checks say now.
    pub fn of(readiness: &Readiness) -> Self {
        let mut health = Self::default();
        for (name, result) in readiness.look() {
            match result {
                Ok(()) => health.healthy.push(name.to_owned()),
                Err(reason) => {
                    health.unhealthy.push(Unhealthy { name: name.to_owned(), reason });
                }
            }
        }
        health.healthy.sort();
        health
    }
}

/// The path.
pub fn routes(readiness: Readiness) -> Router {
    let answer = async move || Json(Health::of(&readiness));
    Router::new().route("/status/health", get(answer))
}
