//! Queries that Datadog refuses: out of the batches, and asked again alone, ever more rarely; pure.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{poll::backoff, query::Ask};

#[derive(Debug)]
struct Refusal {
    /// Refusals in a row.
    failures: u32,
    retry_at: Instant,
}

/// The refused queries.
///
/// Were all asked again as each wishes, a thousand of them would eat the budget of those that
/// work. So there is one request for them in a refresh period, with one query; while such requests
/// succeed (somebody mended the cause), the next follows at once and holds as many more.
#[derive(Debug)]
pub(super) struct Refused {
    refresh: Duration,
    queries: HashMap<Ask, Refusal>,
    size: usize,
    not_before: Option<Instant>,
}

impl Refused {
    pub(super) fn new(refresh: Duration) -> Self {
        Self { refresh, queries: HashMap::new(), size: 1, not_before: None }
    }

    pub(super) fn contains(&self, ask: &Ask) -> bool {
        self.queries.contains_key(ask)
    }

    pub(super) fn len(&self) -> usize {
        self.queries.len()
    }

    /// Forgets those that nobody wants any more.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Ask) -> bool) {
        self.queries.retain(|ask, _| wanted(ask));
    }

    /// Datadog refused the query.
    pub(super) fn refused(&mut self, ask: &Ask, now: Instant, random: f64) {
        let failures =
            self.queries.get(ask).map_or(0, |refusal| refusal.failures).saturating_add(1);
        let retry_at = now + backoff::of_query(failures, self.refresh, random);
        self.queries.insert(ask.clone(), Refusal { failures, retry_at });
        self.size = 1;
    }

    /// Somebody else was refused it at `at`, and has been for `refused_for`. It is asked again no
    /// sooner than they would have.
    pub(super) fn resume(&mut self, ask: &Ask, refused_for: Duration, at: Instant) {
        let failures = backoff::failures_within(refused_for, self.refresh);
        let retry_at = at + backoff::of_query(failures, self.refresh, 1.0);
        self.queries.insert(ask.clone(), Refusal { failures, retry_at });
        self.not_before = self.not_before.max(Some(at + self.refresh));
    }

    /// Datadog answered the query; tells whether it was refused before.
    pub(super) fn accepted(&mut self, ask: &Ask, now: Instant) -> bool {
        let was_refused = self.queries.remove(ask).is_some();
        if was_refused {
            self.size += 1;
            self.not_before = Some(now);
        }
        was_refused
    }

    /// The call failed before Datadog judged the query.
    pub(super) fn not_judged(&mut self, ask: &Ask, now: Instant) {
        if let Some(refusal) = self.queries.get_mut(ask) {
            refusal.retry_at = now + self.refresh;
        }
    }

    /// When [`Refused::take_due`] has something to give.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let first = self.queries.values().map(|refusal| refusal.retry_at).min()?;
        Some(self.not_before.map_or(first, |not_before| first.max(not_before)))
    }

    /// The queries of one window to ask again now, at most `limit`.
    pub(super) fn take_due(&mut self, limit: usize, now: Instant) -> Option<(Duration, Vec<Ask>)> {
        if self.due_at()? > now {
            return None;
        }
        let mut due: Vec<(Instant, &Ask)> = self
            .queries
            .iter()
            .filter(|(_, refusal)| refusal.retry_at <= now)
            .map(|(ask, refusal)| (refusal.retry_at, ask))
            .collect();
        due.sort_unstable();
        let window = due.first()?.1.window;
        let asks: Vec<Ask> = due
            .into_iter()
            .filter(|(_, ask)| ask.window == window)
            .take(self.size.min(limit))
            .map(|(_, ask)| ask.clone())
            .collect();
        self.not_before = Some(now + self.refresh);
        for ask in &asks {
            // Under way; its answer sets the next time.
            if let Some(refusal) = self.queries.get_mut(ask) {
                refusal.retry_at = now + self.refresh * 60;
            }
        }
        Some((window, asks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    const REFRESH: Duration = Duration::from_secs(30);

    fn ask(name: &str) -> Ask {
        Ask { window: Duration::from_secs(300), query: Query::new(name) }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn taken(refused: &mut Refused, now: Instant) -> Vec<String> {
        let (_, asks) = refused.take_due(35, now).unwrap_or_default();
        asks.iter().map(|ask| ask.query.to_string()).collect()
    }

    #[test]
    fn a_refused_query_waits_longer_each_time() {
        let start = Instant::now();
        let mut refused = Refused::new(REFRESH);
        refused.refused(&ask("a"), start, 0.0);
        assert_eq!(refused.due_at(), Some(start + seconds(30)));
        assert!(taken(&mut refused, start + seconds(29)).is_empty());
        assert_eq!(taken(&mut refused, start + seconds(30)), ["a"]);
        refused.refused(&ask("a"), start + seconds(31), 0.0);
        assert_eq!(refused.due_at(), Some(start + seconds(91)));
    }

    #[test]
    fn one_is_asked_in_a_refresh_and_more_as_long_as_they_are_accepted() {
        let start = Instant::now();
        let mut refused = Refused::new(REFRESH);
        for name in ["a", "b", "c", "d", "e"] {
            refused.refused(&ask(name), start, 0.0);
        }
        let now = start + seconds(60);
        assert_eq!(taken(&mut refused, now), ["a"]);
        assert!(taken(&mut refused, now + seconds(29)).is_empty(), "one in a refresh");
        assert!(refused.accepted(&ask("a"), now));
        assert_eq!(taken(&mut refused, now), ["b", "c"]);
        assert!(refused.accepted(&ask("b"), now) && refused.accepted(&ask("c"), now));
        assert_eq!(taken(&mut refused, now), ["d", "e"]);
        assert!(!refused.accepted(&ask("never refused"), now));
        assert_eq!(refused.len(), 2);
    }

    #[test]
    fn a_call_that_failed_for_another_reason_is_no_refusal() {
        let start = Instant::now();
        let mut refused = Refused::new(REFRESH);
        refused.refused(&ask("a"), start, 0.0);
        assert_eq!(taken(&mut refused, start + seconds(30)), ["a"]);
        refused.not_judged(&ask("a"), start + seconds(40));
        assert_eq!(refused.due_at(), Some(start + seconds(70)));
    }

    #[test]
    fn what_nobody_wants_is_forgotten() {
        let mut refused = Refused::new(REFRESH);
        refused.refused(&ask("a"), Instant::now(), 0.0);
        refused.retain(|_| false);
        assert_eq!((refused.len(), refused.due_at()), (0, None));
    }
}
