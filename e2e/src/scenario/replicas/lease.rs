//! Who held the Lease when.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

/// Datadog's name for it.
const NAME: &str = "datadog-leader-election";
/// It is asked for, not watched: a watch takes its time to come back when kube-apiserver was away.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// From when on somebody holds the Lease; nobody, where the holder is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) holder: String,
    pub(super) since: Timestamp,
}

/// Every holder that was seen, in order.
#[derive(Debug)]
pub(super) struct Leases {
    // A std lock: held for a push or a clone, never across an await.
    seen: Arc<Mutex<Vec<Tenure>>>,
    _task: JoinSet<()>,
}

impl Leases {
    /// Looks at the Lease for as long as this lives.
    pub(super) fn watch(client: &Client, namespace: &str) -> Self {
        let leases = Api::<Lease>::namespaced(client.clone(), namespace);
        let seen = Arc::<Mutex<Vec<Tenure>>>::default();
        let mut task = JoinSet::new();
        let shared = seen.clone();
        task.spawn(async move {
            let mut ticks = interval(LOOK_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Ok(Some(lease)) = leases.get_opt(NAME).await else { continue };
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(tenure) = next(seen.last(), &lease, Timestamp::now()) {
                    seen.push(tenure);
                }
            }
        });
        Self { seen, _task: task }
    }

    pub(super) fn tenures(&self) -> Vec<Tenure> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who holds it now.
    pub(super) fn holder(&self) -> Option<String> {
        let last = self.tenures().pop();
        last.map(|tenure| tenure.holder).filter(|holder| !holder.is_empty())
    }
}

/// What the Lease says that the last tenure does not.
fn next(last: Option<&Tenure>, lease: &Lease, now: Timestamp) -> Option<Tenure> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.clone().unwrap_or_default();
    if holder.is_empty() {
        // A release has no time of its own, and before the first holder there is nothing to say.
        let released = last.is_some_and(|last| !last.holder.is_empty());
        return released.then_some(Tenure { holder, since: now });
    }
    let tenure = Tenure { since: spec.acquire_time.as_ref()?.0, holder };
    (last != Some(&tenure)).then_some(tenure)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lease(holder: &str, acquired: &str) -> Lease {
        let spec = json!({"holderIdentity": holder, "acquireTime": acquired});
        serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap()
    }

    #[test]
    fn a_tenure_begins_with_another_holder_and_ends_with_none() {
        let [first, second] = ["2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:09.000000Z"];
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        assert_eq!(next(None, &lease("", first), now), None);
        let a = next(None, &lease("a", first), now).unwrap();
        assert_eq!(a, Tenure { holder: "a".to_owned(), since: first.parse().unwrap() });
        assert_eq!(next(Some(&a), &lease("a", first), now), None);
        let none = next(Some(&a), &lease("", first), now).unwrap();
        assert_eq!(none, Tenure { holder: String::new(), since: now });
        assert_eq!(next(Some(&none), &lease("", first), now), None);
        assert_eq!(next(Some(&none), &lease("b", second), now).unwrap().holder, "b");
    }
}
