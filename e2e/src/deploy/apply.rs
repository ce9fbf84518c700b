use std::{
    collections::HashMap,
    error::Error,
    fmt, io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::{
    Client, ResourceExt,
    api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams},
    core::GroupVersionKind,
    discovery::{self, Scope},
    error::DiscoveryError,
};
use tokio::time::sleep;

use crate::deploy::{Object, Origin};

/// The name under which the apiserver notes which fields are ours.
pub const FIELD_MANAGER: &str = "e2e";

/// With waits of 0.1 s, doubling up to 1 s: about 4.5 s in all, an apiserver's restart.
const ATTEMPTS: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Why an object could not be brought into the cluster, or out of it.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The apiserver has read the object and says no.
    #[error("{origin}: the apiserver refuses {id}: {words} (code {code})")]
    Refused {
        /// Where the object was read.
        origin: Origin,
        /// Kind, namespace and name.
        id: String,
        /// The apiserver's own message, on one line.
        words: String,
        /// The HTTP status code.
        code: u16,
    },
    /// The cluster serves no such kind.
    #[error(
        "{origin}: the cluster does not serve {kind} of {api_version}; \
         is it too old, or a CRD missing?"
    )]
    UnknownKind {
        /// Where the object was read.
        origin: Origin,
        /// The object's kind.
        kind: String,
        /// The object's API group and version.
        api_version: String,
    },
    /// No answer, or none that can be understood.
    #[error("{origin}: no answer from the apiserver for {id}")]
    NoAnswer {
        /// Where the object was read.
        origin: Origin,
        /// Kind, namespace and name.
        id: String,
        /// What went wrong, at the last attempt.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Applies and deletes objects of any kind, one after the other in the order given. Only a broken
/// connection and an apiserver that is not ready or busy are tried again; what else it says is final.
pub struct Deployer {
    client: Client,
    /// What discovery has said. A std lock: held for a look-up only, never across an await.
    resources: Mutex<HashMap<GroupVersionKind, (ApiResource, Scope)>>,
}

impl Deployer {
    /// A deployer with the rights of `client`. Objects that name no namespace go to the client's.
    pub fn new(client: Client) -> Self {
        Self { client, resources: Mutex::default() }
    }

    /// Server-side apply, by force: a field that somebody else has set becomes ours.
    pub async fn apply<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
    ) -> Result<(), DeployError> {
        self.patch_each(objects, &apply_params()).await
    }

    /// What [`Deployer::apply`] would say, without keeping anything.
    pub async fn dry_run<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
    ) -> Result<(), DeployError> {
        self.patch_each(objects, &apply_params().dry_run()).await
    }

    /// Deletes; what is not there is as good as deleted. Does not wait for finalizers.
    pub async fn delete<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
    ) -> Result<(), DeployError> {
        for object in objects {
            let api = self.api(object).await?;
            let params = DeleteParams::background();
            match retried(async || api.delete(object.name(), &params).await).await {
                Ok(_) => tracing::debug!(object = object.id(), "deleted"),
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(failure(object, error)),
            }
        }
        Ok(())
    }

    /// The object as it is in the cluster, if it is there.
    pub async fn get(&self, object: &Object) -> Result<Option<DynamicObject>, DeployError> {
        let api = self.api(object).await?;
        let found = retried(async || api.get_opt(object.name()).await).await;
        found.map_err(|error| failure(object, error))
    }

    async fn patch_each<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Object>,
        params: &PatchParams,
    ) -> Result<(), DeployError> {
        for object in objects {
            let api = self.api(object).await?;
            let patch = Patch::Apply(object.value());
            let applied = retried(async || api.patch(object.name(), params, &patch).await).await;
            let applied = applied.map_err(|error| failure(object, error))?;
            tracing::debug!(
                object = object.id(),
                version = applied.resource_version().unwrap_or_default(),
                dry_run = params.dry_run,
                "applied"
            );
        }
        Ok(())
    }

    /// Where objects of this kind live.
    pub(crate) async fn api(&self, object: &Object) -> Result<Api<DynamicObject>, DeployError> {
        let (resource, scope) = self.resource(object).await?;
        let client = self.client.clone();
        Ok(match (scope, object.namespace()) {
            (Scope::Cluster, _) => Api::all_with(client, &resource),
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client, namespace, &resource)
            }
            (Scope::Namespaced, None) => Api::default_namespaced_with(client, &resource),
        })
    }

    /// What discovery says about an object's kind; asked once.
    async fn resource(&self, object: &Object) -> Result<(ApiResource, Scope), DeployError> {
        let (group, version) = (object.identity().group(), object.identity().version());
        let gvk = GroupVersionKind::gvk(group, version, object.kind());
        let lock = || self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(&gvk).cloned() {
            return Ok(known);
        }
        let found = retried(async || discovery::pinned_kind(&self.client, &gvk).await).await;
        let (resource, capabilities) = found.map_err(|error| discovery_failure(object, error))?;
        let found = (resource, capabilities.scope);
        lock().insert(gvk, found.clone());
        Ok(found)
    }
}

