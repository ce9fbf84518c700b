//! What somebody may do, by `SubjectAccessReview`.
//!
//! Go's servers remember a yes for 10 s, less than the 15 s between two questions of the HPA
//! controller, so that each of them costs a review. Here:
//!
//! - A yes counts for a minute, and is renewed in the background by whoever uses it after half of
//!   that: who asks every 15 s never waits, and a right that is taken away ends within a minute.
//! - While reviews fail, a yes holds until 5 minutes after it was asked for. A no is never held,
//!   and a no that replaces a yes is final.
//! - A no counts for 10 s, as in Go.
//! - Before a metric's own review, the same is asked of all metrics (resource `*`) in all
//!   namespaces, then in the metric's. A yes to that covers each metric, so that the HPA controller
//!   costs two reviews a minute, whatever it reads ([`Config::broad`]).

use std::{fmt, sync::Arc, time::Duration};

use k8s_openapi::api::authorization::v1::{
    SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use tokio::time::timeout;

use crate::{
    api::{
        attributes::{Attributes, Resource},
        review::{
            Failure,
            ask::{Asker, LIMIT},
            cache::{Cache, Life},
            metrics::{Found, Metrics, SUBJECT_ACCESS},
        },
        user::{MASTERS, UNAUTHENTICATED, User},
    },
    selector::Selector,
};

/// What everybody may read, so that probes need no credentials. Exactly these paths.
const ALWAYS_ALLOWED: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// A question of more bytes than this is not remembered.
const LARGEST: usize = 10_000;

/// How long answers count, and which questions are asked.
#[derive(Debug, Clone)]
pub struct Config {
    /// From this age on a yes is renewed when it is used.
    pub refresh: Duration,
    /// From this age on a yes counts only where the review fails.
    pub allow: Duration,
    /// From this age on a yes does not count.
    pub hold: Duration,
    /// How long a no counts.
    pub deny: Duration,
    /// Whether a yes to `*` covers each metric.
    ///
    /// It does under RBAC, in which rights only add up. An authorizer that takes rights away (a
    /// webhook that denies one metric) may still say yes to `*`: with such a one, who reads through
    /// kube-apiserver is refused there, but who connects directly is not, so this must be off.
    pub broad: bool,
    /// How long a no to `*` counts. It only leads on to the narrower question.
    pub broad_deny: Duration,
    /// Bytes of questions to remember.
    pub capacity: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(30),
            allow: Duration::from_secs(60),
            hold: Duration::from_secs(300),
            deny: Duration::from_secs(10),
            broad: true,
            broad_deny: Duration::from_secs(60),
            capacity: 8 << 20,
        }
    }
}

/// Whether it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may not; the reason may be empty.
    Denied(Arc<str>),
}

/// Asks what users may do.
pub struct Rights {
    asker: Arc<Asker<SubjectAccessReview>>,
    config: Config,
    cache: Cache<Question, Decision>,
    metrics: Metrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    user: Arc<User>,
    attributes: Attributes,
    /// Asked to spare others.
    broad: bool,
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rights").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Rights {
    /// Without a client only what needs no review is allowed.
    pub fn new(client: Option<kube::Client>, config: Config, metrics: Metrics) -> Self {
        let cache = Cache::new(config.capacity, Question::size);
        Self { asker: Arc::new(Asker::new(client)), config, cache, metrics }
    }

    /// Whether `user` may do what `attributes` say; within 10 s.
    pub async fn review(
        &self,
        user: &Arc<User>,
        attributes: &Attributes,
    ) -> Result<Decision, Failure> {
        if needs_no_review(user, attributes) {
            return Ok(Decision::Allowed);
        }
        let decided = timeout(LIMIT, self.decide(user, attributes)).await;
        let decided = decided.unwrap_or(Err(Failure::Timeout));
        let found = decided.as_ref().map_or(Found::Error, |(_, found)| *found);
        self.metrics.found(SUBJECT_ACCESS, found);
        match decided {
            Ok((decision, _)) => Ok(decision),
            // That there is nobody to ask is known, and will not change.
            Err(failure @ Failure::NoCluster) => Ok(Decision::Denied(failure.to_string().into())),
            Err(failure) => Err(failure),
        }
    }

