//! Whether a call may go out now: calls in flight, the budget, and the probe during an outage; pure.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::Instant;

use crate::{
    datadog::{
        Error, Exchange, RateLimit,
        budget::{Allowance, Budget},
    },
    poll::backoff,
    store::Asking,
};

/// Calls fail for a reason that is no query's.
#[derive(Debug)]
struct Outage {
    failures: u32,
    probe_at: Instant,
}

/// What every call passes.
#[derive(Debug)]
pub(super) struct Gate {
    refresh: Duration,
    max_parallel: usize,
    in_flight: usize,
    budget: Budget,
    outage: Option<Outage>,
    trouble: Option<Arc<Error>>,
    clock_skew: Option<SignedDuration>,
}

/// Whether it is open.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// One call may go.
    Open,
    /// Not before this moment; `None`: not before a call in flight has ended.
    Closed(Option<Instant>),
}

impl Gate {
    /// `endpoints` is the number of those that may answer.
    pub(super) fn new(refresh: Duration, max_parallel: usize, endpoints: usize) -> Self {
        Self {
            refresh,
            max_parallel: max_parallel.max(1),
            in_flight: 0,
            budget: Budget::new(endpoints > 1),
            outage: None,
            trouble: None,
            clock_skew: None,
        }
    }

    pub(super) fn passage(&self, now: Instant) -> Passage {
        if self.in_flight >= self.max_parallel {
            return Passage::Closed(None);
        }
        match &self.outage {
            // One probe at a time.
            Some(_) if self.in_flight > 0 => return Passage::Closed(None),
            Some(outage) if outage.probe_at > now => return Passage::Closed(Some(outage.probe_at)),
            _ => {}
        }
        match self.budget.allows(self.in_flight, now) {
            Allowance::NotBefore(at) => Passage::Closed(Some(at)),
            Allowance::Calls(0) => Passage::Closed(None),
            Allowance::Calls(_) => Passage::Open,
        }
    }

    /// A call went out.
    pub(super) fn began(&mut self) {
        self.in_flight += 1;
    }

    /// A call is not under way any more.
    pub(super) fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Takes in what an answer says of the budget, and whether it ends an outage: whoever judges a
    /// query is not out of order.
    pub(super) fn observe(&mut self, exchange: &Exchange, now: Instant) {
        self.budget.observe(exchange, now);
        self.clock_skew = exchange.clock_skew.or(self.clock_skew);
        if exchange.result.as_ref().err().is_none_or(Error::is_about_a_query) {
            self.outage = None;
            self.trouble = None;
        }
        if let Some(used_up) = exchange.rate_limit.filter(|limit| limit.remaining == 0) {
            let reset = Some(used_up.reset);
            self.trouble.get_or_insert_with(|| Arc::new(Error::RateLimited { reset }));
        }
    }

    /// A call failed for no query's sake. `random` is between 0 and 1.
    pub(super) fn failed(&mut self, error: &Arc<Error>, now: Instant, random: f64) {
        // A used-up budget has its own end, and is no outage.
        if !matches!(**error, Error::RateLimited { .. }) {
            let failures = self.outage.as_ref().map_or(0, |outage| outage.failures) + 1;
            let wait = backoff::of_outage(failures, self.refresh, random);
            self.outage = Some(Outage { failures, probe_at: now + wait });
        }
        self.trouble = Some(error.clone());
    }

    /// Whether no call has said anything yet.
    pub(super) fn knows_nothing(&self) -> bool {
        self.budget.is_unknown() && self.trouble.is_none()
    }

    /// Goes on from what somebody else found, who told it at `told_at` and whose last call was at
    /// `last`: an outage is probed no sooner than they would have.
    pub(super) fn resume(&mut self, asking: &Asking, told_at: Instant, last: Instant) {
        self.clock_skew = asking.clock_skew.or(self.clock_skew);
        self.trouble.clone_from(&asking.trouble);
        self.outage = None;
        if let Some(limit) = asking.budget {
            self.budget.resume(limit, told_at);
        }
        match asking.trouble.as_deref() {
            // What is left says it better.
            Some(Error::RateLimited { .. })
                if asking.budget.is_some_and(|it| it.remaining == 0) => {}
            Some(Error::RateLimited { reset }) => self.budget.refused(*reset, last),
            Some(_) => {
                let (failures, probe_at) = (backoff::LONGEST, last + self.refresh);
                self.outage = Some(Outage { failures, probe_at });
            }
            None => {}
        }
    }

    /// Why calls fail now.
    pub(super) fn trouble(&self) -> Option<&Arc<Error>> {
        self.trouble.as_ref()
    }

    /// Our clock minus Datadog's.
    pub(super) fn clock_skew(&self) -> Option<SignedDuration> {
        self.clock_skew
    }

    /// Calls per second that refreshes may make.
    pub(super) fn rate(&self, now: Instant) -> Option<f64> {
        self.budget.rate(now)
    }

    /// The budget as Datadog tells it.
    pub(super) fn reading(&self, now: Instant) -> Option<RateLimit> {
        self.budget.reading(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    const REFRESH: Duration = Duration::from_secs(30);

    fn exchange(result: Result<(), Error>) -> Exchange {
        Exchange {
            result: result.map(|()| vec![]),
            endpoint: "https://api.datadoghq.com".into(),
            requests: 1,
            rate_limit: None,
            clock_skew: None,
        }
    }

    fn open(now: Instant) -> Gate {
        let mut gate = Gate::new(REFRESH, 3, 1);
        gate.observe(&exchange(Ok(())), now);
        gate
    }

    fn down() -> Arc<Error> {
        Arc::new(testing::down())
    }

    #[test]
    fn as_many_calls_as_allowed_are_under_way() {
        let now = Instant::now();
        let mut gate = open(now);
        for _ in 0..3 {
            assert_eq!(gate.passage(now), Passage::Open);
            gate.began();
        }
        assert_eq!(gate.passage(now), Passage::Closed(None));
        gate.ended();
        assert_eq!(gate.passage(now), Passage::Open);
    }

    #[test]
    fn during_an_outage_one_probe_goes_at_its_time_and_success_opens() {
        let now = Instant::now();
        let mut gate = open(now);
        gate.failed(&down(), now, 0.0);
        assert_eq!(gate.passage(now), Passage::Closed(Some(now + REFRESH / 30)));
        let later = now + REFRESH / 30;
        assert_eq!(gate.passage(later), Passage::Open);
        gate.began();
        assert_eq!(gate.passage(later), Passage::Closed(None), "one at a time");
        gate.ended();
        gate.failed(&down(), later, 0.0);
        assert_eq!(gate.passage(later), Passage::Closed(Some(later + REFRESH / 15)));
        assert!(gate.trouble().is_some());
        gate.observe(&exchange(Err(testing::rejected("no"))), later);
        assert_eq!(gate.passage(later), Passage::Open, "whoever judges a query is well");
        assert!(gate.trouble().is_none());
    }

    #[test]
    fn a_used_up_budget_is_named_even_if_no_call_was_refused() {
        let now = Instant::now();
        let mut gate = open(now);
        let used_up = RateLimit {
            limit: 100,
            period: Duration::from_secs(3600),
            remaining: 0,
            reset: Duration::from_secs(40),
        };
        gate.observe(&Exchange { rate_limit: Some(used_up), ..exchange(Ok(())) }, now);
        assert_eq!(gate.passage(now), Passage::Closed(Some(now + Duration::from_secs(41))));
        assert!(matches!(**gate.trouble().unwrap(), Error::RateLimited { .. }));
    }
}
