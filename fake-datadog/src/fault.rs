//! Faults in force, and what they do to one request.

use std::time::Duration;

use crate::control::{Effect, Endpoint, Fault, InvalidFault, StatusEffect};

/// Most faults at a time; more of them is a script gone wild.
const MAX_FAULTS: usize = 1000;

/// The faults in force, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<Active>,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    /// Requests that it will still hit; `None` without a limit.
    remaining: Option<u32>,
}

/// What all faults together do to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effects {
    /// Time to wait before anything else.
    pub(crate) delay: Duration,
    /// Answer this in place of the real answer.
    pub(crate) status: Option<StatusEffect>,
    /// Answer a query error; an empty text stands for the usual one.
    pub(crate) query_error: Option<String>,
    /// Answer no series.
    pub(crate) empty: bool,
    /// Move all points this many seconds into the past.
    pub(crate) stale_by: i64,
}

impl Faults {
    /// Puts a fault in force; one of the same name gives way to it.
    pub(crate) fn set(&mut self, fault: Fault) -> Result<(), InvalidFault> {
        fault.validate()?;
        self.active.retain(|it| it.fault.name != fault.name);
        if MAX_FAULTS <= self.active.len() {
            return Err(InvalidFault::TooMany(MAX_FAULTS));
        }
        self.active.push(Active { remaining: fault.times, fault });
        Ok(())
    }

    /// Lifts the fault called `name`, or all of them. Returns how many there were.
    pub(crate) fn clear(&mut self, name: Option<&str>) -> usize {
        let before = self.active.len();
        self.active.retain(|it| name.is_some_and(|name| it.fault.name != name));
        before - self.active.len()
    }

    /// Number of faults in force.
    pub(crate) fn len(&self) -> usize {
        self.active.len()
    }

    /// What happens to one request to `endpoint`; `None` is any other path of the API.
    /// Counts the request against the limit of each fault that hits it.
    ///
    /// Delays and shifts add up; of several answers the oldest fault's is given.
    pub(crate) fn hit(&mut self, endpoint: Option<Endpoint>) -> Effects {
        let mut effects = Effects::default();
        for active in self.active.iter_mut().filter(|it| it.fault.hits(endpoint)) {
            if let Some(remaining) = &mut active.remaining {
                *remaining = remaining.saturating_sub(1);
            }
            effects.add(&active.fault.effect);
        }
        self.active.retain(|it| it.remaining != Some(0));
        effects
    }
}

impl Effects {
    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Status(status) => {
                self.status.get_or_insert_with(|| status.clone());
            }
            Effect::Delay(delay) => self.delay = self.delay.saturating_add(delay.as_duration()),
            Effect::QueryError(message) => {
                self.query_error.get_or_insert_with(|| message.clone());
            }
            Effect::Empty => self.empty = true,
            Effect::Stale(shift) => self.stale_by = self.stale_by.saturating_add(shift.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Span;

    #[test]
    fn a_limited_fault_ends_after_its_last_hit() {
        let mut faults = Faults::default();
        faults.set(Fault::new("none", Effect::Empty).times(2)).unwrap();
        assert!(faults.hit(Some(Endpoint::Query)).empty);
        assert!(!faults.hit(Some(Endpoint::Validate)).empty);
        assert!(faults.hit(Some(Endpoint::Query)).empty);
        assert!(!faults.hit(Some(Endpoint::Query)).empty);
        assert_eq!(faults.len(), 0);
    }

    #[test]
    fn a_fault_hits_only_its_endpoint() {
        let mut faults = Faults::default();
        faults.set(Fault::new("down", Effect::status(503)).on(Endpoint::Series)).unwrap();
        assert_eq!(faults.hit(Some(Endpoint::Query)), Effects::default());
        assert!(faults.hit(Some(Endpoint::Series)).status.is_some());
        assert_eq!(faults.hit(None), Effects::default());
    }

    #[test]
    fn delays_add_up_and_the_oldest_answer_wins() {
        let mut faults = Faults::default();
        let second = Effect::Delay(Span::from_secs(1));
        faults.set(Fault::new("a", second.clone())).unwrap();
        faults.set(Fault::new("b", second)).unwrap();
        faults.set(Fault::new("c", Effect::status(500))).unwrap();
        faults.set(Fault::new("d", Effect::status(429))).unwrap();
        let effects = faults.hit(None);
        assert_eq!(effects.delay, Duration::from_secs(2));
        assert_eq!(effects.status.map(|it| it.code), Some(500));
    }

    #[test]
    fn a_fault_of_the_same_name_is_replaced() {
        let mut faults = Faults::default();
        faults.set(Fault::new("a", Effect::status(500))).unwrap();
        faults.set(Fault::new("a", Effect::Empty)).unwrap();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults.clear(Some("b")), 0);
        assert_eq!(faults.clear(Some("a")), 1);
    }
}
