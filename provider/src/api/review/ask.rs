//! One question to kube-apiserver, within a bounded time.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::ClusterResourceScope;
use kube::{Api, Resource, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};

/// How long a question may take, with all that is tried again.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Go's backoff: 500 ms, half as much again each time, a fifth of it by chance, four pauses.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const PAUSES: u32 = 4;

/// How many questions of one kind may be under way. A client with ever new tokens or paths asks
/// kube-apiserver for no more than these at once; the others wait within their time.
const AT_ONCE: usize = 32;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// kube-apiserver cannot be reached, or it refuses to review.
    #[error("kube-apiserver cannot review it: {0}")]
    Refused(String),
    /// It took too long.
    #[error("kube-apiserver did not review it within {} s", LIMIT.as_secs())]
    Timeout,
    /// The question was dropped, as it is when the process ends.
    #[error("the review was given up")]
    Dropped,
    /// There is no client: the part of the provider that needs the cluster is off.
    #[error("there is no kube-apiserver to ask: external metrics are off")]
    NoCluster,
}

/// Asks for reviews of one kind.
#[derive(Debug)]
pub(super) struct Asker<R> {
    reviews: Option<Api<R>>,
    places: Semaphore,
}

impl<R> Asker<R>
where
    R: Resource<DynamicType = (), Scope = ClusterResourceScope>
        + k8s_openapi::Resource
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned,
{
    /// Without a client each question fails.
    pub(super) fn new(client: Option<kube::Client>) -> Self {
        Self { reviews: client.map(Api::all), places: Semaphore::new(AT_ONCE) }
    }

    /// `review` with its status.
    ///
    /// kube's own client tries 429, 503 and 504 again by itself, for longer than anybody waits: the
    /// limit bounds that as well.
    pub(super) async fn ask(&self, review: &R) -> Result<R, Failure> {
        let reviews = self.reviews.as_ref().ok_or(Failure::NoCluster)?;
        let answered = timeout(LIMIT, async {
            let _place = self.places.acquire().await;
            persist(reviews, review).await
        });
        match answered.await {
            Ok(Ok(review)) => Ok(review),
            Ok(Err(error)) => Err(Failure::Refused(error.to_string())),
            Err(_) => Err(Failure::Timeout),
        }
    }
}

async fn persist<R>(reviews: &Api<R>, review: &R) -> kube::Result<R>
where
    R: Clone + Debug + Serialize + DeserializeOwned,
{
    let mut pause = FIRST_PAUSE;
    for _ in 0..PAUSES {
        match reviews.create(&PostParams::default(), review).await {
            Err(error) if is_passing(&error) => {}
            answered => return answered,
        }
        sleep(pause.mul_f64(1.0 + fastrand::f64() / 5.0)).await;
        pause = pause.mul_f64(1.5);
    }
    reviews.create(&PostParams::default(), review).await
}

/// Whether it may well be answered if asked again: as `webhook.DefaultShouldRetry` in
/// `k8s.io/apiserver`, and where the connection fails, as it does while kube-apiserver restarts.
fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => [429, 500, 504].contains(&status.code),
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}
