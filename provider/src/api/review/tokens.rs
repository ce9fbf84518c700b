//! Whose a bearer token is, by `TokenReview`.
//!
//! As Go's servers do it (`k8s.io/apiserver/pkg/authentication/token/cache` and
//! `plugin/pkg/authenticator/token/webhook`): an answer counts for 10 s, whether it is a user or a
//! refusal, and an error is not remembered.

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{
    TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo,
};
use rustls::crypto::{GetRandomFailed, ring};
use sha2::{Digest, Sha256};

use crate::api::{
    review::{
        Failure,
        ask::Asker,
        cache::{Cache, Life},
        metrics::{Found, Metrics, TOKEN},
    },
    user::User,
};

const LIFE: Duration = Duration::from_secs(10);
/// How many tokens are remembered.
const TOKENS: u64 = 4096;

/// Asks whose tokens are.
pub struct Tokens {
    asker: Arc<Asker<TokenReview>>,
    audiences: Option<Vec<String>>,
    cache: Cache<Key, Option<Arc<User>>>,
    secret: [u8; 32],
    metrics: Metrics,
}

/// A hash of the token and the secret of this process: who reads our memory finds no token in the
/// cache, and nobody can tell by trying which one is there.
type Key = [u8; 32];

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("audiences", &self.audiences).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Without a client no token is believed. A token must be meant for one of `audiences`, or
    /// where there are none for kube-apiserver.
    ///
    /// # Errors
    ///
    /// When the system has no random numbers.
    pub fn new(
        client: Option<kube::Client>,
        audiences: Vec<String>,
        metrics: Metrics,
    ) -> Result<Self, GetRandomFailed> {
        let mut secret = [0; 32];
        ring::default_provider().secure_random.fill(&mut secret)?;
        let audiences = Some(audiences).filter(|audiences| !audiences.is_empty());
        let asker = Arc::new(Asker::new(client));
        Ok(Self { asker, audiences, cache: Cache::new(TOKENS, |_| 1), secret, metrics })
    }

    /// The user, or nothing where the token is not believed.
    pub async fn review(&self, token: &str) -> Result<Option<Arc<User>>, Failure> {
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(token);
        let key = hash.finalize().into();
        let found = self.cache.find(&key, |_| Life::exactly(LIFE), || self.ask(token)).await;
        let place = found.as_ref().map_or(Found::Error, |(_, found)| *found);
        self.metrics.found(TOKEN, place);
        found.map(|(user, _)| user)
    }

    fn ask(
        &self,
        token: &str,
    ) -> impl Future<Output = Result<Option<Arc<User>>, Failure>> + Send + 'static {
        let spec =
            TokenReviewSpec { token: Some(token.to_owned()), audiences: self.audiences.clone() };
        let review = TokenReview { spec, ..TokenReview::default() };
        let (asker, metrics) = (self.asker.clone(), self.metrics.clone());
        async move {
            let answer = asker.ask(&review).await;
            metrics.reviewed(TOKEN, answer.is_err());
            let status = answer
                .inspect_err(|error| tracing::warn!(%error, "a bearer token was not reviewed"))?
                .status
                .unwrap_or_default();
            Ok(believed(status, review.spec.audiences.as_deref()).map(Arc::new))
        }
    }
}

/// The user of an answer, where it is one that counts for `audiences`.
///
/// Where audiences are asked for the answer must name one of them. Go lets an answer without any
/// pass, which only servers give that know no audiences: their "yes" is about another one.
fn believed(status: TokenReviewStatus, audiences: Option<&[String]>) -> Option<User> {
    if let Some(error) = &status.error {
        tracing::debug!(error, "bearer token refused");
    }
    let meant = audiences.is_none_or(|wanted| {
        status.audiences.iter().flatten().any(|audience| wanted.contains(audience))
    });
    let UserInfo { username, uid, groups, extra } = status.user?;
    let name = username.filter(|name| !name.is_empty())?;
    (status.authenticated == Some(true) && meant).then(|| User {
        name,
        uid: uid.unwrap_or_default(),
        groups: groups.unwrap_or_default(),
        extra: extra.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
