//! The Secret that holds the token.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::PostParams};
use tokio::time::timeout;

use crate::agent::token::{Cluster, Error, KEY, Source, Token};

/// For one question to kube-apiserver.
const DEADLINE: Duration = Duration::from_secs(10);
const MANAGER: &str = "datadog-cluster-agent";

pub(super) fn source(cluster: &Cluster, name: &str) -> Source {
    Source::Secret { namespace: cluster.namespace.clone(), name: name.to_owned() }
}

/// The token in the Secret; `None` where there is no Secret.
pub(super) async fn read(cluster: &Cluster, name: &str) -> Result<Option<Token>, Error> {
    let source = source(cluster, name);
    let found = in_time(&source, api(cluster).get_opt(name)).await?;
    found.map(|secret| token(&secret, &source)).transpose()
}

/// The token in the Secret, which is made where there is none. Of several replicas that make it at
/// once one wins, and the others take its token.
pub(super) async fn read_or_create(cluster: &Cluster, name: &str) -> Result<Token, Error> {
    if let Some(token) = read(cluster, name).await? {
        return Ok(token);
    }
    let source = source(cluster, name);
    let token = Token::random()?;
    let data = BTreeMap::from([(KEY.to_owned(), ByteString(token.expose().as_bytes().to_vec()))]);
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some("Opaque".to_owned()),
        data: Some(data),
        ..Secret::default()
    };
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let created = async {
        match api(cluster).create(&params, &secret).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    };
    if in_time(&source, created).await? {
        tracing::info!(%source, %token, "token for node agents, replicas and commands made");
        return Ok(token);
    }
    let gone = || Error::Secret {
        place: source.clone(),
        error: "it was made and deleted again meanwhile".to_owned(),
    };
    read(cluster, name).await?.ok_or_else(gone)
}

/// The token in `secret`.
pub(super) fn token(secret: &Secret, source: &Source) -> Result<Token, Error> {
    let value = secret.data.as_ref().and_then(|data| data.get(KEY));
    let ByteString(bytes) = value.ok_or_else(|| Error::NoKey { place: source.clone() })?;
    let text = std::str::from_utf8(bytes);
    Token::parse(text.map_err(|_| Error::Characters { place: source.clone() })?, source)
}

fn api(cluster: &Cluster) -> Api<Secret> {
    Api::namespaced(cluster.kube.clone(), &cluster.namespace)
}

async fn in_time<T>(
    source: &Source,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Error> {
    let error = match timeout(DEADLINE, call).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(kube::Error::Api(status))) => format!("{} (HTTP {})", status.message, status.code),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("kube-apiserver did not answer within {}s", DEADLINE.as_secs()),
    };
    Err(Error::Secret { place: source.clone(), error })
}