impl fmt::Debug for Deployer {
    /// Without the client, which has no form for this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deployer").field("resources", &self.resources).finish_non_exhaustive()
    }
}

/// Strict: a misspelt field is refused, as `kubectl apply` does.
fn apply_params() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force().validation_strict()
}

/// Calls again while the connection fails, or the apiserver says that this is not the time. Whatever is called may be done twice: a request can have
/// had its effect before the connection broke.
async fn retried<T>(
    mut call: impl AsyncFnMut() -> Result<T, kube::Error>,
) -> Result<T, kube::Error> {
    let mut wait = FIRST_WAIT;
    for _ in 1..ATTEMPTS {
        match call().await {
            Err(error) if is_transient(&error) => {
                tracing::debug!(%error, "no answer yet, trying again");
            }
            answer => return answer,
        }
        sleep(wait).await;
        wait = LONGEST_WAIT.min(wait * 2);
    }
    call().await
}

/// Whether nothing is known yet of what the apiserver thinks: the connection failed, or it said 429, 503
/// or 504, which the harness's clients do not try again by themselves. A certificate that is refused is
/// no such failure: it stays refused.
fn is_transient(error: &kube::Error) -> bool {
    if let kube::Error::Api(status) = error {
        return matches!(status.code, 429 | 503 | 504);
    }
    if let kube::Error::HyperError(error) = error {
        return error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    }
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::TimedOut
                    | io::ErrorKind::UnexpectedEof
            );
        }
        cause = error.source();
    }
    false
}

fn failure(object: &Object, error: kube::Error) -> DeployError {
    let (origin, id) = (object.origin().clone(), object.id());
    match error {
        kube::Error::Api(status) => {
            let words = status.message.split_whitespace().collect::<Vec<_>>().join(" ");
            DeployError::Refused { origin, id, words, code: status.code }
        }
        error => DeployError::NoAnswer { origin, id, source: Box::new(error) },
    }
}

/// A group or version that is not served is a 404, as plain text without a Status' reason; a kind
/// missing in one that is served, an error of kube.
fn discovery_failure(object: &Object, error: kube::Error) -> DeployError {
    let unknown = match &error {
        kube::Error::Api(status) => status.code == 404,
        kube::Error::Discovery(error) => matches!(error, DiscoveryError::MissingKind(_)),
        _ => false,
    };
    if !unknown {
        return failure(object, error);
    }
    DeployError::UnknownKind {
        origin: object.origin().clone(),
        kind: object.kind().to_owned(),
        api_version: object.api_version().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use kube::core::Status;
    use tokio::time::Instant;

    use super::*;

    fn broken(kind: io::ErrorKind) -> kube::Error {
        kube::Error::Service(Box::new(io::Error::from(kind)))
    }

    /// The answer, how many calls it took, and how long.
    async fn call(
        answers: impl IntoIterator<Item = Result<u8, kube::Error>>,
    ) -> (Result<u8, kube::Error>, u32, Duration) {
        let mut answers: VecDeque<_> = answers.into_iter().collect();
        let (start, mut calls) = (Instant::now(), 0);
        let answer = retried(async || {
            calls += 1;
            answers.pop_front().unwrap_or_else(|| Err(broken(io::ErrorKind::ConnectionRefused)))
        })
        .await;
        (answer, calls, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_breaks_is_tried_again() {
        let answers = [
            Err(broken(io::ErrorKind::ConnectionRefused)),
            Err(broken(io::ErrorKind::ConnectionReset)),
            Ok(7),
        ];
        let (answer, calls, took) = call(answers).await;
        assert_eq!((answer.unwrap(), calls), (7, 3));
        assert_eq!(took, Duration::from_millis(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_never_comes_is_given_up() {
        let (answer, calls, took) = call([]).await;
        assert!(matches!(answer, Err(kube::Error::Service(_))), "{answer:?}");
        assert_eq!((calls, took), (ATTEMPTS, Duration::from_millis(4500)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_apiserver_that_is_busy_is_asked_again() {
        let status = Status::failure("try later", "TooManyRequests").with_code(429).boxed();
        let (answer, calls, _) = call([Err(kube::Error::Api(status)), Ok(7)]).await;
        assert_eq!((answer.unwrap(), calls), (7, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_else_the_apiserver_says_is_final() {
        let status = Status::failure("no", "Invalid").with_code(422).boxed();
        let (answer, calls, _) = call([Err(kube::Error::Api(status))]).await;
        assert!(matches!(answer, Err(kube::Error::Api(_))), "{answer:?}");
        assert_eq!(calls, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_certificate_that_is_refused_stays_refused() {
        let (answer, calls, _) = call([Err(broken(io::ErrorKind::InvalidData))]).await;
        assert!(matches!(answer, Err(kube::Error::Service(_))), "{answer:?}");
        assert_eq!(calls, 1);
    }
}
