//! Service checks and events, in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use crate::intake::{Event, ServiceCheck};

/// Most checks kept; those of further names, hosts and tags are dropped.
const MAX_CHECKS: usize = 10_000;

/// Most events kept; beyond it the oldest go.
const MAX_EVENTS: usize = 1000;

/// A check older than this many seconds is dropped (`OpenAPI` v1, `SubmitServiceCheck`: "up to 10
/// minutes in the past").
const MAX_CHECK_AGE: i64 = 600;

/// What was reported.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    /// The last state by name, host and tags.
    checks: BTreeMap<(String, String, Vec<String>), ServiceCheck>,
    /// In the order in which they came in.
    events: VecDeque<Event>,
}

impl Reports {
    /// Takes checks at `now`, Unix seconds.
    pub(crate) fn take_checks(&mut self, now: i64, checks: Vec<ServiceCheck>) {
        for mut check in checks {
            let time = *check.timestamp.get_or_insert(now);
            let key = (check.check.clone(), check.host_name.clone(), check.tags.clone());
            let has_room = self.checks.len() < MAX_CHECKS || self.checks.contains_key(&key);
            if time < now.saturating_sub(MAX_CHECK_AGE) || !has_room {
                tracing::info!(check = check.check, time, "check dropped");
            } else {
                self.checks.insert(key, check);
            }
        }
    }

    /// Takes events at `now`, Unix seconds.
    pub(crate) fn take_events(&mut self, now: i64, events: Vec<Event>) {
        for mut event in events {
            event.timestamp.get_or_insert(now);
            self.events.push_back(event);
        }
        self.events.drain(..self.events.len().saturating_sub(MAX_EVENTS));
    }

    /// The last state of every check, by name, host and tags.
    pub(crate) fn checks(&self) -> Vec<ServiceCheck> {
        self.checks.values().cloned().collect()
    }

    /// The last events, oldest first.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::{CheckStatus, agent, check_run};

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn the_last_state_of_a_check_is_kept() {
        let mut reports = Reports::default();
        let mut take = |status: u8, host: &str, age: i64| {
            let body = serde_json::json!({"check": "c", "status": status, "host_name": host,
                "timestamp": NOW - age});
            reports.take_checks(NOW, check_run(body.to_string().as_bytes()).unwrap());
            reports.checks().iter().map(|it| it.status).collect::<Vec<_>>()
        };
        assert_eq!(take(0, "a", 600), [CheckStatus::Ok]);
        assert_eq!(take(2, "a", 0), [CheckStatus::Critical]);
        assert_eq!(take(3, "a", 601), [CheckStatus::Critical]);
        assert_eq!(take(1, "b", 0), [CheckStatus::Critical, CheckStatus::Warning]);
    }

    #[test]
    fn only_the_last_events_are_kept() {
        let mut reports = Reports::default();
        for index in 0..=MAX_EVENTS {
            let body = serde_json::json!({"events": {"api": [{"msg_title": index.to_string()}]}});
            reports.take_events(NOW, agent(body.to_string().as_bytes()).unwrap());
        }
        let events = reports.events();
        assert_eq!((events.len(), events[0].title.as_str()), (MAX_EVENTS, "1"));
        assert_eq!(events[0].timestamp, Some(NOW));
    }
}
