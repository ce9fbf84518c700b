//! Lets a process outside of the cluster be a service account of it, as a pod would be: with the
//! token that the `TokenRequest` API gives, so that RBAC is really tested.

use std::{path::Path, time::Duration};

use anyhow::Context;
use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec, TokenRequestStatus},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};

use crate::cluster::local::kubeconfig::{self, Credential, Server};

/// The least that the apiserver grants
/// (`ValidateTokenRequest` in kubernetes/pkg/apis/authentication/validation).
const SHORTEST: Duration = Duration::from_secs(600);

/// A token of the service account (its namespace and name), valid for `duration`, at least 10 minutes;
/// for the apiserver itself where no audience is named.
pub async fn request(
    client: &Client,
    (namespace, name): (&str, &str),
    audiences: Vec<String>,
    duration: Duration,
) -> anyhow::Result<TokenRequestStatus> {
    let seconds = duration.max(SHORTEST).as_secs();
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences,
            expiration_seconds: Some(seconds.try_into().context("duration of the token")?),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    accounts
        .create_token_request(name, &PostParams::default(), &request)
        .await
        .with_context(|| format!("cannot get a token of service account {namespace}/{name}"))?
        .status
        .with_context(|| format!("no token in the answer about {namespace}/{name}"))
}

/// Writes a kubeconfig to `file` whose bearer is the service account, and gives the time when its
/// token ends: after `duration`, at least 10 minutes, unless the apiserver decides otherwise.
pub async fn service_account_kubeconfig(
    client: &Client,
    server: &Server,
    (namespace, name): (&str, &str),
    duration: Duration,
    file: &Path,
) -> anyhow::Result<Timestamp> {
    let token = request(client, (namespace, name), Vec::new(), duration).await?;
    kubeconfig::write(file, server, Credential::Token(&token.token))?;
    Ok(token.expiration_timestamp.0)
}