    async fn decide(
        &self,
        user: &Arc<User>,
        attributes: &Attributes,
    ) -> Result<(Decision, Found), Failure> {
        let question = |attributes, broad| Question { user: user.clone(), attributes, broad };
        let exact = question(attributes.clone(), false);
        for broader in self.broader(user, attributes) {
            match self.find(question(broader, true)).await {
                Ok((Decision::Denied(_), _)) => {}
                Ok(allowed) => return Ok(allowed),
                // Another review would fail as this one, and take as long.
                Err(failure) => {
                    let known = self.cache.peek(&exact, |answer| self.life(answer, false));
                    return known.await.ok_or(failure);
                }
            }
        }
        self.find(exact).await
    }

    /// The questions to which a yes is a yes to this one.
    fn broader(&self, user: &User, attributes: &Attributes) -> Vec<Attributes> {
        let Attributes::Resource(resource) = attributes else { return vec![] };
        let is_list = resource.verb == "list"
            && resource.name.is_empty()
            && resource.subresource.is_empty()
            && !resource.namespace.is_empty();
        // Nobody gives all metrics to everybody: that would only make a stranger's request dear.
        let stranger = user.groups.iter().any(|group| group == UNAUTHENTICATED);
        if !self.config.broad || !is_list || stranger {
            return vec![];
        }
        let all = Resource {
            resource: "*".to_owned(),
            selector: Selector::default(),
            ..resource.clone()
        };
        let everywhere = Resource { namespace: String::new(), ..all.clone() };
        vec![Attributes::Resource(everywhere), Attributes::Resource(all)]
    }

    async fn find(&self, question: Question) -> Result<(Decision, Found), Failure> {
        if question.size() > LARGEST {
            return self.ask(&question).await.map(|decision| (decision, Found::Miss));
        }
        let life = |answer: &Decision| self.life(answer, question.broad);
        self.cache.find(&question, life, || self.ask(&question)).await
    }

    fn life(&self, answer: &Decision, broad: bool) -> Life {
        let Config { refresh, allow, hold, deny, broad_deny, .. } = self.config;
        match answer {
            Decision::Allowed => Life { refresh, fresh: allow, hold },
            Decision::Denied(_) => Life::exactly(if broad { broad_deny } else { deny }),
        }
    }

    fn ask(
        &self,
        question: &Question,
    ) -> impl Future<Output = Result<Decision, Failure>> + Send + 'static {
        let review =
            SubjectAccessReview { spec: question.spec(), ..SubjectAccessReview::default() };
        let (asker, metrics) = (self.asker.clone(), self.metrics.clone());
        async move {
            let answer = asker.ask(&review).await;
            metrics.reviewed(SUBJECT_ACCESS, answer.is_err());
            let status = answer
                .inspect_err(|error| {
                    let user = review.spec.user.as_deref().unwrap_or_default();
                    tracing::warn!(%error, user, "what a user may do was not reviewed");
                })?
                .status;
            let missing = || Failure::Refused("the review came back without a status".to_owned());
            status.map(decision).ok_or_else(missing)
        }
    }
}

fn needs_no_review(user: &User, attributes: &Attributes) -> bool {
    match attributes {
        Attributes::Path { path, .. } if ALWAYS_ALLOWED.contains(&path.as_str()) => true,
        _ => user.groups.iter().any(|group| group == MASTERS),
    }
}

fn decision(status: SubjectAccessReviewStatus) -> Decision {
    if status.allowed && status.denied != Some(true) {
        return Decision::Allowed;
    }
    Decision::Denied(status.reason.unwrap_or_default().into())
}

impl Question {
    fn spec(&self) -> SubjectAccessReviewSpec {
        let User { name, uid, groups, extra } = &*self.user;
        SubjectAccessReviewSpec {
            user: Some(name.clone()),
            uid: Some(uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(groups.clone()).filter(|groups| !groups.is_empty()),
            extra: Some(extra.clone()).filter(|extra| !extra.is_empty()),
            resource_attributes: self.attributes.resource(),
            non_resource_attributes: self.attributes.path(),
        }
    }

    /// About how many bytes it takes in memory.
    fn size(&self) -> usize {
        let User { name, uid, groups, extra } = &*self.user;
        let texts = groups.iter().chain(extra.keys()).chain(extra.values().flatten());
        let user: usize = [name, uid].into_iter().chain(texts).map(|text| text.len() + 24).sum();
        let attributes = match &self.attributes {
            Attributes::Path { path, verb } => path.len() + verb.len(),
            Attributes::Resource(it) => {
                let texts = [&it.group, &it.version, &it.resource, &it.subresource, &it.namespace];
                let texts: usize = texts.map(String::len).iter().sum();
                texts + it.name.len() + it.selector.to_string().len() * 2
            }
        };
        512 + user + attributes
    }
}

#[cfg(test)]
mod tests;
