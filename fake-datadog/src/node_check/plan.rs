//! Which status pages are read when: pure functions of the targets and the time.

use std::{collections::BTreeMap, time::Duration};

use url::Url;

use crate::node_check::autodiscovery::{Target, TargetId};

#[cfg(test)]
mod tests;

/// A status page, and the targets whose nginx it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What tells it from all other sources.
    pub key: SourceKey,
    /// Where it is read.
    pub url: Url,
    /// Time from one read to the next.
    pub interval: Duration,
    /// The targets among which its numbers are shared out; only a shared page may have none.
    pub targets: Vec<Target>,
}

/// Two samples make a rate only when their sources' keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SourceKey {
    /// The one page behind all pods.
    Shared,
    /// A pod's own page, which is another one as soon as the pod's address changes.
    Pod(TargetId, Url),
}

/// The status pages to read: that of each target, or one shared by all of them.
///
/// A shared page is read as often as the most eager of its targets asks, and without any target
/// too, so that the first rate after a target has appeared is one of the last interval only.
pub fn sources(targets: Vec<Target>, shared: Option<&Url>, default: Duration) -> Vec<Source> {
    let interval = |target: &Target| target.interval.unwrap_or(default);
    match shared {
        Some(url) => vec![Source {
            key: SourceKey::Shared,
            url: url.clone(),
            interval: targets.iter().map(interval).min().unwrap_or(default),
            targets,
        }],
        None => targets
            .into_iter()
            .map(|target| Source {
                key: SourceKey::Pod(target.id.clone(), target.status_url.clone()),
                url: target.status_url.clone(),
                interval: interval(&target),
                targets: vec![target],
            })
            .collect(),
    }
}

/// Whether a source is to be read at `now`: a multiple of its interval has passed since the last
/// round, or there was none. Times count from the first round.
///
/// A new pod is thus read first together with the others, within one interval of its appearing, as
/// the agent's scheduler does too; ticks that a slow round missed are not made up for.
pub fn is_due(interval: Duration, last_round: Option<Duration>, now: Duration) -> bool {
    last_round.is_none_or(|last_round| ticks(interval, now) > ticks(interval, last_round))
}

/// How long to wait at `now` until the first of these intervals is due again. `None` for none.
pub fn until_next(
    intervals: impl IntoIterator<Item = Duration>,
    now: Duration,
) -> Option<Duration> {
    intervals
        .into_iter()
        .map(|interval| {
            let into_interval = u64::try_from(now.as_nanos() % nanos(interval));
            interval.saturating_sub(Duration::from_nanos(into_interval.unwrap_or(u64::MAX)))
        })
        .min()
}

/// How long a read may take at most: half of its interval, so that it cannot delay the next round,
/// and never more than five seconds.
pub fn read_timeout(interval: Duration) -> Duration {
    (interval / 2).min(Duration::from_secs(5))
}

fn ticks(interval: Duration, now: Duration) -> u128 {
    now.as_nanos() / nanos(interval)
}

/// At least one, because one divides by it.
fn nanos(interval: Duration) -> u128 {
    interval.as_nanos().max(1)
}

/// Pods whose annotations are broken, and what was said of each, so that it is said once.
#[derive(Debug, Default)]
pub struct BrokenPods {
    reported: BTreeMap<String, String>,
}

impl BrokenPods {
    /// Takes what is wrong with which pod now (`namespace/name`, message); gives back what is new.
    pub fn update(&mut self, broken: BTreeMap<String, String>) -> Vec<(String, String)> {
        let new = broken
            .iter()
            .filter(|(pod, problem)| self.reported.get(*pod) != Some(problem))
            .map(|(pod, problem)| (pod.clone(), problem.clone()))
            .collect();
        self.reported = broken;
        new
    }
}
