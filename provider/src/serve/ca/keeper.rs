//! Reads and writes the Secret and the APIService as the plan says.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    ByteString, api::core::v1::Secret, kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    said::Said,
    serve::{
        ca::{
            Config, make,
            plan::{Step, plan},
            state::State,
            view::View,
        },
        tls::{Certificates, metrics::Which},
    },
};

/// The field manager of what is written here: of the bundle and nothing else.
const MANAGER: &str = "datadog-cluster-agent-ca";
/// Only a Secret with this label is ours.
const LABEL: (&str, &str) = ("app.kubernetes.io/managed-by", "datadog-cluster-agent");

/// Keeps one CA.
pub(super) struct Keeper {
    secrets: Api<Secret>,
    services: Api<APIService>,
    config: Config,
    certificates: Arc<Certificates>,
    secret_said: Said,
    service_said: Said,
    away_said: Said,
}

/// Why a look came to no end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Kube(#[from] kube::Error),
    #[error("{0}")]
    Make(#[from] make::Error),
}

impl Keeper {
    pub(super) fn new(client: Client, config: Config, certificates: Arc<Certificates>) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), &config.namespace),
            services: Api::all(client),
            config,
            certificates,
            secret_said: Said::default(),
            service_said: Said::default(),
            away_said: Said::default(),
        }
    }

    /// Looks once, and does at most one step. Says when to look again: at once (`now`) after a
    /// step.
    pub(super) async fn look(&mut self, now: Timestamp) -> Result<Timestamp, Failure> {
        // In this order: who writes a bundle by an old Secret then names an old version of the
        // APIService, and is refused where another replica has written in between.
        let view = self.view().await;
        let secret = self.secrets.get_opt(&self.config.secret).await?;
        self.away_said.clear();
        let Some((state, unusable)) = self.read(secret.as_ref()) else { return Ok(Timestamp::MAX) };
        let Config { names, lifetimes, .. } = &self.config;
        let step = plan(state.as_ref(), &view, names, lifetimes, now);
        if let Some(new) = step.apply(state.as_ref(), names, lifetimes, now)? {
            if !unusable.is_empty() {
                let secret = &self.config.secret;
                tracing::warn!(secret, unusable = unusable.join(", "), "Secret is made anew");
            }
            self.write(secret, &new, step).await?;
            return Ok(now);
        }
        let Some(state) = state else { return Ok(now) };
        let published = self.publish(&view, &state.bundle()).await;
        self.serve(state);
        Ok(match step {
            Step::Keep(until) if published => until,
            _ => now,
        })
    }

    /// kube-apiserver cannot be asked.
    pub(super) fn away(&mut self, error: &str) {
        let secret = &self.config.secret;
        self.away_said.once(error, || {
            tracing::warn!(
                secret,
                error,
                "Secret of the own CA cannot be read or written, trying again; the certificate stays"
            );
        });
    }

    async fn view(&mut self) -> View {
        let name = &self.config.api_service;
        match self.services.get_opt(name).await {
            Ok(service) => View::of(service.as_ref(), &self.config.namespace),
            Err(error) => {
                let error = error.to_string();
                self.service_said.once(&error, || {
                    tracing::warn!(
                        name,
                        error,
                        "APIService cannot be read, its caBundle is left as it is; \
                         see ClusterRole dca-own-ca"
                    );
                });
                View::Unknown
            }
        }
    }

    /// What the Secret holds; `None` where it is somebody else's.
    fn read(&mut self, secret: Option<&Secret>) -> Option<(Option<State>, Vec<String>)> {
        let Some(secret) = secret else { return Some((None, Vec::new())) };
        let label = secret.metadata.labels.iter().flatten().find(|(key, _)| *key == LABEL.0);
        if label.is_none_or(|(_, value)| value != LABEL.1) {
            let name = &self.config.secret;
            self.secret_said.once("foreign", || {
                tracing::warn!(
                    secret = name,
                    "Secret is not ours (no label {}={}), a self-signed certificate is served; \
                     delete it or name another with DD_EXTERNAL_METRICS_PROVIDER_TLS_OWN_CA_SECRET",
                    LABEL.0,
                    LABEL.1
                );
            });
            return None;
        }
        self.secret_said.clear();
        Some(State::parse(secret.data.as_ref().unwrap_or(&BTreeMap::new())))
    }

    /// Writes the Secret, if it is still the one that was read.
    async fn write(&self, old: Option<Secret>, state: &State, step: Step) -> Result<(), Failure> {
        let params =
            PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let name = &self.config.secret;
        let data = Some(state.data());
        let written = if let Some(old) = old {
            let new = Secret { data, ..old };
            self.secrets.replace(name, &params, &new).await
        } else {
            let label = (LABEL.0.to_owned(), LABEL.1.to_owned());
            let metadata = ObjectMeta {
                name: Some(name.clone()),
                labels: Some(BTreeMap::from([label])),
                ..ObjectMeta::default()
            };
            let type_ = Some("kubernetes.io/tls".to_owned());
            let new = Secret { metadata, data, type_, ..Secret::default() };
            self.secrets.create(&params, &new).await
        };
        match written {
            Ok(_) => tracing::info!(secret = name, ?step, "own CA written"),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                tracing::debug!(secret = name, ?step, "another replica wrote the own CA");
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Brings the bundle into the APIService where it belongs there. Says whether it is there, or
    /// need not be, or cannot be.
    async fn publish(&mut self, view: &View, bundle: &str) -> bool {
        let name = &self.config.api_service;
        let version = match view {
            View::Unknown => return true,
            View::Absent => {
                self.service_said.once("absent", || {
                    tracing::info!(name, "there is no APIService yet that could trust the own CA");
                });
                return true;
            }
            View::Elsewhere(why) => {
                self.service_said.once(why, || {
                    tracing::warn!(
                        name,
                        why,
                        "APIService is not ours to change, it gets no caBundle"
                    );
                });
                return true;
            }
            View::Unverified => {
                self.service_said.once("unverified", || {
                    tracing::warn!(
                        name,
                        "APIService has insecureSkipTLSVerify, which forbids a caBundle: the own CA \
                         is trusted by nobody; apply manifests/overlays/own-ca"
                    );
                });
                return true;
            }
            View::Ours { bundle: there, .. } if there == bundle.as_bytes() => {
                self.service_said.clear();
                return true;
            }
            View::Ours { version, .. } => version,
        };
        let patch = Patch::Apply(json!({
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": { "name": name, "resourceVersion": version },
            "spec": { "caBundle": ByteString(bundle.as_bytes().to_vec()) },
        }));
        let params = PatchParams::apply(MANAGER).force();
        match self.services.patch(name, &params, &patch).await {
            Ok(_) => {
                let certificates = bundle.matches("BEGIN CERTIFICATE").count();
                tracing::info!(name, certificates, "caBundle of the APIService written");
                false
            }
            Err(kube::Error::Api(status)) if status.code == 409 => false,
            Err(error) => {
                let error = error.to_string();
                self.service_said.once(&error, || {
                    tracing::warn!(
                        name,
                        error,
                        "caBundle of the APIService cannot be written, trying again; \
                         see ClusterRole dca-own-ca"
                    );
                });
                true
            }
        }
    }

    fn serve(&self, state: State) {
        self.certificates.expiry().set(Which::Ca, state.ca.certificate.not_after);
        let Some(leaf) = state.leaf else { return };
        let until = leaf.certificate.not_after;
        if self.certificates.serve(leaf.pair) {
            tracing::info!(%until, ca = state.ca.name, "new serving certificate from the own CA");
        }
    }
}
