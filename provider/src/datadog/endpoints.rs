//! Which endpoint is asked, by how each of them has done; pure.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use url::Url;

use crate::datadog::{Error, keys::KeyRing};

/// How long an endpoint is skipped after it has failed: from the first to the last, twice as long
/// each time, half as long after a success (Datadog's agent, `external_metrics_provider.endpoints`).
const FIRST_SKIP: Duration = Duration::from_secs(30);
const LONGEST_SKIP: Duration = Duration::from_secs(30 * 60);

/// A place to ask.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its base, such as `https://api.datadoghq.com`.
    pub url: Url,
    /// The keys for it.
    pub keys: KeyRing,
    /// The setting that says where it is, for messages, such as `DD_SITE`.
    pub setting: String,
}

/// An endpoint and how it has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// Its origin, such as `https://api.datadoghq.com`.
    pub url: Arc<str>,
    /// When it answered last; the refusal of a bad query is an answer.
    pub last_success: Option<Timestamp>,
    /// When it failed last, and how.
    pub last_failure: Option<(Timestamp, String)>,
    /// It is not asked before, as long as another one answers. Never with only one endpoint.
    pub skipped_until: Option<Timestamp>,
}

/// How one endpoint has done.
#[derive(Debug, Clone)]
pub(super) struct Health {
    last_success: Option<Timestamp>,
    last_failure: Option<(Timestamp, String)>,
    /// How long the next failure lets it be skipped.
    skip: Duration,
    skipped: Option<Skipped>,
}

#[derive(Debug, Clone, Copy)]
struct Skipped {
    until: Timestamp,
    /// For a rate limit: asking before would only be refused.
    limited: bool,
}

/// The endpoints to ask at `now`, one after the other until one answers: those that do well in
/// the order given, then those that are skipped. Those whose rate limit is used up are left out, but
/// for the one whose calls come back first when there is no other.
///
/// Of an endpoint whose time is over, one call finds out whether it does well: the others go on
/// skipping it meanwhile.
pub(super) fn order(health: &mut [Health], now: Timestamp) -> Vec<usize> {
    if health.len() == 1 {
        return vec![0];
    }
    let mut good = Vec::new();
    let mut skipped = Vec::new();
    for (position, health) in health.iter_mut().enumerate() {
        match health.skipped {
            None => good.push(position),
            Some(Skipped { until, .. }) if until <= now => {
                health.skipped = Some(Skipped { until: later(now, FIRST_SKIP), limited: false });
                good.push(position);
            }
            Some(Skipped { limited: false, .. }) => skipped.push(position),
            Some(Skipped { limited: true, .. }) => {}
        }
    }
    good.extend(skipped);
    if good.is_empty() {
        let until =
            |position: &usize| health.get(*position).and_then(|it| it.skipped).map(|it| it.until);
        good.extend((0..health.len()).min_by_key(until));
    }
    good
}

/// Which of the errors of several endpoints stands for the question, given in the order in which
/// they were asked: the first one, but a rate limit only when there is nothing else, as the caller
/// then stops asking.
pub(super) fn telling(errors: &[&Error]) -> Option<usize> {
    let limited = |error: &Error| matches!(error, Error::RateLimited { .. });
    let reset = |error: &Error| match error {
        Error::RateLimited { reset } => reset.unwrap_or(Duration::MAX),
        _ => Duration::MAX,
    };
    errors.iter().position(|error| !limited(error)).or_else(|| {
        (0..errors.len()).min_by_key(|position| errors.get(*position).map(|it| reset(it)))
    })
}

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        Self { last_success: None, last_failure: None, skip: FIRST_SKIP, skipped: None }
    }
}

impl Health {
    /// It answered at `now`. True when it had failed before.
    pub(super) fn succeeded(&mut self, now: Timestamp) -> bool {
        self.last_success = Some(now);
        self.skip = (self.skip / 2).max(FIRST_SKIP);
        self.skipped.take().is_some()
    }

    /// A question that was put at `asked` failed at `now` for the endpoint's own fault. Questions
    /// that were on their way together are one failure, not several. True when it did well before.
    pub(super) fn failed(&mut self, asked: Timestamp, now: Timestamp, error: &Error) -> bool {
        let did_well = self.skipped.is_none();
        let known =
            self.skipped.is_some() && self.last_failure.as_ref().is_some_and(|it| asked < it.0);
        self.last_failure = Some((now, error.to_string()));
        if let Error::RateLimited { reset: Some(reset) } = error {
            self.skipped = Some(Skipped { until: later(now, *reset), limited: true });
        } else if !known {
            let limited = matches!(error, Error::RateLimited { .. });
            self.skipped = Some(Skipped { until: later(now, self.skip), limited });
            self.skip = (self.skip * 2).min(LONGEST_SKIP);
        }
        did_well
    }

    /// Something has changed that makes its failures say nothing: it is to be asked again.
    pub(super) fn forgive(&mut self) {
        self.skip = FIRST_SKIP;
        self.skipped = None;
    }

    pub(super) fn status(&self, url: Arc<str>, others: bool) -> EndpointStatus {
        EndpointStatus {
            url,
            last_success: self.last_success,
            last_failure: self.last_failure.clone(),
            skipped_until: self.skipped.filter(|_| others).map(|skipped| skipped.until),
        }
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
